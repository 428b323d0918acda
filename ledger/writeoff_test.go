package ledger

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"paygate/units"
)

func TestWriteOffPaymentWaitsForTheExpiry(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	i := intent(w, 1, 1, 1, 5000, 100)
	check(t, l.Reserve(ctx, i, wide))
	check(t, turn(l, 1, StateUnknown))
	for _, at := range []time.Time{w.t, i.Expires.Add(-time.Millisecond), i.Expires} {
		w.t = at
		if err := turn(l, 1, StateWrittenOff); !errors.Is(err, ErrNotExpired) {
			t.Fatalf("at %s: %v", at, err)
		}
	}
	equal(t, "state", stateOf(t, l), StateUnknown)
	w.t = i.Expires.Add(time.Millisecond)
	check(t, turn(l, 1, StateWrittenOff))
	p, err := l.Purchases(ctx, 1)
	check(t, err)
	equal(t, "reason", p[0].Reason, "the owner has seen enough")
	check(t, l.Verify(ctx))
}

// TestWriteOffPaymentFreesTheReservation also shows that a success that comes all the same is booked, over every cap.
func TestWriteOffPaymentFreesTheReservation(t *testing.T) {
	caps := Caps{Torrent: 5100, Day: 5100, Total: 5100}
	for name, c := range map[string]struct {
		later   string
		left    units.Msat
		purse   Purse
		listed  int // among the written off
		totals  Totals
		another error // of another payment as large
	}{
		"and it stays so":   {"", 5100, Purse{Purchases: 1}, 1, Totals{}, nil},
		"then it succeeded": {StateSucceeded, 93, Purse{Paid: 5000, Fees: 7, Balance: 5000, Purchases: 1}, 0, Totals{Paid: 5000, Fees: 7, CreditHeld: 5000, PaymentsOut: 1}, &OverCap{}},
		"then it failed":    {StateFailed, 5100, Purse{Purchases: 1, Failed: 1}, 0, Totals{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			l, w := fresh(t)
			ctx := context.Background()
			check(t, l.Reserve(ctx, intent(w, 1, 1, 1, 5000, 100), caps))
			check(t, turn(l, 1, StateUnknown))
			w.t = w.t.Add(2 * time.Hour)
			check(t, turn(l, 1, StateWrittenOff))
			if c.later != "" {
				check(t, turn(l, 1, c.later))
			}
			left, err := l.Left(ctx, Payee{InfoHash: torrent(1)}, caps)
			check(t, err)
			equal(t, "left", left, c.left)
			p, err := l.Purse(ctx, peer(1))
			check(t, err)
			c.purse.Seller = peer(1)
			equal(t, "purse", p, c.purse)
			totals, err := l.Totals(ctx)
			check(t, err)
			equal(t, "totals", totals, c.totals)
			off, err := l.WrittenOffPurchases(ctx)
			check(t, err)
			equal(t, "written off", len(off), c.listed)
			open, err := l.OpenPurchases(ctx)
			check(t, err)
			equal(t, "open", len(open), 0)
			err = l.Reserve(ctx, intent(w, 2, 1, 1, 5000, 100), caps)
			if over := (*OverCap)(nil); errors.As(err, &over) != (c.another != nil) {
				t.Fatalf("another payment: %v", err)
			}
			check(t, l.Verify(ctx))
		})
	}
	t.Run("both are spent when both succeed", func(t *testing.T) {
		l, w := fresh(t)
		ctx := context.Background()
		check(t, l.Reserve(ctx, intent(w, 1, 1, 1, 5000, 100), caps))
		w.t = w.t.Add(2 * time.Hour)
		check(t, turn(l, 1, StateWrittenOff))
		check(t, l.Reserve(ctx, intent(w, 2, 1, 1, 5000, 100), caps))
		for n := 1; n <= 2; n++ {
			check(t, turn(l, n, StateSucceeded))
		}
		totals, err := l.Totals(ctx)
		check(t, err)
		equal(t, "paid", totals.Paid+totals.Fees, 10_014)
		left, err := l.Left(ctx, Payee{InfoHash: torrent(1)}, caps)
		check(t, err)
		equal(t, "left", left, 0)
		check(t, l.Verify(ctx))
	})
}

// TestTwoProcessesShareALedger stands for `paygate payments write-off` beside `paygate run`.
func TestTwoProcessesShareALedger(t *testing.T) {
	w := newWall()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := reopen(t, path, w)
	defer func() { check(t, l.Close()) }()
	ctx := context.Background()
	check(t, l.Reserve(ctx, intent(w, 1, 1, 1, 5000, 100), wide))
	w.t = w.t.Add(2 * time.Hour)
	other, err := Open(ctx, path, Options{Now: w.now, Existing: true})
	check(t, err)
	done := make(chan error)
	go func() {
		for n := 2; n < 40; n++ {
			if err := l.Reserve(ctx, intent(w, n, 1, 1, 1, 0), wide); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	check(t, other.WriteOffPayment(ctx, payment(1), "beside run"))
	check(t, <-done)
	check(t, other.Close())
	p, err := l.Purse(ctx, peer(1))
	check(t, err)
	equal(t, "pending", p.Pending, 38)
	check(t, l.Verify(ctx))
}

// TestLossCountsForTheTorrentsThatWerePaid names another torrent than those that the seller was paid for.
func TestLossCountsForTheTorrentsThatWerePaid(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	for n, m := range []units.Msat{5000, 3000} {
		check(t, l.Reserve(ctx, intent(w, n+1, 1, n+1, m, 0), wide))
		check(t, turn(l, n+1, StateSucceeded))
	}
	check(t, l.Receive(ctx, Receipt{Seller: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: 1024}))
	for _, c := range []struct {
		what string
		msat units.Msat
		lost []units.Msat
	}{
		{"some is lost", 2500, []units.Msat{2500, 0, 0}},
		{"more is lost", 3500, []units.Msat{3000, 3000, 0}},
		{"the rest is lost", 1000, []units.Msat{4000, 3000, 0}},
		{"some is found", -5000, []units.Msat{0, 2000, 0}},
		{"it is lost again", 1500, []units.Msat{1500, 2000, 0}},
		{"all is found", -3500, []units.Msat{0, 0, 0}},
		{"more is found", -1000, []units.Msat{0, 0, 0}},
		{"and lost", 1000, []units.Msat{1000, 0, 0}},
	} {
		check(t, l.WriteOff(ctx, peer(1), torrent(3), c.msat, "it says so on another torrent"))
		var lost []units.Msat
		for n := range c.lost {
			m, _, err := l.WrittenOff(ctx, torrent(n+1))
			check(t, err)
			lost = append(lost, m)
		}
		equal(t, c.what, lost, c.lost)
		check(t, l.Verify(ctx))
	}
}
