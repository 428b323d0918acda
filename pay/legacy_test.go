package pay

import (
	"testing"
	"testing/synctest"
	"time"

	"paygate/proxy"
)

// TestPeersThatGetNothingAreBounded has more peers than there is room for come and never pay.
func TestPeersThatGetNothingAreBounded(t *testing.T) {
	for _, legacy := range []string{"choke", "sample", "throttle"} {
		t.Run(legacy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sell, buy := simRules()
				sell.Rules[0].Legacy = legacy
				s := newSim(t, newBank(0), sell, buy)
				defer s.sellerL.Close()
				defer s.buyerL.Close()
				ctx, end := s.opensShop()
				var links []*simLink
				for range 3 * defaultUnpaidPeers {
					c, l := s.peer(ctx)
					links = append(links, l)
					c.Notify(proxy.Event{Kind: proxy.ClientHas, Complete: true})
					c.Notify(proxy.Event{Kind: proxy.RemoteInterested})
				}
				time.Sleep(time.Minute)
				end()
				stay := 0
				for _, l := range links {
					if _, _, why := l.state(); why == "" {
						stay++
					}
				}
				if stay != defaultUnpaidPeers {
					t.Errorf("%d of %d peers keep a slot of the client", stay, len(links))
				}
			})
		})
	}
}
