package pay

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"paygate/policy"
	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

const simPiece = 256 << 10

// scene is a client that downloads of a seller that it was bought from and has delivered, and of somebody else.
type scene struct {
	*sim
	seller, other *thief
}

// play sets a scene, lets something happen, and has the outcome looked at. The seller holds money of ours, and its
// latest pieces are 7, which is whole, and 8, which is not.
func play(t *testing.T, happen, check func(t *testing.T, s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		_, buy := simRules()
		s := &scene{sim: &sim{t: t, bank: newBank(0), infoHash: units.InfoHash{7}, dir: t.TempDir(), buy: buy}}
		s.openBuyer()
		defer func() { s.buyerL.Close() }()
		s.run(func() {
			bought := 0
			s.seller = s.thief(func(th *thief, b wire.Buy) {
				bought++
				s.wg.Go(func() {
					th.bill(b)
					if bought == 1 {
						th.deliver(b)
					}
				})
			})
			s.other = s.thief(func(*thief, wire.Buy) {})
			time.Sleep(10 * time.Second)
			for range 10 {
				s.seller.link().bytesIn.Add(simPiece)
				s.seller.c.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block})
				s.seller.c.Moved(block, false, false)
				time.Sleep(time.Second)
			}
			link := s.seller.link()
			link.mu.Lock()
			link.taken = []proxy.Taken{{Index: 7, Bytes: simPiece}, {Index: 8, Bytes: simPiece / 2}}
			link.length = simPiece
			link.mu.Unlock()
			if !s.buyer.book.proven(s.seller.key()) {
				t.Fatal("the seller has not proven itself")
			}
			happen(t, s)
		})
		check(t, s)
	})
}

// run has the buyer's desk running for as long as do takes, and sends away whoever is still there.
func (s *scene) run(do func()) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	desk := s.buyer
	go func() {
		defer close(done)
		if err := desk.Run(ctx); err != nil {
			s.t.Errorf("desk: %v", err)
		}
	}()
	time.Sleep(2 * time.Second)
	do()
	for _, th := range []*thief{s.seller, s.other} {
		if th != nil {
			th.leave()
		}
	}
	s.wg.Wait()
	stop()
	<-done
	if err := s.buyerL.Verify(context.Background()); err != nil {
		s.t.Errorf("books: %v", err)
	}
}

// restart closes the buyer's ledger and opens it again, with another desk.
func (s *scene) restart() {
	if err := s.buyerL.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.openBuyer()
	if err := s.buyer.recallBook(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (th *thief) link() *simLink     { return &th.c.link.(*thiefLink).simLink }
func (th *thief) key() units.PeerKey { return publicKey(th.keys.Seller()) }

// hangUp has the client end a connection.
func (th *thief) hangUp() {
	th.c.Notify(proxy.Event{Kind: proxy.ClientLeft})
	time.Sleep(10 * time.Millisecond)
	th.leave()
}

// goOn lets the other connection bring data for a while, and the client tell of having pieces.
func (s *scene) goOn(seconds int, pieces ...uint32) {
	s.other.c.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block}) // there is always one that waits
	for range seconds {
		s.other.link().bytesIn.Add(simPiece)
		s.other.c.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block})
		s.other.c.Moved(block, false, false)
		for _, look := range s.looks() {
			for _, p := range pieces {
				look.Have(p)
			}
		}
		time.Sleep(time.Second)
	}
}

func (s *scene) looks() []*proxy.Lookout {
	l := s.other.link()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.looks
}

// returns has the seller come back, and the client hang up on it before it takes anything.
func (s *scene) refuse() {
	s.seller.leave()
	s.seller.connect(thiefTerms)
	time.Sleep(time.Second)
	s.seller.hangUp()
	s.goOn(3)
}

