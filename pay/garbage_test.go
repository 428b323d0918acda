package pay

import (
	"testing"
	"time"

	"paygate/ledger"
	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

// TestBytesThatNobodyAskedForAreNoDebtHoweverOftenTheSellerComes meets a seller that sends what nobody has asked for, bills it
// as a debt, and comes again.
func TestBytesThatNobodyAskedForAreNoDebtHoweverOftenTheSellerComes(t *testing.T) {
	robbed(t, 100*time.Millisecond, func(s *sim) {
		th := s.thief(func(th *thief, b wire.Buy) {
			if b.For == wire.ForDebt {
				s.wg.Go(func() { th.billFor(b) })
				return
			}
			th.say(wire.No{Code: wire.NoBusy, TTL: 1})
		})
		for range 20 {
			time.Sleep(2 * time.Second)
			for range windowBytes / block {
				th.c.Moved(block, false, false)
			}
			time.Sleep(2 * time.Second)
			th.c.Notify(proxy.Event{Kind: proxy.ClientNotInterested})
			time.Sleep(10 * time.Second)
			th.leave()
			th.connect(thiefTerms)
		}
		th.leave()
	}, func(s *sim, got ledger.Totals) {
		if got.Paid > 10*units.Sat {
			t.Errorf("%d payments of %v for bytes that nobody asked for", got.PaymentsOut, got.Paid)
		}
	})
}

func TestBlocksThatCrossACancelOrAChokeAreCounted(t *testing.T) {
	for _, c := range []struct {
		what    string
		events  []proxy.Event
		counted int64 // of 4 blocks that come afterwards
	}{
		{"nothing asked", nil, 0},
		{"all asked", []proxy.Event{{Kind: proxy.ClientRequest, N: 4 * block}}, 4},
		{"some asked", []proxy.Event{{Kind: proxy.ClientRequest, N: 3 * block}}, 3},
		{"asked, and one cancelled", []proxy.Event{{Kind: proxy.ClientRequest, N: 4 * block}, {Kind: proxy.ClientCancel, N: block}}, 4},
		{"asked, and all choked", []proxy.Event{{Kind: proxy.ClientRequest, N: 4 * block}, {Kind: proxy.RemoteChoke}}, 4},
		{"cancelled what was not asked", []proxy.Event{{Kind: proxy.ClientRequest, N: block}, {Kind: proxy.ClientCancel, N: 4 * block}}, 1},
		{"choked twice", []proxy.Event{{Kind: proxy.ClientRequest, N: block}, {Kind: proxy.RemoteChoke}, {Kind: proxy.RemoteChoke}}, 1},
	} {
		_, _, talk, _ := bought(t, anyMaxPrice)
		for _, e := range c.events {
			talk.Notify(e)
		}
		for range 4 {
			talk.Moved(block, false, false)
		}
		if got := talk.received.Load(); got != c.counted*block {
			t.Errorf("%s: %d blocks are counted, want %d", c.what, got/block, c.counted)
		}
	}
}
