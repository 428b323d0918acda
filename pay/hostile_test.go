package pay

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paygate/ledger"
	"paygate/policy"
	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

// TestProvenSellersDoNotNameTheStake meets sellers that deliver their first purchase, and then, all at once, say that nobody
// can buy less of them than the most that we pay at once.
func TestProvenSellersDoNotNameTheStake(t *testing.T) {
	robbed(t, 100*time.Millisecond, func(s *sim) {
		var here []*thief
		var takes atomic.Bool
		for range 20 {
			bought := 0
			here = append(here, s.thief(func(th *thief, b wire.Buy) {
				if bought++; bought > 1 && !takes.Load() {
					th.say(wire.No{Code: wire.NoBusy, TTL: 5})
					return
				}
				first := bought == 1
				s.wg.Go(func() {
					th.bill(b)
					if first {
						time.Sleep(time.Second)
						th.deliver(b)
					}
				})
			}))
		}
		time.Sleep(time.Minute)
		takes.Store(true)
		for _, th := range here {
			dear := thiefTerms
			dear.Min = s.buy.Max
			th.say(dear)
		}
		time.Sleep(time.Minute)
		for _, th := range here {
			th.leave()
		}
		time.Sleep(time.Hour)
	}, func(s *sim, got ledger.Totals) {
		bound := policy.LossLimit(s.buy.PerTorrent, thiefTerms.Min) + 2*s.buy.PerTorrent/20
		s.stolen(got, bound)
		if got.PaymentsOut < 20 {
			t.Error("the bound was not tried")
		}
	})
}

// TestStrangerDoesNotNameItsSecondPurchase has sellers name as large a smallest purchase as a stranger may, and seem to be
// fast for a moment.
func TestStrangerDoesNotNameItsSecondPurchase(t *testing.T) {
	least := 250 * units.Sat
	robbed(t, 100*time.Millisecond, func(s *sim) {
		var here []*thief
		for range 3 {
			terms := thiefTerms
			terms.Min = least
			th := s.thiefAt(terms, func(th *thief, b wire.Buy) {
				s.wg.Go(func() {
					th.bill(b)
					time.Sleep(time.Second)
					for range 3 {
						time.Sleep(time.Second / 50)
						th.deliver(wire.Buy{Amt: thiefTerms.Price.Charge(200 * block)})
					}
				})
			})
			here = append(here, th)
		}
		time.Sleep(30 * time.Second)
		for _, th := range here {
			th.leave()
		}
	}, func(s *sim, got ledger.Totals) {
		delivered := thiefTerms.Price.Charge(4 * 200 * block) // one burst more than there are
		if most := 2 * (least + policy.Stake(delivered, s.buy.Max, 0)); got.Paid > most || got.Paid <= 2*least {
			t.Errorf("%d payments of %v, at most %v are allowed", got.PaymentsOut, got.Paid, most)
		}
	})
}

// TestHonestSellerSellsOnBesideThieves has a seller deliver all whole blocks that were paid, and thieves hold as
// much as they can get.
func TestHonestSellerSellsOnBesideThieves(t *testing.T) {
	robbed(t, 100*time.Millisecond, func(s *sim) {
		var mu sync.Mutex
		sold, served, rush := units.Msat(0), int64(0), false // mu
		honest := s.thief(func(th *thief, b wire.Buy) {
			mu.Lock()
			defer mu.Unlock()
			if sold > 0 && !rush {
				return
			}
			sold += b.Amt
			s.wg.Go(func() {
				th.bill(b)
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				for ; served+block <= int64(thiefTerms.Price.Buys(sold)); served += block {
					th.c.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block})
					th.c.Moved(block, false, false)
				}
			})
		})
		time.Sleep(5 * time.Second)
		for range 8 {
			th := s.thief(frauds["denies"])
			time.Sleep(5 * time.Second)
			th.leave()
		}
		mu.Lock()
		before := sold
		rush = true
		mu.Unlock()
		honest.say(wire.No{Code: wire.NoBusy, TTL: 1})
		time.Sleep(time.Minute)
		honest.leave()
		mu.Lock()
		defer mu.Unlock()
		t.Logf("sold %v before, %v after", before, sold)
		if sold < 4*before {
			t.Errorf("%v sold, of which %v before", sold, before)
		}
	}, func(*sim, ledger.Totals) {})
}