func dropped(t *testing.T, s *scene) {
	t.Helper()
	if _, until := s.buyer.book.standing(s.seller.key(), time.Now()); until.IsZero() || s.buyer.book.proven(s.seller.key()) {
		t.Fatal("the seller keeps its standing")
	}
	list, err := s.buyerL.Drops(context.Background())
	if err != nil || len(list) != 1 || list[0].Seller != s.seller.key() || list[0].InfoHash != s.infoHash {
		t.Fatalf("the ledger keeps %+v, %v", list, err)
	}
}

func kept(t *testing.T, s *scene) {
	t.Helper()
	list, err := s.buyerL.Drops(context.Background())
	if err != nil || len(list) > 0 {
		t.Fatalf("the ledger keeps %+v, %v", list, err)
	}
	if !s.buyer.book.proven(s.seller.key()) {
		t.Fatal("the seller has lost its standing")
	}
}

func doubted(t *testing.T, s *scene) {
	t.Helper()
	if list, err := s.buyerL.Drops(context.Background()); err != nil || len(list) > 0 {
		t.Fatalf("the ledger keeps %+v, %v", list, err)
	}
	if s.buyer.book.proven(s.seller.key()) {
		t.Fatal("nobody doubts the seller")
	}
}

// TestWhatCountsAsADrop plays what can end a connection, and what of it costs a seller its standing.
func TestWhatCountsAsADrop(t *testing.T) {
	leave := func(s *scene) { s.seller.hangUp() }
	for name, tc := range map[string]struct {
		happen func(t *testing.T, s *scene)
		check  func(t *testing.T, s *scene)
	}{
		"a piece that the client never has": {func(_ *testing.T, s *scene) { leave(s); s.goOn(20, 1, 2) }, dropped},
		"a piece that the client asks others for": {func(_ *testing.T, s *scene) {
			leave(s)
			s.looks()[0].Request(7)
			s.goOn(20)
		}, dropped},
		"a piece that the client asks others for, and gets": {func(_ *testing.T, s *scene) {
			leave(s)
			s.looks()[0].Request(7)
			s.goOn(20, 7)
		}, dropped},
		"a piece that was being checked when the client hung up": {func(_ *testing.T, s *scene) { leave(s); s.goOn(20, 7, 1) }, kept},
		"the torrent is paused": {func(_ *testing.T, s *scene) {
			leave(s)
			s.other.hangUp()
			s.other.leave()
			time.Sleep(2 * time.Minute)
		}, kept},
		"the torrent is paused and soon goes on": {func(_ *testing.T, s *scene) {
			leave(s)
			s.other.hangUp()
			s.other.leave()
			time.Sleep(500 * time.Millisecond)
			s.other.connect(thiefTerms)
			s.goOn(30, 1, 2)
		}, kept},
		"the torrent is paused with patience": {func(_ *testing.T, s *scene) {
			leave(s)
			s.goOn(3)
			time.Sleep(2 * time.Minute)
		}, kept},
		"nobody else was there": {func(_ *testing.T, s *scene) {
			s.other.leave()
			leave(s)
			s.other.connect(thiefTerms)
			s.goOn(90, 1, 2)
		}, kept},
		"another client goes on with the same torrent": {func(_ *testing.T, s *scene) {
			s.other.link().front = 2
			leave(s)
			s.goOn(90, 1, 2)
		}, kept},
		"the client wanted nothing any more": {func(_ *testing.T, s *scene) {
			s.seller.c.Notify(proxy.Event{Kind: proxy.ClientNotInterested})
			leave(s)
			s.goOn(90, 1, 2)
		}, kept},
		"the seller has been silent":       {func(_ *testing.T, s *scene) { s.goOn(40); leave(s); s.goOn(90, 1, 2) }, kept},
		"the seller closes":                {func(_ *testing.T, s *scene) { s.seller.leave(); s.goOn(90, 1, 2) }, kept},
		"no piece came whole":              {func(_ *testing.T, s *scene) { s.seller.link().taken = nil; leave(s); s.goOn(90, 1, 2) }, doubted},
		"nobody hears what the client has": {func(_ *testing.T, s *scene) { leave(s); s.goOn(90) }, doubted},
		"no piece came whole, and the client takes it back": {func(_ *testing.T, s *scene) {
			s.seller.link().taken = nil
			leave(s)
			s.goOn(30, 1, 2)
			s.seller.leave()
			s.seller.connect(thiefTerms)
			for range 5 {
				s.seller.c.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block})
				s.seller.c.Moved(block, false, false)
				time.Sleep(time.Second)
			}
		}, kept},
		"doubts end": {func(_ *testing.T, s *scene) {
			s.seller.link().taken = nil
			synctest.Wait()
			s.seller.order = func(*thief, wire.Buy) {}
			s.seller.deliver(wire.Buy{Amt: 2 * thiefTerms.Min}) // or it would go with more than it has delivered
			time.Sleep(2 * time.Second)
			leave(s)
			s.goOn(90, 1, 2)
			time.Sleep(doubtFor)
		}, kept},
		"the client refuses its return": {func(_ *testing.T, s *scene) {
			s.seller.link().taken = nil
			leave(s)
			s.goOn(30, 1, 2)
			s.refuse()
			s.refuse()
		}, dropped},
		"the client refuses one return": {func(_ *testing.T, s *scene) {
			s.seller.link().taken = nil
			leave(s)
			s.goOn(30, 1, 2)
			s.refuse()
		}, doubted},
		"a torrent that is paused refuses everybody": {func(_ *testing.T, s *scene) {
			leave(s)
			s.other.hangUp()
			s.other.leave()
			for range 5 {
				s.seller.leave()
				s.seller.connect(thiefTerms)
				time.Sleep(time.Second)
				s.seller.hangUp()
				time.Sleep(10 * time.Second)
			}
		}, kept},
	} {
		t.Run(name, func(t *testing.T) { play(t, tc.happen, tc.check) })
	}
}

