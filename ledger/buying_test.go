package ledger

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"paygate/units"
)

// TestPurchaseStates is the complete truth table: every state, every step.
func TestPurchaseStates(t *testing.T) {
	const no, same, moves = "refused", "no change", "moves"
	table := map[string]map[string]string{ // from → step → what happens
		StateIntent:     {StateSent: moves, StateSucceeded: moves, StateFailed: moves, StateUnknown: moves, StateWrittenOff: moves},
		StateSent:       {StateSent: same, StateSucceeded: moves, StateFailed: moves, StateUnknown: moves, StateWrittenOff: moves},
		StateUnknown:    {StateSent: no, StateSucceeded: moves, StateFailed: moves, StateUnknown: same, StateWrittenOff: moves},
		StateWrittenOff: {StateSent: no, StateSucceeded: moves, StateFailed: moves, StateUnknown: no, StateWrittenOff: same},
		StateSucceeded:  {StateSent: no, StateSucceeded: same, StateFailed: no, StateUnknown: no, StateWrittenOff: no},
		StateFailed:     {StateSent: no, StateSucceeded: no, StateFailed: same, StateUnknown: no, StateWrittenOff: no},
	}
	equal(t, "states covered", len(table), len(steps))
	for from, row := range table {
		for to, want := range row {
			t.Run(from+" to "+to, func(t *testing.T) {
				l, w := fresh(t)
				check(t, l.Reserve(context.Background(), intent(w, 1, 1, 1, 5000, 100), wide))
				w.t = w.t.Add(2 * time.Hour) // past the invoice's expiry
				if from != StateIntent {
					check(t, turn(l, 1, from))
				}
				entries := journalled(t, l)
				err := turn(l, 1, to)
				after := stateOf(t, l)
				switch want {
				case no:
					var refused *StateError
					if !errors.As(err, &refused) || *refused != (StateError{payment(1), from, to}) || after != from {
						t.Fatalf("error %v, state %s", err, after)
					}
				default:
					check(t, err)
					equal(t, "state", after, to)
				}
				equal(t, "journalled", journalled(t, l)-entries, map[string]int{no: 0, same: 0, moves: 1}[want])
				check(t, l.Verify(context.Background()))
			})
		}
	}
}

func turn(l *Ledger, n int, to string) error {
	ctx := context.Background()
	switch to {
	case StateSent:
		return l.Sent(ctx, payment(n))
	case StateSucceeded:
		_, err := l.Succeed(ctx, payment(n), 7, units.Preimage{1, 2})
		return err
	case StateFailed:
		return l.Fail(ctx, payment(n), "no route")
	case StateUnknown:
		return l.Unknown(ctx, payment(n), "connection lost")
	case StateWrittenOff:
		return l.WriteOffPayment(ctx, payment(n), "the owner has seen enough")
	}
	return fmt.Errorf("no step leads to %s", to)
}

func stateOf(t *testing.T, l *Ledger) string {
	t.Helper()
	list, err := l.Purchases(context.Background(), 1)
	check(t, err)
	return list[0].State
}

func journalled(t *testing.T, l *Ledger) int {
	t.Helper()
	list, err := l.Journal(context.Background(), 0, 1000)
	check(t, err)
	return len(list)
}