// TestDebtIsPaidOnceWhateverConnectionsThereAre has a seller serve on credit, and bill the debt on all of its connections.
func TestDebtIsPaidOnceWhateverConnectionsThereAre(t *testing.T) {
	robbed(t, 100*time.Millisecond, func(s *sim) {
		var kept orders
		order := func(th *thief, b wire.Buy) {
			if b.For == wire.ForDebt {
				kept.keepDebt(th, b)
				return
			}
			th.say(wire.No{Code: wire.NoBusy, TTL: 1})
		}
		all := []*thief{s.thief(order)}
		for range 9 {
			again := &thief{t: s.t, s: s, keys: all[0].keys, order: order}
			again.connect(thiefTerms)
			all = append(all, again)
		}
		time.Sleep(2 * time.Second)
		all[0].deliver(wire.Buy{Amt: 100 * units.Sat})
		time.Sleep(2 * time.Second)
		for _, th := range all {
			th.deliver(wire.Buy{Amt: 1}) // a block, which makes it look at the account
			th.c.Notify(proxy.Event{Kind: proxy.ClientNotInterested})
		}
		time.Sleep(20 * time.Second)
		kept.answer()
		time.Sleep(20 * time.Second)
		for _, th := range all {
			th.leave()
		}
	}, func(s *sim, got ledger.Totals) {
		t.Logf("%d payments of %v, %v held", got.PaymentsOut, got.Paid, got.CreditHeld)
		if got.Paid > 101*units.Sat || got.PaymentsOut == 0 {
			t.Errorf("%d payments of %v for a debt of 100 sat", got.PaymentsOut, got.Paid)
		}
	})
}

func (o *orders) keepDebt(th *thief, b wire.Buy) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bill = append(o.bill, func() { th.billFor(b) })
}

// TestDebtProvesNobody meets sellers that serve a little on credit, and go with the first purchase once that is paid.
func TestDebtProvesNobody(t *testing.T) {
	robbed(t, 100*time.Millisecond, func(s *sim) {
		var here []*thief
		for range 40 {
			indebted := false
			th := s.thief(func(th *thief, b wire.Buy) {
				if b.For == wire.ForBytes && !indebted {
					th.say(wire.No{Code: wire.NoBusy, TTL: 1})
					return
				}
				indebted = true
				s.wg.Go(func() { th.billFor(b) })
			})
			time.Sleep(time.Second)
			th.deliver(wire.Buy{Amt: 2 * units.Sat})
			th.c.Notify(proxy.Event{Kind: proxy.ClientNotInterested})
			here = append(here, th)
		}
		time.Sleep(3 * time.Minute)
		for _, th := range here {
			th.c.Notify(proxy.Event{Kind: proxy.ClientInterested})
		}
		time.Sleep(10 * time.Minute)
		for _, th := range here {
			th.leave()
		}
		time.Sleep(time.Hour)
	}, func(s *sim, got ledger.Totals) {
		bound := policy.LossLimit(s.buy.PerTorrent, thiefTerms.Min) + 2*2*thiefTerms.Min
		stolen := s.stolen(got, bound)
		if stolen == 0 {
			t.Error("the bound was not tried")
		}
	})
}

// TestLossesCountWhereTheMoneyWasPaid meets thieves that are paid for one torrent, and say on another that they owe nothing.
func TestLossesCountWhereTheMoneyWasPaid(t *testing.T) {
	_, buy := simRules()
	buy.PerDay, buy.Total = 1_000_000*units.Sat, 1_000_000*units.Sat // a day's losses end nothing here
	robbedUnder(t, buy, 100*time.Millisecond, func(s *sim) {
		elsewhere := &sim{t: t, bank: s.bank, infoHash: units.InfoHash{8}, dir: s.dir, buy: s.buy, buyer: s.buyer, buyerL: s.buyerL}
		for range 40 {
			th := s.thief(func(th *thief, b wire.Buy) { s.wg.Go(func() { th.bill(b) }) })
			time.Sleep(5 * time.Second)
			th.leave()
			liar := &thief{t: t, s: elsewhere, keys: th.keys, order: func(*thief, wire.Buy) {}}
			liar.connect(thiefTerms)
			liar.say(wire.State{Gate: wire.GateShut})
			time.Sleep(5 * time.Second)
			liar.leave()
		}
	}, func(s *sim, got ledger.Totals) {
		if most := policy.LossLimit(s.buy.PerTorrent, thiefTerms.Min) + 2*thiefTerms.Min; got.Paid > most || s.lost() == 0 {
			t.Errorf("%d payments of %v for the torrent, at most %v are allowed; %v written off", got.PaymentsOut, got.Paid, most, s.lost())
		}
	})
}

