package pay

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
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

// TestLateExtendedHandshakeIsGreeted has a peer say only after the wait for it, and after it had some bytes, that it
// can pay.
func TestLateExtendedHandshakeIsGreeted(t *testing.T) {
	const had = 8 * block
	for legacy, free := range map[string]units.Bytes{"choke": units.MiB, "sample": units.MiB - had, "throttle": units.MiB} {
		t.Run(legacy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sell, buy := simRules()
				sell.Rules[0].Legacy = legacy
				s := newSim(t, newBank(0), sell, buy)
				defer s.sellerL.Close()
				defer s.buyerL.Close()
				ctx, end := s.opensShop()
				c, l := s.peer(ctx)
				c.Notify(proxy.Event{Kind: proxy.ClientHas, Complete: true})
				time.Sleep(legacyAfter + time.Second)
				for range had / block {
					if c.Request(block) {
						c.Moved(block, true, true)
					}
				}
				s.greets(c)
				time.Sleep(time.Second)
				end()
				var said []string
				for _, b := range l.sent {
					m, err := wire.ParseMessage(b)
					if err != nil {
						t.Fatal(err)
					}
					said = append(said, m.Type())
					if terms, ok := m.(wire.Terms); ok && terms.Free != free {
						t.Errorf("%v are said to be free, want %v", terms.Free, free)
					}
				}
				if !slices.Equal(said, []string{"hello", "terms"}) {
					t.Errorf("said %v", said)
				}
			})
		})
	}
}
