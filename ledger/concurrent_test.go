package ledger

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"paygate/units"
)

// together runs fn n times at once and waits.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

func TestConcurrentReservesNeverExceedACap(t *testing.T) {
	l, w := fresh(t)
	caps := Caps{Torrent: 10_000, Day: units.BTC, Total: units.BTC}
	var taken atomic.Int64
	errs := make([]error, 32)
	together(len(errs), func(i int) {
		errs[i] = l.Reserve(context.Background(), intent(w, i, i, 1, 900, 100), caps)
		if errs[i] == nil {
			taken.Add(1)
		}
	})
	equal(t, "reserved", taken.Load(), 10)
	for _, err := range errs {
		if over := (*OverCap)(nil); err != nil && !errors.As(err, &over) {
			t.Fatalf("Reserve: %v", err)
		}
	}
	left, err := l.Left(context.Background(), Payee{InfoHash: torrent(1)}, caps)
	check(t, err)
	equal(t, "left", left, 0)
}

func TestConcurrentSettlesCreditOnce(t *testing.T) {
	l, w := fresh(t)
	check(t, l.AddInvoice(context.Background(), invoice(w, 1, 1, 1, 5000)))
	var credits atomic.Int64
	errs := make([]error, 16)
	together(len(errs), func(i int) {
		_, credited, err := l.Settle(context.Background(), settlement(1, 5000, uint64(i)))
		if errs[i] = err; credited {
			credits.Add(1)
		}
	})
	check(t, errors.Join(errs...))
	equal(t, "credits", credits.Load(), 1)
	check(t, l.Verify(context.Background()))
}

func TestConcurrentUse(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	const sessions, rounds = 8, 12
	errs := make([]error, sessions)
	together(sessions, func(i int) {
		for n := range rounds {
			id := i*rounds + n
			_, _, charged := l.Charge(ctx, Charge{Buyer: peer(i % 2), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: 100})
			errs[i] = errors.Join(errs[i], charged,
				l.AddInvoice(ctx, invoice(w, id, i%2, 1, 2000)),
				l.Reserve(ctx, intent(w, id, 9, 1, 1000, 10), wide),
				l.UseSample(ctx, torrent(1), subnet, 10),
				l.Receive(ctx, Receipt{Seller: peer(9), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: 100}))
			_, _, settled := l.Settle(ctx, settlement(id, 2000, uint64(id)))
			_, succeeded := l.Succeed(ctx, payment(id), 1, units.Preimage{})
			_, accounted := l.Account(ctx, peer(i%2))
			_, totalled := l.Totals(ctx)
			errs[i] = errors.Join(errs[i], settled, succeeded, accounted, totalled)
		}
	})
	check(t, errors.Join(errs...))
	check(t, l.Verify(ctx))
	got, err := l.Totals(ctx)
	check(t, err)
	const all = sessions * rounds
	earned := 2 * oneSatPerKiB.Charge(all/2*100)
	equal(t, "totals", got, Totals{
		SoldBytes: all * 100, SampleBytes: all * 10, Received: all * 2000, Earned: earned, CreditOwed: all*2000 - earned,
		BoughtBytes: all * 100, Paid: all * 1000, Fees: all, CreditHeld: all*1000 - oneSatPerKiB.Charge(all*100),
		PaymentsIn: all, PaymentsOut: all,
	})
}

// TestCancelledCallsAreAllOrNothing cancels calls at every moment of their life and counts what they claim to have
// written against what is there.
func TestCancelledCallsAreAllOrNothing(t *testing.T) {
	l, w := fresh(t)
	var written atomic.Int64
	together(64, func(i int) {
		ctx, cancel := context.WithCancel(context.Background())
		go cancel()
		if l.AddInvoice(ctx, invoice(w, i, 1, 1, 1000)) == nil {
			written.Add(1)
		}
	})
	equal(t, "invoices", journalled(t, l), int(written.Load()))
	check(t, l.Verify(context.Background()))
}