// TestPriceDoesNotSayHowMuchACutHasCost has a seller deliver a lot, and come back with another price to say that much was under
// way.
func TestPriceDoesNotSayHowMuchACutHasCost(t *testing.T) {
	robbed(t, 100*time.Millisecond, func(s *sim) {
		sold := units.Msat(0)
		th := s.thief(func(th *thief, b wire.Buy) {
			deliver := sold < 500*units.Sat
			sold += b.Amt
			s.wg.Go(func() {
				th.bill(b)
				if deliver {
					time.Sleep(time.Second)
					th.deliver(b)
				}
			})
		})
		time.Sleep(time.Minute)
		th.leave()
		dear := thiefTerms
		dear.Price = units.Price{Msat: units.MaxMsat, Per: 1}
		th.connect(dear)
		th.say(wire.State{Gate: wire.GateShut})
		time.Sleep(time.Second)
		th.leave()
		purse, err := s.buyerL.Purse(context.Background(), publicKey(th.keys.Seller()))
		if err != nil {
			t.Fatal(err)
		}
		if most := s.buy.Rules[0].MaxPrice.Charge(underWay); purse.Missed > most || purse.Missed == 0 {
			t.Errorf("%v excused of %v written off and %v delivered, at most %v should be", purse.Missed, purse.WrittenOff, purse.Charged, most)
		}
	}, func(*sim, ledger.Totals) {})
}

// TestThievesDoNotNameTheLimitOfLosses meets thieves that sell no less than five times what we would buy.
func TestThievesDoNotNameTheLimitOfLosses(t *testing.T) {
	terms := thiefTerms
	terms.Min = 5 * thiefTerms.Min
	_, buy := simRules()
	buy.PerDay, buy.Total = 1_000_000*units.Sat, 1_000_000*units.Sat // a day's losses end nothing here
	robbedUnder(t, buy, 100*time.Millisecond, func(s *sim) {
		for range 20 {
			th := s.thiefAt(terms, func(th *thief, b wire.Buy) { s.wg.Go(func() { th.bill(b) }) })
			time.Sleep(5 * time.Second)
			th.leave()
			time.Sleep(departedAfter + 2*time.Minute)
		}
	}, func(s *sim, got ledger.Totals) {
		if most := policy.LossLimit(s.buy.PerTorrent, thiefTerms.Min) + 2*terms.Min; s.lost() > most || s.lost() == 0 {
			t.Errorf("%v lost in %d payments, at most %v are allowed", s.lost(), got.PaymentsOut, most)
		}
	})
}

// TestSellersThatDripKeepNobodyFromBeingPaid has two sellers that send a block now and then, so that they are neither silent
// nor gone, and an honest one that comes after them.
func TestSellersThatDripKeepNobodyFromBeingPaid(t *testing.T) {
	var served atomic.Int64
	robbed(t, 100*time.Millisecond, func(s *sim) {
		ctx, stop := context.WithCancel(context.Background())
		var here []*thief
		for range 2 {
			here = append(here, s.thief(func(th *thief, b wire.Buy) {
				s.wg.Go(func() {
					th.bill(b)
					for sleep(ctx, 50*time.Second) {
						th.c.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block})
						th.c.Moved(block, false, false)
					}
				})
			}))
		}
		time.Sleep(time.Minute)
		here = append(here, s.thief(func(th *thief, b wire.Buy) {
			served.Add(1)
			s.wg.Go(func() {
				th.bill(b)
				time.Sleep(10 * time.Second)
				th.deliver(b)
			})
		}))
		time.Sleep(5 * time.Minute)
		if served.Load() > 0 {
			t.Error("two strangers hold money, and a third was asked")
		}
		time.Sleep(10 * time.Minute)
		stop()
		for _, th := range here {
			th.leave()
		}
	}, func(s *sim, got ledger.Totals) {
		t.Logf("%d payments of %v, %d to the honest one", got.PaymentsOut, got.Paid, served.Load())
		if served.Load() < 3 {
			t.Errorf("the honest seller was asked %d times", served.Load())
		}
	})
}
