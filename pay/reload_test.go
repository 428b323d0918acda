package pay

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"paygate/config"
	"paygate/ledger"
	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

func perGiB(m units.Msat) units.Price { return units.Price{Msat: m, Per: units.GiB} }

// TestPriceChangesInMidTransfer lets 50 sets of rules follow each other while bytes flow. What was bought keeps its
// price, both sides count the same, and the transfer never stops.
func TestPriceChangesInMidTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(70*time.Millisecond), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.size = 256 << 20
		s.start()
		changed := make(chan struct{})
		go func() {
			defer close(changed)
			for i := range 50 {
				time.Sleep(400 * time.Millisecond)
				next := sell
				next.Rules = append([]config.SellRule(nil), sell.Rules...)
				next.Rules[0].Price = perGiB(units.Msat(500+37*(i*7%13)) * units.Sat)
				next.Rules[0].Line = i
				s.seller.SetRules(next, config.Buy{})
			}
		}()
		began := time.Now()
		s.transfer(5 * time.Minute)
		took := time.Since(began)
		<-changed
		time.Sleep(5 * time.Second)
		s.close()
		if s.got != s.size {
			t.Fatalf("%d of %d bytes came", s.got, s.size)
		}
		seller, buyer := s.totals()
		t.Logf("%d payments, %v; stalled %v of %v; seller owes %v, buyer holds %v", buyer.PaymentsOut, buyer.Paid, s.stalls, took, seller.CreditOwed, buyer.CreditHeld)
		if buyer.Paid != seller.Received {
			t.Errorf("paid %v, received %v", buyer.Paid, seller.Received)
		}
		if diff := seller.CreditOwed - buyer.CreditHeld; diff < -60 || diff > 60 { // each price is rounded once
			t.Errorf("the books are %d msat apart", diff)
		}
		if s.lost() != 0 {
			t.Errorf("%v counts as lost", s.lost())
		}
		if s.stalls > 2*time.Second {
			t.Errorf("stalled for %v", s.stalls)
		}
	})
}

// TestPaidBytesKeepTheirPrice raises the price tenfold when a purchase has just been made.
func TestPaidBytesKeepTheirPrice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		sell.Rules[0].Sample = 0
		buy.PerDay = 11 * units.Sat // one purchase and its fee
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.rate = 1 << 20
		s.start()
		s.transfer(2 * time.Second)
		dear := sell
		dear.Rules = append([]config.SellRule(nil), sell.Rules...)
		dear.Rules[0].Price = perGiB(10_000 * units.Sat)
		s.seller.SetRules(dear, config.Buy{})
		s.transfer(time.Minute)
		s.close()
		bought := sell.Rules[0].Price.Buys(10 * units.Sat)
		if got := units.Bytes(s.got); got > bought || got < bought-block {
			t.Errorf("%v came for a purchase of %v", got, bought)
		}
		seller, buyer := s.totals()
		if diff := seller.CreditOwed - buyer.CreditHeld; diff < -1 || diff > 1 || s.lost() != 0 {
			t.Errorf("seller owes %v, buyer holds %v, %v lost", seller.CreditOwed, buyer.CreditHeld, s.lost())
		}
	})
}

func TestCapsChangeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.start()
		s.transfer(time.Second)
		paid := func() units.Msat { _, b := s.totals(); return b.Paid }
		buy.PerDay = paid()
		s.buyer.SetRules(config.Sell{}, buy)
		was := paid()
		s.transfer(time.Minute)
		if now := paid(); now != was {
			t.Errorf("%v was paid above the new cap", now-was)
		}
		buy.PerDay = 5000 * units.Sat
		s.buyer.SetRules(config.Sell{}, buy)
		s.transfer(time.Minute)
		s.close()
		if s.got != s.size {
			t.Errorf("%d of %d bytes came", s.got, s.size)
		}
	})
}

// TestTorrentBecomesFreeAndIsSoldAgain ends the sale of what is being sold, and begins it again.
func TestTorrentBecomesFreeAndIsSoldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.start()
		s.transfer(2 * time.Second)
		s.seller.SetRules(config.Sell{}, config.Buy{})
		time.Sleep(2 * time.Second)
		if _, released, closed := s.sl.state(); !released || closed != "" {
			t.Errorf("released %t, closed %q", released, closed)
		}
		before, _ := s.totals()
		for range 1000 {
			if !s.sc.Request(block) {
				t.Fatal("a free torrent is refused")
			}
			s.sc.Moved(block, true, true)
		}
		time.Sleep(2 * time.Second)
		if after, _ := s.totals(); after.Earned != before.Earned || after.SoldBytes != before.SoldBytes {
			t.Errorf("%v charged for a free torrent", after.Earned-before.Earned)
		}
		s.seller.SetRules(sell, config.Buy{})
		time.Sleep(time.Second)
		if _, _, closed := s.sl.state(); closed != newTerms {
			t.Errorf("closed %q", closed)
		}
		s.close()
	})
}

func TestBuyerThatStopsBuyingKeepsItsBooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.start()
		s.transfer(2 * time.Second)
		buy.Rules = nil
		s.buyer.SetRules(config.Sell{}, buy)
		var was ledger.Totals
		_, was = s.totals()
		s.transfer(time.Minute)
		s.close()
		seller, buyer := s.totals()
		if buyer.Paid != was.Paid {
			t.Errorf("%v more was paid", buyer.Paid-was.Paid)
		}
		if diff := seller.CreditOwed - buyer.CreditHeld; diff < -1 || diff > 1 || s.lost() != 0 {
			t.Errorf("seller owes %v, buyer holds %v, %v lost", seller.CreditOwed, buyer.CreditHeld, s.lost())
		}
		if err := s.buyerL.Verify(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// TestPeerThatARuleRefusesIsLeft denies a buyer by the identity that it shows in mid-connection.
func TestPeerThatARuleRefusesIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		who := publicKey(s.buyer.keys.Buyer(publicKey(s.seller.keys.Seller())))
		refuse := config.SellRule{Name: "never", Any: true, Deny: true, Match: config.Match{Identity: []units.PeerKey{who}}}
		sell.Rules = append([]config.SellRule{refuse}, sell.Rules...)
		s.seller.SetRules(sell, config.Buy{})
		s.start()
		time.Sleep(3 * time.Second)
		if _, _, closed := s.sl.state(); closed != denied {
			t.Errorf("closed %q", closed)
		}
		s.close()
	})
}