// TestDroppedSellerBeginsAnew: nothing is paid to it, also by another process, then it is a stranger; dropped again, it is
// left out for longer.
func TestDroppedSellerBeginsAnew(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.seller.hangUp()
		s.goOn(20, 1, 2)
		before, err := s.buyerL.Purse(t.Context(), s.seller.key())
		if err != nil || before.Balance == 0 {
			t.Fatalf("it holds %v, %v", before.Balance, err)
		}
		if torrent, today := s.buyer.book.holdings(s.infoHash, time.Now()); torrent != before.Balance || today != before.Balance {
			t.Errorf("%v and %v count as lost, it holds %v", torrent, today, before.Balance)
		}
		if torrent, _ := s.buyer.book.holdings(units.InfoHash{8}, time.Now()); torrent != 0 {
			t.Errorf("%v counts as lost on another torrent", torrent)
		}
		s.seller.leave()
		s.seller.order = func(*thief, wire.Buy) { t.Error("it is asked for an invoice") }
		s.seller.connect(thiefTerms)
		s.seller.deliver(wire.Buy{Amt: before.Balance + 5*units.Sat})
		time.Sleep(20 * time.Second)
		if why := s.buyer.NotNow(s.infoHash, s.seller.link().Remote().Addr()); why != policy.WhyDropped {
			t.Errorf("nothing is bought because %q", why)
		}
		if list, err := s.buyer.Dropped(t.Context()); err != nil || len(list) != 1 || list[0].Seller != s.seller.key() || !list[0].Until.After(time.Now()) {
			t.Errorf("%+v are told of as dropped, %v", list, err)
		}
		if torrent, _ := s.buyer.book.holdings(s.infoHash, time.Now()); torrent != 0 {
			t.Errorf("%v counts as lost after it was delivered", torrent)
		}
		purse, err := s.buyerL.Purse(t.Context(), s.seller.key())
		if err != nil || purse.Paid != before.Paid || purse.Balance > 0 {
			t.Errorf("it was paid %v, then %v, with a balance of %v, %v", before.Paid, purse.Paid, purse.Balance, err)
		}
	}, func(t *testing.T, s *scene) {
		dropped(t, s)
		s.restart()
		dropped(t, s)
		key, now := s.seller.key(), time.Now()
		_, until := s.buyer.book.standing(key, now)
		if left := until.Sub(now); left < 5*time.Hour || left > policy.DroppedFor(1) {
			t.Errorf("left out for %v", left)
		}
		time.Sleep(policy.DroppedFor(1))
		if list, err := s.buyer.Dropped(t.Context()); err != nil || len(list) != 0 {
			t.Errorf("%+v are told of as dropped, %v", list, err)
		}
		delivered, until := s.buyer.book.standing(key, time.Now())
		if !until.IsZero() || s.buyer.book.proven(key) || delivered > 6*units.Sat {
			t.Errorf("until %v, %v delivered since", until, delivered)
		}
		if !s.buyer.drop(t.Context(), &suspicion{seller: key, flock: flock{infoHash: s.infoHash}}, whyAgain) {
			t.Fatal("not written down")
		}
		if _, until := s.buyer.book.standing(key, time.Now()); time.Until(until) != policy.DroppedFor(2) {
			t.Errorf("left out until %v", until)
		}
	})
}

