package pay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"paygate/config"
	"paygate/proxy"
	"paygate/units"
)

// TestObserverChargesNothing counts what a sale would have earned and a purchase have cost.
func TestObserverChargesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		d := s.seller
		d.cfg.Observe = true
		d.SetRules(sell, buy)
		if got := d.Admit(proxy.Arrival{InfoHash: s.infoHash, Remote: newPeerAddr}); got != proxy.Watched {
			t.Errorf("%v", got)
		}
		o := newObserver(d, &simLink{s: s, remote: newPeerAddr})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); o.Run(ctx) }()
		o.Notify(proxy.Event{Kind: proxy.ClientHas, Complete: true})
		for range 1000 {
			if !o.Request(block) {
				t.Fatal("withheld")
			}
			o.Moved(block, true, false)
			o.Moved(block, false, false)
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
		<-done
		bytes := units.Bytes(1000 * block)
		got, only := d.Observed()
		want := Observed{
			SoldBytes: bytes - units.MiB, Earned: sell.Rules[0].Price.Charge(bytes - units.MiB),
			BoughtBytes: bytes, Spent: buy.Rules[0].MaxPrice.Charge(bytes),
		}
		if !only || got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if seller, _ := s.totals(); seller.SoldBytes+seller.SampleBytes != 0 || seller.Earned+seller.Paid != 0 {
			t.Errorf("%+v", seller)
		}
		refuse := config.Sell{Rules: []config.SellRule{{Name: "no", Any: true, Deny: true}}}
		d.SetRules(refuse, config.Buy{})
		if got := d.Admit(proxy.Arrival{InfoHash: s.infoHash, Remote: newPeerAddr}); got == proxy.Denied || got == proxy.Gated {
			t.Errorf("%v", got)
		}
	})
}
