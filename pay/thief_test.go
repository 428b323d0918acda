package pay

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"paygate/config"
	"paygate/ledger"
	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

// thief is a seller that a test plays by hand: it says what the test wants, and order does what it likes with a buy.
type thief struct {
	t     *testing.T
	s     *sim
	keys  *Keys
	dict  []byte
	buyer units.PeerKey
	order func(*thief, wire.Buy)
	c     *conversation
	stop  context.CancelFunc
	done  chan struct{}

	number uint64
}

// thiefLink gives the thief what our side says.
type thiefLink struct {
	simLink
	th *thief
}

func (l *thiefLink) Send(_ int, b []byte) error {
	switch m, _ := wire.ParseMessage(b); m := m.(type) {
	case wire.Hello:
		l.th.buyer = m.PK
	case wire.Buy:
		l.th.order(l.th, m)
	}
	return nil
}

var thiefTerms = wire.Terms{
	Price: units.Price{Msat: 1000 * units.Sat, Per: units.GiB}, Min: 10 * units.Sat, Max: 1000 * units.Sat, TTL: 60,
}

// thief connects a seller with a name of its own to the buyer.
func (s *sim) thief(order func(*thief, wire.Buy)) *thief { return s.thiefAt(thiefTerms, order) }

// thiefAt connects one with terms of its own.
func (s *sim) thiefAt(terms wire.Terms, order func(*thief, wire.Buy)) *thief {
	s.t.Helper()
	s.thieves++
	keys, err := LoadKeys(filepath.Join(s.dir, fmt.Sprintf("thief%d.key", s.thieves)))
	if err != nil {
		s.t.Fatal(err)
	}
	th := &thief{t: s.t, s: s, keys: keys, order: order, number: uint64(s.thieves)}
	th.connect(terms)
	return th
}

// connect opens a session, and offers terms.
func (th *thief) connect(terms wire.Terms) {
	advert := wire.Advert{V: protocolVersion, Methods: []string{methodBolt11}, Net: "regtest"}
	fillNonce(&advert.Nonce)
	th.dict = advert.Encode()
	link := &thiefLink{th: th}
	link.simLink = simLink{s: th.s, initiator: true, remote: netip.MustParseAddrPort("198.51.100.9:6881"), number: th.number}
	th.c = th.s.buyer.open(link)
	ctx, stop := context.WithCancel(context.Background())
	c, done := th.c, make(chan struct{})
	th.stop, th.done = stop, done
	go func() { defer close(done); c.Run(ctx) }()
	for _, e := range []proxy.Event{
		{Kind: proxy.ClientHas},
		{Kind: proxy.Ready},
		{Kind: proxy.RemoteHello, Dialects: []bool{true}, Dicts: [][]byte{th.dict}},
		{Kind: proxy.ClientInterested},
	} {
		th.c.Notify(e)
	}
	intro := introduction{initiator: th.c.dict, acceptor: th.dict, infoHash: th.s.infoHash}
	th.say(intro.hello(th.keys.Seller(), units.PeerKey{}, wire.RoleSeller, units.NodeKey{2, 1}))
	th.say(terms)
}

// leave ends the session.
func (th *thief) leave() {
	th.stop()
	<-th.done
}

func (th *thief) say(m wire.Message) { th.c.Message(0, encode(th.t, m)) }

// bill answers an order with an honest invoice over bytes.
func (th *thief) bill(b wire.Buy) {
	b.For = wire.ForBytes
	th.billFor(b)
}

// billFor answers an order with an honest invoice for what it says.
func (th *thief) billFor(b wire.Buy) {
	buys := thiefTerms.Price.Buys(b.Amt)
	binding := wire.Binding(th.buyer, publicKey(th.keys.Seller()), buys, thiefTerms.Price)
	out, err := th.s.bank.node(1).Issue(context.Background(), Order{Msat: b.Amt, Binding: binding})
	if err != nil {
		th.t.Error(err)
		return
	}
	th.say(wire.Invoice{Request: out.Request, Buys: buys, For: b.For})
}

// deliver sends what an order has bought.
func (th *thief) deliver(b wire.Buy) {
	for n := int64(thiefTerms.Price.Buys(b.Amt)); n > 0; n -= block {
		th.c.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block})
		th.c.Moved(block, false, false)
	}
}

// robbed lets a buyer meet thieves, and has what it lost looked at. Whoever is left at the end is sent away.
func robbed(t *testing.T, latency time.Duration, meet func(*sim), check func(*sim, ledger.Totals)) {
	t.Helper()
	_, buy := simRules()
	robbedUnder(t, buy, latency, meet, check)
}

