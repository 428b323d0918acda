package pay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"paygate/config"
)

// TestConversationThatBeginsToBuyIsGauged has a rule that buys come while the desk measures how fast torrents come.
func TestConversationThatBeginsToBuyIsGauged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, config.Buy{})
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = s.seller.Run(ctx) }()
		talk := s.seller.open(&simLink{s: s, remote: newPeerAddr})
		talk.Begin()
		time.Sleep(1500 * time.Millisecond)
		buy.Rules[0].When = config.BuyWhen{Kind: config.BuySlower, Rate: 1 << 20, For: time.Hour}
		s.seller.SetRules(sell, buy)
		time.Sleep(time.Second)
		talk.received.Add(100 << 20)
		time.Sleep(3 * time.Second)
		talk.End()
		stop()
		<-done
		s.seller.flows.mu.Lock()
		defer s.seller.flows.mu.Unlock()
		if w := s.seller.flows.each[s.infoHash]; w == nil || w.rate < 1<<20 {
			t.Errorf("%+v", w)
		}
	})
}
