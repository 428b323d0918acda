package pay

import (
	"testing"
	"testing/synctest"
	"time"

	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

// TestUploadOfARuleIsKept lets a rule's upload be the bottleneck: nothing is shut for it, and the books agree.
func TestUploadOfARuleIsKept(t *testing.T) {
	for name, auction := range map[string]bool{"a price": false, "bids": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sell, buy := simRules()
				sell.Rules[0].Upload, sell.Rules[0].Auction, sell.Rules[0].Sample = 2*units.MiB, auction, 0
				buy.Rules[0].Bid = perGiB(1500 * units.Sat)
				s := newSim(t, newBank(70*time.Millisecond), sell, buy)
				defer func() { s.sellerL.Close(); s.buyerL.Close() }()
				s.start()
				began := time.Now()
				s.transfer(2 * time.Minute)
				took := time.Since(began)
				time.Sleep(3 * time.Second)
				s.close()
				if s.got != s.size || took < 31*time.Second || took > 38*time.Second {
					t.Errorf("%d of %d bytes came in %v", s.got, s.size, took)
				}
				if s.sl.shuts > 0 {
					t.Errorf("shut %d times", s.sl.shuts)
				}
				seller, buyer := s.totals()
				price := map[bool]units.Price{true: perGiB(1500 * units.Sat), false: perGiB(1000 * units.Sat)}[auction]
				if want := price.Charge(units.Bytes(s.size)); seller.Earned != want {
					t.Errorf("earned %v, want %v", seller.Earned, want)
				}
				if seller.CreditOwed != buyer.CreditHeld || s.lost() != 0 {
					t.Errorf("seller owes %v, buyer holds %v, %v lost", seller.CreditOwed, buyer.CreditHeld, s.lost())
				}
			})
		})
	}
}

// TestPlacesOfARuleAreKept has three peers ask for two places.
func TestPlacesOfARuleAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		sell.Rules[0].MaxPeers, sell.Rules[0].Legacy = 2, "serve"
		s := newSim(t, newBank(0), sell, buy)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		ctx, end := s.opensShop()
		var links []*simLink
		var convs []*conversation
		for range 3 {
			c, l := s.peer(ctx)
			c.Notify(proxy.Event{Kind: proxy.ClientHas, Complete: true})
			c.Notify(proxy.Event{Kind: proxy.RemoteInterested})
			links, convs = append(links, l), append(convs, c)
		}
		open := func() (n int) {
			for _, l := range links {
				if m, _, _ := l.state(); m == opened {
					n++
				}
			}
			return n
		}
		time.Sleep(20 * time.Second)
		if n := open(); n != 2 {
			t.Errorf("%d are served", n)
		}
		_ = convs
		end()
	})
}

func TestBidsMoveEveryTenSeconds(t *testing.T) {
	sell, _ := simRules()
	s := &seller{rule: &sell.Rules[0]}
	s.rule.Auction = true
	floor := s.rule.Price.Msat
	start := time.Unix(1e9, 0)
	for _, c := range []struct {
		at        time.Duration
		bid, want units.Msat
	}{
		{0, 2 * floor, 2 * floor},
		{time.Second, 4 * floor, 2 * floor},
		{9 * time.Second, 0, 2 * floor},
		{10 * time.Second, 4 * floor, 4 * floor},
		{19 * time.Second, 0, 4 * floor},
		{20 * time.Second, floor / 2, floor},
	} {
		if got := s.asked(start.Add(c.at), c.bid); got.Msat != c.want {
			t.Errorf("after %v, at a bid of %v: %v", c.at, c.bid, got)
		}
	}
	s.rule.Auction = false
	if got := s.asked(start.Add(time.Hour), 9*floor); got != s.rule.Price {
		t.Errorf("%v without an auction", got)
	}
}

// TestBidThatIsNotPaidMovesNothing has a buyer of the floor bid and pay nothing.
func TestBidThatIsNotPaidMovesNothing(t *testing.T) {
	sell, _ := simRules()
	s := &seller{rule: &sell.Rules[0]}
	s.rule.Auction = true
	floor := s.rule.Price
	bid := units.Price{Msat: 1000 * floor.Msat, Per: floor.Per}
	s.stock.batches = []batch{{kind: given, bytes: 1}, {kind: sold, bytes: 1, price: floor}, {kind: sold, bytes: 1, price: bid}}
	if got := s.asked(time.Unix(1e9, 0), bid.Msat); got != bid {
		t.Fatal(got)
	}
	if got := s.paying(); got != floor {
		t.Errorf("counts as paying %v", got)
	}
	s.stock.batches = s.stock.batches[2:]
	if got := s.paying(); got != bid {
		t.Errorf("pays a bid and counts as paying %v", got)
	}
}

// TestNoPlaceIsKeptWithoutASlot has a peer that may have a sample, and all slots for such peers taken.
func TestNoPlaceIsKeptWithoutASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		sell.Rules[0].MaxPeers, sell.Rules[0].Legacy = 1, "sample"
		s := newSim(t, newBank(0), sell, buy)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		s.seller.slots = newSlots(0)
		ctx, end := s.opensShop()
		c, _ := s.peer(ctx)
		c.Notify(proxy.Event{Kind: proxy.ClientHas, Complete: true})
		c.Notify(proxy.Event{Kind: proxy.RemoteInterested})
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if c.avail.Load() < block {
			t.Error("the peer has no sample")
		}
		for _, l := range s.seller.road.all() {
			l.mu.Lock()
			for _, m := range l.members {
				if m.served {
					t.Error("it keeps a place")
				}
			}
			l.mu.Unlock()
		}
		end()
	})
}

// TestBidForLessThanAByte has a buyer bid so much that its money buys nothing.
func TestBidForLessThanAByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		sell.Rules[0].Auction, sell.Rules[0].Upload = true, units.MiB
		s := newSim(t, newBank(0), sell, buy)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		asked := 0
		s.tamper = func(b []byte) []byte {
			m, err := wire.ParseMessage(b)
			if order, ok := m.(wire.Buy); ok && err == nil {
				asked++
				order.Bid = units.MaxMsat
				return encode(t, order)
			}
			return b
		}
		s.start()
		s.transfer(10 * time.Second)
		s.close()
		if asked == 0 {
			t.Error("nobody has bid")
		}
		for _, inv := range s.bank.invoices {
			t.Errorf("an invoice over %v was made", inv.Msat)
		}
	})
}

// TestBidAboveANewCeilingIsNotPaid has the owner pay less than was bid a moment ago.
func TestBidAboveANewCeilingIsNotPaid(t *testing.T) {
	for _, c := range []struct {
		ask, floor, ceiling units.Msat
		purpose             string
		kept                bool
	}{
		{20, 10, 20, wire.ForBytes, true},
		{20, 10, 15, wire.ForBytes, false},
		{10, 10, 9, wire.ForBytes, false},
		{10, 10, 9, wire.ForDebt, true}, // what was had is paid
	} {
		b := &buyer{terms: &wire.Terms{Price: perGiB(c.floor)}, ask: &openAsk{price: perGiB(c.ask), purpose: c.purpose}}
		b.adopt(perGiB(c.ceiling), true)
		if kept := b.ask != nil; kept != c.kept {
			t.Errorf("%+v: kept %t", c, kept)
		}
	}
}