// robbedUnder does so under the owner's rules for buying.
func robbedUnder(t *testing.T, buy config.Buy, latency time.Duration, meet func(*sim), check func(*sim, ledger.Totals)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &sim{t: t, bank: newBank(latency), infoHash: units.InfoHash{7}, dir: t.TempDir(), buy: buy}
		s.openBuyer()
		defer s.buyerL.Close()
		ctx, stop := context.WithCancel(context.Background())
		s.wg.Go(func() {
			if err := s.buyer.Run(ctx); err != nil {
				t.Errorf("desk: %v", err)
			}
		})
		synctest.Wait()
		meet(s)
		stop()
		s.wg.Wait()
		if err := s.buyerL.Verify(context.Background()); err != nil {
			t.Errorf("books: %v", err)
		}
		totals, err := s.buyerL.Totals(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		check(s, totals)
	})
}

// lost is what has been written off on the torrent.
func (s *sim) lost() units.Msat {
	s.t.Helper()
	lost, _, err := s.buyerL.WrittenOff(context.Background(), s.infoHash)
	if err != nil {
		s.t.Fatal(err)
	}
	return lost
}

// stolen is what thieves hold and what was written off, which must be within a bound.
func (s *sim) stolen(got ledger.Totals, bound units.Msat) units.Msat {
	s.t.Helper()
	lost := s.lost()
	s.t.Logf("%d payments of %v, %v held, %v written off, bound %v", got.PaymentsOut, got.Paid, got.CreditHeld, lost, bound)
	if got.CreditHeld+lost > bound {
		s.t.Errorf("%v stolen, at most %v are allowed", got.CreditHeld+lost, bound)
	}
	return got.CreditHeld + lost
}

func atMostPaid(t *testing.T, most int) func(*sim, ledger.Totals) {
	return func(_ *sim, got ledger.Totals) {
		if got.PaymentsOut > most || got.PaymentsOut == 0 {
			t.Errorf("%d payments of %v in all, at most %d are allowed", got.PaymentsOut, got.Paid, most)
		}
	}
}

// orders keeps what thieves were asked for, until all are answered at once.
type orders struct {
	mu   sync.Mutex
	bill []func()
}

func (o *orders) keep(th *thief, b wire.Buy) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bill = append(o.bill, func() { th.bill(b) })
}

func (o *orders) answer() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, bill := range o.bill {
		bill()
	}
}

func TestThievesThatAnswerAtOnceArePaidTwoAtATime(t *testing.T) {
	robbed(t, 0, func(s *sim) {
		var kept orders
		var all []*thief
		for range 50 {
			all = append(all, s.thief(kept.keep))
		}
		time.Sleep(10 * time.Second)
		kept.answer()
		time.Sleep(10 * time.Second)
		for _, th := range all {
			th.leave()
		}
	}, atMostPaid(t, 2))
}

func TestOneSellerOnManyConnectionsHoldsOnePurchase(t *testing.T) {
	robbed(t, 0, func(s *sim) {
		var kept orders
		all := []*thief{s.thief(kept.keep)}
		for range 39 {
			again := &thief{t: s.t, s: s, keys: all[0].keys, order: kept.keep}
			again.connect(thiefTerms)
			all = append(all, again)
		}
		time.Sleep(10 * time.Second)
		kept.answer()
		time.Sleep(10 * time.Second)
		for _, th := range all {
			th.leave()
		}
	}, atMostPaid(t, 1))
}

// TestThievesThatHangUpDuringThePaymentAreCounted has each come under a new name and go before it is paid.
func TestThievesThatHangUpDuringThePaymentAreCounted(t *testing.T) {
	robbed(t, 100*time.Millisecond, func(s *sim) {
		for range 60 {
			th := s.thief(func(th *thief, b wire.Buy) {
				s.wg.Go(func() { th.bill(b); time.Sleep(50 * time.Millisecond); th.stop() })
			})
			time.Sleep(2 * time.Second)
			th.leave()
		}
	}, atMostPaid(t, 2))
}

// TestSellerThatLiesAfterItsFirstDeliveryIsAStrangerAgain has a seller deliver once, and claim from then on to owe
// nothing.
func TestSellerThatLiesAfterItsFirstDeliveryIsAStrangerAgain(t *testing.T) {
	robbed(t, 0, func(s *sim) {
		first := true
		th := s.thief(func(th *thief, b wire.Buy) {
			deliver := first
			first = false
			s.wg.Go(func() {
				th.bill(b)
				time.Sleep(100 * time.Millisecond)
				th.say(wire.State{Gate: wire.GateOpen, Bal: b.Amt})
				if deliver {
					th.deliver(b)
				}
				time.Sleep(4 * time.Second)
				th.say(wire.State{Gate: wire.GateHeld})
				th.say(wire.State{Gate: wire.GateShut, Bal: 0})
			})
		})
		time.Sleep(2 * time.Hour)
		th.leave()
	}, func(s *sim, got ledger.Totals) {
		if lost := s.lost(); lost > s.buy.PerTorrent/20 || lost == 0 {
			t.Errorf("%v of %v lost, in %d payments", lost, s.buy.PerTorrent, got.PaymentsOut)
		}
	})
}

