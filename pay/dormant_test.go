package pay

import (
	"testing"
	"testing/synctest"
	"time"

	"paygate/proxy"
)

// TestPeersThatWantNothingAreSeldomLookedAt, until they want something.
func TestPeersThatWantNothingAreSeldomLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer closeAll(s.sellerL, s.buyerL)
		c := s.seller.open(&simLink{s: s, remote: newPeerAddr, other: func() *conversation { return nil }})
		c.Begin()
		defer c.End()
		for _, e := range []proxy.Event{
			{Kind: proxy.ClientHas, Complete: true},
			{Kind: proxy.Ready},
			{Kind: proxy.RemoteHello, Dialects: []bool{false}, Dicts: [][]byte{nil}},
		} {
			c.Notify(e)
		}
		is := func(when string, want time.Duration) {
			t.Helper()
			synctest.Wait()
			if got := c.pause(); got != want {
				t.Errorf("%s: %v until the next look, want %v", when, got, want)
			}
		}
		time.Sleep(legacyAfter - time.Millisecond)
		is("while it may still say that it pays", idleTick)
		time.Sleep(2 * time.Second)
		is("afterwards", dormantTick)
		c.Notify(proxy.Event{Kind: proxy.RemoteInterested})
		is("when it is interested", idleTick)
		time.Sleep(time.Second)
		c.Notify(proxy.Event{Kind: proxy.RemoteNotInterested})
		is("when it has lost interest", dormantTick)
		c.seller.slot = true
		is("while it has a slot, which has to end in time", idleTick)
		c.seller.slot = false
	})
}
