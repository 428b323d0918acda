package pay

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"paygate/config"
	"paygate/proxy"
	"paygate/units"
)

// trader is one of two clients that each have a part of a torrent and a price for it.
type trader struct {
	c        *conversation
	l        *simLink
	has, got int64 // what it has to give, and what has come
	gives    bool  // its client unchokes the other
}

// traders runs two paygates that sell what their clients have not completed, until both have all or the time is up.
func traders(t *testing.T, s *sim, a, b int64, limit time.Duration) (x, y *trader) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	for _, d := range []*Desk{s.seller, s.buyer} {
		s.wg.Go(func() { _ = d.Run(ctx) })
	}
	return s.trade(ctx, a, b, limit)
}

// trade is one connection between the two.
func (s *sim) trade(ctx context.Context, a, b int64, limit time.Duration) (x, y *trader) {
	ctx, cancel := context.WithCancel(ctx)
	x, y = &trader{has: a}, &trader{has: b}
	x.l = &simLink{s: s, remote: newPeerAddr, other: func() *conversation { return y.c }}
	y.l = &simLink{s: s, initiator: true, remote: netip.MustParseAddrPort("198.51.100.9:6881"), other: func() *conversation { return x.c }}
	x.c, y.c = s.seller.open(x.l), s.buyer.open(y.l)
	done := make(chan struct{}, 2)
	for _, c := range []*conversation{x.c, y.c} {
		go func() { c.Run(ctx); done <- struct{}{} }()
		c.Notify(proxy.Event{Kind: proxy.ClientHas})
	}
	s.sc, s.bc = x.c, y.c
	s.shakeHands()
	for _, c := range []*conversation{x.c, y.c} {
		c.Notify(proxy.Event{Kind: proxy.ClientInterested})
		c.Notify(proxy.Event{Kind: proxy.RemoteInterested})
	}
	for end := time.Now().Add(limit); time.Now().Before(end) && (x.got < y.has || y.got < x.has); time.Sleep(simTick) {
		x.give(y, s.rate)
		y.give(x, s.rate)
	}
	cancel()
	<-done
	<-done
	return x, y
}

// give sends blocks for one tick as the valve allows.
func (x *trader) give(y *trader, rate int64) {
	m, _, _ := x.l.state()
	if gives := m != closed; gives != x.gives {
		x.gives = gives
		kind, heard := proxy.ClientChoke, proxy.RemoteChoke
		if gives {
			kind, heard = proxy.ClientUnchoke, proxy.RemoteUnchoke
		}
		x.c.Notify(proxy.Event{Kind: kind})
		y.c.Notify(proxy.Event{Kind: heard})
	}
	if m != opened {
		return
	}
	for want := 64*int64(block) - y.c.asked.Load(); want > 0; want -= block {
		y.c.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block})
	}
	for n := rate * int64(simTick) / int64(time.Second); n > 0 && y.got < x.has; n -= block {
		if !x.c.Request(block) {
			x.l.mu.Lock()
			tell := !x.l.starved
			x.l.starved = true
			x.l.mu.Unlock()
			if tell {
				x.c.Notify(proxy.Event{Kind: proxy.Starved})
			}
			return
		}
		x.c.Moved(block, true, true)
		y.c.Moved(block, false, false)
		y.got += block
	}
}

// barterSim is two sellers of the same torrent, neither of which has it whole.
func barterSim(t *testing.T, buys bool) *sim {
	sell, buy := simRules()
	sell.Rules[0].When, sell.Rules[0].Sample = "always", 0
	s := newSim(t, newBank(70*time.Millisecond), sell, buy)
	if !buys {
		buy = config.Buy{}
	}
	s.seller.SetRules(sell, buy)
	s.buyer.SetRules(sell, buy)
	return s
}

// TestTwoSellersDoNotStarveEachOther has two leechers with prices and no budgets exchange their halves.
func TestTwoSellersDoNotStarveEachOther(t *testing.T) {
	for name, buys := range map[string]bool{"no budgets": false, "budgets": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := barterSim(t, buys)
				defer func() { s.sellerL.Close(); s.buyerL.Close() }()
				const half = 128 << 20
				began := time.Now()
				x, y := traders(t, s, half, half, 10*time.Minute)
				took := time.Since(began)
				s.close()
				one, two := s.totals()
				t.Logf("%v; paid %v and %v", took, one.Paid, two.Paid)
				if x.got != half || y.got != half {
					t.Errorf("%d and %d of %d bytes came", x.got, y.got, half)
				}
				if !buys && one.Paid+two.Paid != 0 || one.Paid+two.Paid > 60*units.Sat {
					t.Errorf("paid %v and %v among equals", one.Paid, two.Paid)
				}
				if ideal := time.Duration(half) * time.Second / time.Duration(s.rate); took > 2*ideal {
					t.Errorf("took %v, ideal %v", took, ideal)
				}
			})
		})
	}
}

// TestBarterIsServedOneForOne: who has less to give gets no more than that, and the advance, without paying.
func TestBarterIsServedOneForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := barterSim(t, false)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		const little, much = 20 << 20, 200 << 20
		x, y := traders(t, s, little, much, 3*time.Minute)
		s.close()
		if y.got != little {
			t.Errorf("%d of %d bytes came", y.got, little)
		}
		if x.got > little+int64(advance) || x.got < little {
			t.Errorf("%d bytes for %d and an advance of %d", x.got, little, advance)
		}
	})
}

// TestBarterOutlivesAConnection cuts the trade many times: nobody begins anew, and nobody gets an advance twice.
func TestBarterOutlivesAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := barterSim(t, false)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		ctx, cancel := context.WithCancel(context.Background())
		s.stop = cancel
		for _, d := range []*Desk{s.seller, s.buyer} {
			s.wg.Go(func() { _ = d.Run(ctx) })
		}
		const half = 64 << 20
		var left, right int64
		for cut := 0; cut < 40 && (left < half || right < half); cut++ {
			x, y := s.trade(ctx, half-right, half-left, 4*time.Second)
			left, right = left+x.got, right+y.got
		}
		s.close()
		if left != half || right != half {
			t.Errorf("%d and %d of %d bytes came", left, right, half)
		}
		for _, l := range []*sim{s} {
			if used, err := l.sellerL.SampleUsed(t.Context(), s.infoHash, subnetOf(newPeerAddr.Addr())); err != nil || used.Subnet > advance {
				t.Errorf("%v were given ahead, %v", used.Subnet, err)
			}
		}
	})
}

func TestBarterRunsNoMoreThan16MiBAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := barterSim(t, false)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		ctx, end := s.opensShop()
		c, _ := s.peer(ctx)
		s.greets(c)
		c.Notify(proxy.Event{Kind: proxy.ClientHas})
		for range 64 << 20 / block {
			c.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block})
			c.Moved(block, false, false)
		}
		time.Sleep(3 * time.Second)
		if got := units.Bytes(c.avail.Load()); got != maxBarter+advance {
			t.Errorf("%v may be served", got)
		}
		end()
		if got := s.seller.barters.take(barterKey{s.infoHash, subnetOf(newPeerAddr.Addr())}); got != maxBarter {
			t.Errorf("%v are remembered", got)
		}
	})
}
