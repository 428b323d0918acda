package ledger

import (
	"context"
	"testing"
	"time"

	"paygate/units"
)

// TestBillsFollowTheDebt goes through the life of a buyer on credit.
func TestBillsFollowTheDebt(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	next := 0
	charge := func(m units.Msat, credit bool) {
		w.t = w.t.Add(time.Minute)
		_, _, err := l.Charge(ctx, Charge{Buyer: peer(1), InfoHash: torrent(1), Price: units.Price{Msat: units.Sat, Per: 1}, Bytes: units.Bytes(m), OnCredit: credit})
		check(t, err)
	}
	settle := func(m units.Msat) {
		w.t = w.t.Add(time.Minute)
		next++
		pay(t, l, w, next, 1, 1, m*units.Sat)
	}
	expect := func(what string, billed units.Msat, at time.Time) {
		t.Helper()
		a, err := l.Account(ctx, peer(1))
		check(t, err)
		if !at.IsZero() {
			at = time.UnixMilli(at.UnixMilli())
		}
		equal(t, what, []any{a.Billed, a.BilledAt}, []any{billed * units.Sat, at})
		check(t, l.Verify(ctx))
	}
	charge(10, false)
	expect("a debt without credit", 0, time.Time{})
	settle(100)
	charge(50, true)
	expect("credit left", 0, time.Time{})
	charge(60, true)
	first := w.t
	expect("20 owed", 120, first)
	charge(30, true)
	expect("a bill stands until it is paid", 120, first)
	settle(19)
	expect("a part of it", 120, first)
	settle(1)
	expect("paid, and 30 more owed since", 150, w.t)
	settle(29)
	settle(500)
	expect("all paid", 0, time.Time{})
}

// TestBillsThatCannotBePaidGiveWay has debts of less than Lightning can pay: the time of a bill never begins with one.
func TestBillsThatCannotBePaidGiveWay(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	charge := func(m units.Msat) {
		w.t = w.t.Add(time.Hour)
		_, _, err := l.Charge(ctx, Charge{Buyer: peer(1), InfoHash: torrent(1), Price: units.Price{Msat: 1, Per: 1}, Bytes: units.Bytes(m), OnCredit: true})
		check(t, err)
	}
	expect := func(what string, billed units.Msat, at time.Time) {
		t.Helper()
		a, err := l.Account(ctx, peer(1))
		check(t, err)
		equal(t, what, []any{a.Billed, a.BilledAt}, []any{billed, time.UnixMilli(at.UnixMilli())})
		check(t, l.Verify(ctx))
	}
	pay(t, l, w, 1, 1, 1, 10_000)
	charge(10_999)
	expect("too little to pay", 10_999, w.t)
	charge(1)
	first := w.t
	expect("1 sat", 11_000, first)
	charge(5000)
	expect("a bill stands until it is paid", 11_000, first)
	w.t = w.t.Add(time.Hour)
	pay(t, l, w, 2, 1, 1, 1000)
	expect("paid, and more owed since", 16_000, w.t)
	w.t = w.t.Add(time.Hour)
	pay(t, l, w, 3, 1, 1, 4001)
	expect("so little is left that it is paid", 16_000, w.t)
}