func TestStrangerDoesNotNameTheStake(t *testing.T) {
	for name, tc := range map[string]struct {
		least units.Msat
		paid  int
	}{
		"as much as we would offer":        {10 * units.Sat, 1},
		"a twentieth of the torrent's cap": {250 * units.Sat, 1},
		"more":                             {251 * units.Sat, 0},
		"all that we pay at once":          {1000 * units.Sat, 0},
	} {
		t.Run(name, func(t *testing.T) {
			robbed(t, 0, func(s *sim) {
				terms := thiefTerms
				terms.Min = tc.least
				th := s.thiefAt(terms, func(th *thief, b wire.Buy) { s.wg.Go(func() { th.bill(b) }) })
				time.Sleep(20 * time.Second)
				th.leave()
			}, func(_ *sim, got ledger.Totals) {
				if got.PaymentsOut != tc.paid {
					t.Errorf("%d payments of %v, want %d", got.PaymentsOut, got.Paid, tc.paid)
				}
			})
		})
	}
}

// TestAbsurdPriceDoesNotUseUpCredit has a seller raise its price for one block, so that the block looks dear enough
// to have proven it.
func TestAbsurdPriceDoesNotUseUpCredit(t *testing.T) {
	robbed(t, 0, func(s *sim) {
		th := s.thief(func(th *thief, b wire.Buy) {
			s.wg.Go(func() { time.Sleep(time.Second); th.bill(b) })
		})
		time.Sleep(3 * time.Second)
		dear := thiefTerms
		dear.Price = units.Price{Msat: units.MaxMsat, Per: 1}
		th.say(dear)
		time.Sleep(2 * time.Second)
		th.c.Moved(block, false, false)
		time.Sleep(3 * time.Second)
		th.say(thiefTerms)
		time.Sleep(2 * time.Hour)
		th.leave()
	}, atMostPaid(t, 6))
}

// TestStrangersThatHaveGoneMakeRoom has two thieves leave with our money, and one of them come back with it.
func TestStrangersThatHaveGoneMakeRoom(t *testing.T) {
	robbed(t, 0, func(s *sim) {
		rob := func(th *thief, b wire.Buy) { s.wg.Go(func() { th.bill(b) }) }
		first, second := s.thief(rob), s.thief(rob)
		time.Sleep(5 * time.Second)
		first.leave()
		second.leave()
		third := s.thief(rob)
		payments := func() int {
			totals, err := s.buyerL.Totals(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			return totals.PaymentsOut
		}
		time.Sleep(departedAfter - time.Minute)
		if got := payments(); got != 2 {
			t.Errorf("%d sellers were paid before the two that have gone were given up", got)
		}
		time.Sleep(90 * time.Second)
		third.leave()
		if got, lost := payments(), s.lost(); got != 3 || lost != 2*thiefTerms.Min {
			t.Errorf("%d sellers were paid, %v written off", got, lost)
		}
		first.connect(thiefTerms)
		first.say(wire.State{Gate: wire.GateOpen, Bal: thiefTerms.Min})
		time.Sleep(time.Second)
		first.leave()
		if lost := s.lost(); lost != thiefTerms.Min {
			t.Errorf("%v written off after one has come back", lost)
		}
	}, atMostPaid(t, 3))
}

func TestSellersOfAnEarlierRunAreGoneFromItsStart(t *testing.T) {
	b, seller, start := newBook(), units.PeerKey{1}, time.Unix(1e9, 0)
	for i, m := range []units.Msat{10, 20} {
		b.paid(ledger.Intent{Seller: seller, InfoHash: units.InfoHash{byte(i + 1)}, Msat: m, Price: units.Price{Msat: 1, Per: block}}, time.Now())
	}
	b.delivered(ledger.Purse{Seller: seller, Purchases: 2, Paid: 30, Balance: 30})
	for _, tc := range []struct {
		at     time.Duration
		change func()
		gone   bool
	}{
		{at: 0},
		{at: departedAfter - 1},
		{at: departedAfter, gone: true},
		{at: departedAfter, change: func() { b.arrives(seller) }},
		{at: 3 * departedAfter, change: func() { b.leaves(seller) }},
		{at: 4*departedAfter - 1},
		{at: 4 * departedAfter, gone: true},
		{at: 4 * departedAfter, change: func() { b.pending(ledger.Intent{Seller: seller, InfoHash: units.InfoHash{2}, Msat: 20}, true) }},
		{at: 4 * departedAfter, change: func() {
			b.pending(ledger.Intent{Seller: seller}, false)
			b.sellers[seller].delivered = 28 // it is proven, and yet to go is worth more than to stay
		}, gone: true},
		{at: 4 * departedAfter, change: func() { b.sellers[seller].delivered = 30 }},
	} {
		if tc.change != nil {
			tc.change()
		}
		got := b.departed(start.Add(tc.at), departedAfter)
		if ih, ok := got[seller]; ok != tc.gone || ok && ih != (units.InfoHash{2}) {
			t.Errorf("after %v: %v", tc.at, got)
		}
	}
}