// TestFriendIsServedFree has a rule exempt a buyer by the identity that it shows.
func TestFriendIsServedFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		who := publicKey(s.buyer.keys.Buyer(publicKey(s.seller.keys.Seller())))
		friend := config.SellRule{Name: "friend", Any: true, Match: config.Match{Identity: []units.PeerKey{who}}}
		sell.Rules = append([]config.SellRule{friend}, sell.Rules...)
		s.seller.SetRules(sell, config.Buy{})
		s.start()
		s.transfer(time.Minute)
		s.close()
		if seller, _ := s.totals(); s.got != s.size || seller.Received != 0 {
			t.Errorf("%d of %d bytes came, for %v", s.got, s.size, seller.Received)
		}
	})
}

// TestPriceFollowsTheClock sells at night only.
func TestPriceFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		now := time.Now().UTC()
		minute := now.Hour()*60 + now.Minute()
		sell.Rules[0].Match.Times = config.Times{Zone: time.UTC, Hours: []config.Span{{From: (minute + 30) % 1440, To: (minute + 90) % 1440}}}
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.start()
		time.Sleep(29 * time.Minute)
		if _, released, closed := s.sl.state(); !released || closed != "" {
			t.Errorf("by day: released %t, closed %q", released, closed)
		}
		time.Sleep(3 * time.Minute)
		if _, _, closed := s.sl.state(); closed != newTerms {
			t.Errorf("by night: closed %q", closed)
		}
		s.close()
	})
}

// TestSellingThatBeginsWithAReloadIsPaidFor settles an invoice that was made under rules which came after the start.
func TestSellingThatBeginsWithAReloadIsPaidFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), config.Sell{}, buy)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.seller.Run(ctx) }()
		time.Sleep(time.Minute)
		s.seller.SetRules(sell, config.Buy{})
		made, err := s.bank.node(1).Issue(ctx, Order{Msat: 10 * units.Sat})
		if err != nil {
			t.Fatal(err)
		}
		inv := ledger.Invoice{
			Hash: made.Hash, Buyer: units.PeerKey{9}, InfoHash: s.infoHash, Price: sell.Rules[0].Price, Buys: units.MiB,
			Msat: 10 * units.Sat, For: wire.ForBytes, Request: made.Request, Expires: made.Expires,
		}
		if err := s.sellerL.AddInvoice(ctx, inv); err != nil {
			t.Fatal(err)
		}
		if _, err := s.bank.settle(made.Hash); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if a, err := s.sellerL.Account(ctx, inv.Buyer); err != nil || a.Balance != inv.Msat {
			t.Errorf("%+v, %v", a, err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestRefusalsHoldForWhatIsHidden has a rule that refuses, and none that charges: encryption must not lead around it.
func TestRefusalsHoldForWhatIsHidden(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l.sqlite"))
	defer l.Close()
	refuse := config.SellRule{Name: "never", Deny: true, InfoHash: []units.InfoHash{{1}}}
	free := config.SellRule{Name: "free", Any: true}
	for _, c := range []struct {
		rules []config.SellRule
		want  bool
	}{
		{[]config.SellRule{refuse, free}, true},
		{[]config.SellRule{free, refuse}, false},
		{[]config.SellRule{{Name: "nobody", Deny: true}}, false},
		{nil, false},
	} {
		d := newDesk(t, Config{Sell: config.Sell{Rules: c.rules}}, l, newBank(0).node(1), filepath.Join(t.TempDir(), "key"))
		if got := d.MayCharge(); got != c.want {
			t.Errorf("%+v: %t", c.rules, got)
		}
	}
}

// TestBytesKeepThePriceOfTheirPlace has a seller that changes its price between blocks, faster than the buyer reads.
func TestBytesKeepThePriceOfTheirPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		buy.PerTorrent, buy.PerDay, buy.Total = 1, 1, 1 // nothing is bought, or it would be delivered at the price it was bought for
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.start()
		time.Sleep(time.Second)
		want := units.Msat(0)
		for i := range 20 {
			terms := wire.Terms{Price: units.Price{Msat: units.Msat(1000+100*(i%3)) * units.Sat, Per: units.GiB}, Min: units.Sat, Max: units.Sat, TTL: 60}
			s.bc.Message(0, encode(t, terms))
			for range i + 1 {
				s.bc.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block})
				s.bc.Moved(block, false, false)
			}
			if i%5 == 4 {
				time.Sleep(5 * time.Second)
			}
		}
		time.Sleep(5 * time.Second)
		s.close()
		for i := range 3 { // one tally for each price
			bytes := units.Bytes(0)
			for j := i; j < 20; j += 3 {
				bytes += units.Bytes(j+1) * block
			}
			want += units.Price{Msat: units.Msat(1000+100*i) * units.Sat, Per: units.GiB}.Charge(bytes)
		}
		purse, err := s.buyerL.Purse(context.Background(), s.bc.buyer.seller)
		if err != nil || purse.Charged != want {
			t.Errorf("charged %s, want %s, %v", purse.Charged, want, err)
		}
	})
}
