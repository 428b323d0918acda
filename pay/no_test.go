package pay

import (
	"context"
	"testing"
	"time"

	"paygate/ledger"
	"paygate/proxy/wire"
	"paygate/units"
)

// TestNoIsForTheSideThatItAnswers has a peer that we sell to and buy from decline.
func TestNoIsForTheSideThatItAnswers(t *testing.T) {
	for code, want := range map[string]struct{ asks, bills bool }{
		wire.NoTooDear:       {asks: true},
		wire.NoOverBudget:    {asks: true},
		wire.NoNoRoute:       {asks: true},
		wire.NoExpired:       {asks: true},
		wire.NoBusy:          {bills: true},
		wire.NoStrangerLimit: {bills: true},
		wire.NoBlocked:       {bills: true},
		wire.NoUnsupported:   {bills: true},
		"what-else":          {asks: true, bills: true},
	} {
		t.Run(code, func(t *testing.T) {
			sell, buy := simRules()
			s := newSim(t, newBank(0), sell, buy)
			defer s.sellerL.Close()
			defer s.buyerL.Close()
			s.seller.ruling.Store(newRules(s.seller.rules().sell, s.buyer.rules().buy))
			c := s.seller.open(&simLink{s: s, remote: newPeerAddr})
			c.spoken = true
			c.seller.stock.buyer, c.seller.invoice = units.PeerKey{1}, &ledger.Invoice{}
			c.buyer.seller, c.buyer.ask = units.PeerKey{2}, &openAsk{}
			ctx, cancel := context.WithCancel(t.Context())
			c.hear(ctx, time.Now(), message{payload: encode(t, wire.No{Code: code, TTL: 60})})
			cancel()
			c.chores.end()
			if asks, bills := c.buyer.ask != nil, c.seller.invoice != nil; asks != want.asks || bills != want.bills {
				t.Errorf("our question stands: %v, our invoice stands: %v", asks, bills)
			}
		})
	}
}