func TestDropThatCannotBeWrittenDownIsTriedAgain(t *testing.T) {
	_, buy := simRules()
	l := openLedger(t, filepath.Join(t.TempDir(), "l.sqlite"))
	d := newDesk(t, Config{Network: "regtest", Buy: buy}, l, newBank(0).node(1), filepath.Join(t.TempDir(), "key"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	x := &suspicion{refused: refusals, at: time.Now(), look: proxy.NewLookout(nil)}
	d.suspicions.add(x)
	d.judgeDrops(t.Context(), time.Now())
	if len(d.suspicions.all()) != 1 {
		t.Error("it is forgotten")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("shutdown"))
	d.judgeDrops(ctx, time.Now())
	if len(d.suspicions.all()) != 0 {
		t.Error("it is not given up")
	}
}

func TestSuspicionsAreBounded(t *testing.T) {
	var s suspicions
	for i := range 2 * maxSuspected {
		s.add(&suspicion{seller: units.PeerKey{byte(i)}})
	}
	if list := s.all(); len(list) != maxSuspected || list[0].seller != (units.PeerKey{maxSuspected}) {
		t.Errorf("%d are kept, the first is of %v", len(list), list[0].seller)
	}
}

// TestHundredLiarsCostNoMoreThanTheBound meets sellers one after the other that give bad data for half of a first purchase, and
// are dropped with the other half.
func TestHundredLiarsCostNoMoreThanTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, buy := simRules()
		s := &scene{sim: &sim{t: t, bank: newBank(0), infoHash: units.InfoHash{7}, dir: t.TempDir(), buy: buy}}
		s.openBuyer()
		defer func() { s.buyerL.Close() }()
		s.run(func() {
			s.other = s.thief(func(*thief, wire.Buy) {})
			for range 100 {
				s.seller = s.thief(func(th *thief, b wire.Buy) {
					s.wg.Go(func() { th.bill(b); b.Amt /= 2; th.deliver(b) })
				})
				link := s.seller.link()
				link.mu.Lock()
				link.taken, link.length = []proxy.Taken{{Index: 7, Bytes: simPiece}}, simPiece
				link.mu.Unlock()
				s.goOn(1)
				s.seller.hangUp()
				s.goOn(13, 1, 2)
			}
		})
		drops, err := s.buyerL.Drops(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		totals, err := s.buyerL.Totals(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		limit := policy.LossLimit(buy.PerTorrent, thiefTerms.Min)
		held, _ := s.buyer.book.holdings(s.infoHash, time.Now())
		lost := held + s.lost()
		t.Logf("%d dropped, %v paid, %v of it lost, limit %v", len(drops), totals.Paid, lost, limit)
		if most := limit + 2*2*thiefTerms.Min; lost > most || lost < limit/2 {
			t.Errorf("%v lost, at most %v are allowed", lost, most)
		}
		if len(drops) < 5 || totals.Paid > 4*limit {
			t.Errorf("%d sellers were dropped, %v were paid", len(drops), totals.Paid)
		}
	})
}