func TestStepsOfAPurchaseThatIsNotThere(t *testing.T) {
	l, _ := fresh(t)
	for _, to := range []string{StateSent, StateSucceeded, StateFailed, StateUnknown, StateWrittenOff} {
		if err := turn(l, 1, to); !errors.Is(err, ErrNoPurchase) {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func TestSucceedTellsTheFirst(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	check(t, l.Reserve(ctx, intent(w, 1, 1, 1, 5000, 100), wide))
	for _, want := range []bool{true, false, false} {
		first, err := l.Succeed(ctx, payment(1), 7, units.Preimage{9})
		check(t, err)
		equal(t, "first", first, want)
	}
	p, err := l.Purse(ctx, peer(1))
	check(t, err)
	equal(t, "purse", p, Purse{Seller: peer(1), Paid: 5000, Fees: 7, Balance: 5000, Purchases: 1})
	if _, err := l.Succeed(ctx, payment(1), -1, units.Preimage{}); err == nil {
		t.Error("a negative fee was taken")
	}
}

func TestReserveNeverTakesAHashTwice(t *testing.T) {
	for _, end := range []string{StateIntent, StateSent, StateSucceeded, StateFailed, StateUnknown, StateWrittenOff} {
		t.Run(end, func(t *testing.T) {
			l, w := fresh(t)
			check(t, l.Reserve(context.Background(), intent(w, 1, 1, 1, 5000, 100), wide))
			w.t = w.t.Add(2 * time.Hour)
			if end != StateIntent {
				check(t, turn(l, 1, end))
			}
			again := intent(w, 1, 2, 2, 6000, 0) // from another seller
			if err := l.Reserve(context.Background(), again, wide); !errors.Is(err, ErrSeenHash) {
				t.Fatalf("Reserve: %v", err)
			}
		})
	}
}

func TestReserveChecksEveryCap(t *testing.T) {
	// Before each: 1,000 msat and a fee limit of 100 reserved for torrent 1 and taken to the state, with a fee of 7.
	cases := []struct {
		name    string
		state   string
		torrent int
		caps    Caps
		wanted  units.Msat // with the fee limit
		over    *OverCap
	}{
		{"torrent, intent", StateIntent, 1, Caps{Torrent: 2000, Day: units.BTC, Total: units.BTC}, 901, &OverCap{"torrent", 2000, 1100, 901}},
		{"torrent, intent, just fits", StateIntent, 1, Caps{Torrent: 2000, Day: units.BTC, Total: units.BTC}, 900, nil},
		{"torrent, sent", StateSent, 1, Caps{Torrent: 2000, Day: units.BTC, Total: units.BTC}, 901, &OverCap{"torrent", 2000, 1100, 901}},
		{"torrent, unknown", StateUnknown, 1, Caps{Torrent: 2000, Day: units.BTC, Total: units.BTC}, 901, &OverCap{"torrent", 2000, 1100, 901}},
		{"torrent, succeeded", StateSucceeded, 1, Caps{Torrent: 2000, Day: units.BTC, Total: units.BTC}, 994, &OverCap{"torrent", 2000, 1007, 994}},
		{"torrent, succeeded, just fits", StateSucceeded, 1, Caps{Torrent: 2000, Day: units.BTC, Total: units.BTC}, 993, nil},
		{"torrent, failed", StateFailed, 1, Caps{Torrent: 2000, Day: units.BTC, Total: units.BTC}, 2000, nil},
		{"torrent, written off", StateWrittenOff, 1, Caps{Torrent: 2000, Day: units.BTC, Total: units.BTC}, 2000, nil},
		{"another torrent", StateUnknown, 2, Caps{Torrent: 2000, Day: units.BTC, Total: units.BTC}, 2000, nil},
		{"day", StateUnknown, 2, Caps{Torrent: units.BTC, Day: 2000, Total: units.BTC}, 901, &OverCap{"day", 2000, 1100, 901}},
		{"total", StateSucceeded, 2, Caps{Torrent: units.BTC, Day: units.BTC, Total: 2000}, 994, &OverCap{"total", 2000, 1007, 994}},
		{"no caps, no money", StateFailed, 2, Caps{}, 1, &OverCap{"torrent", 0, 0, 1}},
		{"peer", StateUnknown, 2, but(func(c *Caps) { c.Peer = 2000 }), 901, &OverCap{"peer", 2000, 1100, 901}},
		{"peer, succeeded, just fits", StateSucceeded, 2, but(func(c *Caps) { c.Peer = 2000 }), 993, nil},
		{"category", StateUnknown, 2, but(func(c *Caps) { c.Category = 2000 }), 901, &OverCap{"category", 2000, 1100, 901}},
		{"category, succeeded", StateSucceeded, 2, but(func(c *Caps) { c.Category = 2000 }), 994, &OverCap{"category", 2000, 1007, 994}},
		{"week", StateSucceeded, 2, but(func(c *Caps) { c.Week = 2000 }), 994, &OverCap{"week", 2000, 1007, 994}},
		{"month", StateUnknown, 2, but(func(c *Caps) { c.Month = 2000 }), 901, &OverCap{"month", 2000, 1100, 901}},
		{"a cap that was lowered", StateSucceeded, 1, Caps{Torrent: 500, Day: units.BTC, Total: units.BTC}, 1, &OverCap{"torrent", 500, 1007, 1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l, w := fresh(t)
			ctx := context.Background()
			check(t, l.Reserve(ctx, intent(w, 1, 1, 1, 1000, 100), wide))
			w.t = w.t.Add(time.Hour + time.Millisecond)
			if c.state != StateIntent {
				check(t, turn(l, 1, c.state))
			}
			left, err := l.Left(ctx, Payee{InfoHash: torrent(c.torrent), Seller: peer(1)}, c.caps)
			check(t, err)
			equal(t, "Left agrees", left >= c.wanted, c.over == nil)
			err = l.Reserve(ctx, intent(w, 2, 1, c.torrent, 1, c.wanted-1), c.caps)
			var over *OverCap
			if c.over == nil {
				check(t, err)
			} else if !errors.As(err, &over) || *over != *c.over {
				t.Fatalf("Reserve: %v, want %v", err, c.over)
			}
			check(t, l.Verify(ctx))
		})
	}
}

// but is no caps but the ones that a function sets.
func but(set func(*Caps)) Caps {
	c := wide
	set(&c)
	return c
}

// TestWindowsBeginOnTime spends at a moment and asks what counts at another; a clock that is set back opens no cap again.
func TestWindowsBeginOnTime(t *testing.T) {
	at := func(text string) time.Time {
		v, err := time.Parse("2006-01-02 15:04", text)
		check(t, err)
		return v
	}
	for _, c := range []struct {
		spent, now       string
		day, week, month bool // it counts
	}{
		{"2026-03-01 23:59", "2026-03-01 23:59", true, true, true}, // a Sunday
		{"2026-03-01 23:59", "2026-03-02 00:00", false, false, true},
		{"2026-02-28 12:00", "2026-03-01 00:00", false, true, false},
		{"2026-03-02 00:00", "2026-03-08 23:59", false, true, true},
		{"2026-12-31 23:59", "2027-01-01 00:00", false, true, false},
		{"2026-03-31 12:00", "2026-03-02 12:00", true, true, true}, // set back
		{"2026-04-02 12:00", "2026-03-02 12:00", true, true, true},
		{"2028-02-29 00:00", "2028-02-29 23:59", true, true, true},
	} {
		t.Run(c.spent+" "+c.now, func(t *testing.T) {
			l, w := fresh(t)
			ctx := context.Background()
			w.t = at(c.spent)
			check(t, l.Reserve(ctx, intent(w, 1, 1, 1, 600, 0), wide))
			check(t, turn(l, 1, StateSucceeded))
			w.t = at(c.now)
			for name, k := range map[string]struct {
				set    func(*Caps)
				counts bool
			}{
				"day":   {func(c *Caps) { c.Day = 1000 }, c.day},
				"week":  {func(c *Caps) { c.Week = 1000 }, c.week},
				"month": {func(c *Caps) { c.Month = 1000 }, c.month},
			} {
				left, err := l.Left(ctx, Payee{InfoHash: torrent(9)}, but(k.set))
				check(t, err)
				if want := map[bool]units.Msat{true: 1000 - 607, false: 1000}[k.counts]; left != want {
					t.Errorf("%s: %d msat left, want %d", name, left, want)
				}
			}
		})
	}
}

func TestDayCapOverMidnight(t *testing.T) {
	caps := Caps{Torrent: units.BTC, Day: 1000, Total: units.BTC}
	for name, c := range map[string]struct {
		before, after string // state reached on the first and on the second day
		left          units.Msat
	}{
		"over before midnight":         {StateSucceeded, "", 1000},
		"open since yesterday":         {StateSent, "", 400},
		"unknown since yesterday":      {StateUnknown, "", 400},
		"certain only after midnight":  {StateUnknown, StateSucceeded, 493},
		"failed after midnight":        {StateUnknown, StateFailed, 1000},
		"reserved yesterday, paid now": {StateIntent, StateSucceeded, 493},
	} {
		t.Run(name, func(t *testing.T) {
			l, w := fresh(t)
			check(t, l.Reserve(context.Background(), intent(w, 1, 1, 1, 500, 100), caps))
			if c.before != StateIntent {
				check(t, turn(l, 1, c.before))
			}
			w.t = w.t.Add(time.Hour)
			if c.after != "" {
				check(t, turn(l, 1, c.after))
			}
			left, err := l.Left(context.Background(), Payee{InfoHash: torrent(9)}, caps)
			check(t, err)
			equal(t, "left", left, c.left)
		})
	}
	t.Run("clock set back", func(t *testing.T) {
		l, w := fresh(t)
		check(t, l.Reserve(context.Background(), intent(w, 1, 1, 1, 500, 100), caps))
		check(t, turn(l, 1, StateSucceeded))
		w.t = w.t.Add(-48 * time.Hour)
		left, err := l.Left(context.Background(), Payee{InfoHash: torrent(9)}, caps)
		check(t, err)
		equal(t, "left", left, 493)
	})
}

func TestReserveRefuses(t *testing.T) {
	l, w := fresh(t)
	for name, spoil := range map[string]func(*Intent){
		"no amount":       func(i *Intent) { i.Msat = 0 },
		"negative amount": func(i *Intent) { i.Msat = -5 },
		"negative fee":    func(i *Intent) { i.FeeLimit = -5 },
		"too much":        func(i *Intent) { i.Msat = units.MaxMsat + 1 },
		"too high a fee":  func(i *Intent) { i.FeeLimit = units.MaxMsat + 1 },
		"invalid price":   func(i *Intent) { i.Price = units.Price{Msat: 1, Per: -1} },
	} {
		i := intent(w, 1, 1, 1, 5000, 100)
		spoil(&i)
		all := Caps{Torrent: units.MaxMsat * 4, Day: units.MaxMsat * 4, Total: units.MaxMsat * 4}
		if err := l.Reserve(context.Background(), i, all); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestPurchaseComesBackWhole(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	i := intent(w, 1, 1, 1, 5000, 100)
	check(t, l.Reserve(ctx, i, wide))
	created := w.t
	w.t = w.t.Add(time.Minute)
	check(t, turn(l, 1, StateSucceeded))
	list, err := l.Purchases(ctx, 10)
	check(t, err)
	p := list[0]
	equal(t, "times", []int64{p.Created.UnixMilli(), p.Updated.UnixMilli()}, []int64{created.UnixMilli(), w.t.UnixMilli()})
	equal(t, "preimage", p.Preimage.Hex(), units.Preimage{1, 2}.Hex())
	equal(t, "intent", p.Intent, i)
	equal(t, "fee", p.Fee, 7)
}

func TestPurchaseLists(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	for n, to := range []string{StateSent, StateSucceeded, StateFailed, StateUnknown} {
		check(t, l.Reserve(ctx, intent(w, n, 1, 1, 5000, 100), wide))
		check(t, turn(l, n, to))
	}
	check(t, l.Reserve(ctx, intent(w, 9, 1, 1, 5000, 100), wide))
	states := func(list []Purchase, err error) (s []string) {
		check(t, err)
		for _, p := range list {
			s = append(s, p.State)
		}
		return s
	}
	equal(t, "open ones, oldest first", states(l.OpenPurchases(ctx)), []string{StateSent, StateUnknown, StateIntent})
	equal(t, "all, newest first", states(l.Purchases(ctx, 3)), []string{StateIntent, StateUnknown, StateFailed})
	equal(t, "none", states(l.Purchases(ctx, -1)), nil)
}

func TestReceiveRoundsOncePerPrice(t *testing.T) {
	l, _ := fresh(t)
	ctx := context.Background()
	third := units.Price{Msat: 1, Per: 3}
	for range 7 {
		check(t, l.Receive(ctx, Receipt{Seller: peer(1), InfoHash: torrent(1), Price: third, Bytes: 2, Free: 1}))
	}
	p, err := l.Purse(ctx, peer(1))
	check(t, err)
	equal(t, "purse", p, Purse{Seller: peer(1), Charged: 3, Balance: -3, Received: 14, Free: 7})
	for name, r := range map[string]Receipt{
		"more free than received": {Seller: peer(1), Price: third, Bytes: 1, Free: 2},
		"negative free":           {Seller: peer(1), Price: third, Bytes: 1, Free: -1},
		"negative":                {Seller: peer(1), Price: third, Bytes: -1, Free: -1},
		"an invalid price":        {Seller: peer(1), Price: units.Price{Per: -1}, Bytes: 1},
	} {
		if err := l.Receive(ctx, r); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	check(t, l.Verify(ctx))
}

func TestWriteOff(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	check(t, l.Reserve(ctx, intent(w, 1, 1, 1, 5000, 100), wide))
	off := func(seller, n int, m units.Msat) error {
		return l.WriteOff(ctx, peer(seller), torrent(n), m, "nothing came")
	}
	if err := off(1, 1, 1); !errors.Is(err, ErrNotHeld) {
		t.Fatalf("before the payment succeeded: %v", err)
	}
	check(t, turn(l, 1, StateSucceeded))
	check(t, off(1, 1, 2000))
	w.t = w.t.Add(2 * time.Hour) // past midnight
	check(t, off(1, 1, 500))
	check(t, off(1, 2, 300))
	for name, err := range map[string]error{
		"more than is left":     off(1, 1, 2201),
		"of an empty purse":     off(2, 1, 1),
		"nothing":               off(1, 1, 0),
		"found out of thin air": off(1, 1, -2801),
		"more than there is":    off(1, 1, units.MaxMsat+1),
	} {
		if err == nil {
			t.Errorf("write-off %s was taken", name)
		}
	}
	p, err := l.Purse(ctx, peer(1))
	check(t, err)
	equal(t, "purse", []units.Msat{p.WrittenOff, p.Balance}, []units.Msat{2800, 2200})
	here, today, err := l.WrittenOff(ctx, torrent(1))
	check(t, err)
	equal(t, "torrent and day", []units.Msat{here, today}, []units.Msat{2800, 800}) // the seller was paid for no other torrent
	check(t, l.Verify(ctx))
}

func TestFoundCredit(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	for n := 1; n <= 2; n++ {
		check(t, l.Reserve(ctx, intent(w, n, n, 1, 5000, 0), wide))
		check(t, turn(l, n, StateSucceeded))
		check(t, l.Receive(ctx, Receipt{Seller: peer(n), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: 1024}))
	}
	for _, c := range []struct {
		what          string
		seller        int
		msat          units.Msat
		err           error
		balance, lost units.Msat // of the seller, of the torrent
	}{
		{"as much as was charged", 1, -1000, nil, 5000, 0},
		{"more than was paid", 1, -1, ErrNotHeld, 5000, 0},
		{"gone again", 1, 1000, nil, 4000, 0},
		{"a loss", 1, 4000, nil, 0, 4000},
		{"another seller's find makes up for nothing", 2, -1000, nil, 5000, 4000},
		{"part of the loss comes back", 1, -1500, nil, 1500, 2500},
		{"and all of it", 1, -2500, nil, 4000, 0},
	} {
		if err := l.WriteOff(ctx, peer(c.seller), torrent(1), c.msat, ""); !errors.Is(err, c.err) {
			t.Fatalf("%s: %v", c.what, err)
		}
		p, err := l.Purse(ctx, peer(c.seller))
		check(t, err)
		lost, today, err := l.WrittenOff(ctx, torrent(1))
		check(t, err)
		equal(t, c.what, []units.Msat{p.Balance, lost, today}, []units.Msat{c.balance, c.lost, c.lost})
		check(t, l.Verify(ctx))
	}
}

// TestTorrentThatChangesItsCategoryGetsNoFreshCap moves one torrent from category to category.
func TestTorrentThatChangesItsCategoryGetsNoFreshCap(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	caps := wide
	caps.Category = 10_000
	n := 0
	buy := func(ih int, category string, m units.Msat, fits bool) {
		t.Helper()
		n++
		i := intent(w, n, 1, ih, m, 0)
		i.Category = category
		err := l.Reserve(ctx, i, caps)
		var over *OverCap
		switch {
		case fits:
			check(t, err)
		case !errors.As(err, &over) || over.Cap != "category":
			t.Fatalf("reserved above the cap: %v", err)
		}
		left, err := l.Left(ctx, Payee{torrent(ih), peer(1), category}, caps)
		check(t, err)
		if !fits && left >= m {
			t.Fatalf("%v are left", left)
		}
	}
	buy(1, "films", 6000, true)
	check(t, turn(l, 1, StateSucceeded))
	buy(1, "series", 3994, false)
	buy(1, "series", 3000, true) // open
	buy(1, "books", 994, false)
	buy(2, "series", 7000, true)
	buy(2, "series", 1, false)
	buy(3, "films", 3993, true)
	buy(3, "films", 1, false)
	buy(1, "books", 993, true)
	check(t, l.Verify(ctx))
}
