package ledger

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"paygate/units"
)

// grouped runs each write at once, has them wait in line in this order, and then lets them go.
func grouped(t *testing.T, l *Ledger, writes ...func() error) []error {
	t.Helper()
	l.turn <- struct{}{}
	errs := make([]error, len(writes))
	var wg sync.WaitGroup
	for i, write := range writes {
		wg.Go(func() { errs[i] = write() })
		waitInLine(l, i+1)
	}
	<-l.turn
	wg.Wait()
	return errs
}

func waitInLine(l *Ledger, n int) {
	for {
		l.queue.mu.Lock()
		have := len(l.queue.list)
		l.queue.mu.Unlock()
		if have >= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// commits is how often the file was written, as SQLite counts it for other connections.
func commits(t *testing.T, l *Ledger) (n int) {
	t.Helper()
	check(t, l.reading.QueryRowContext(context.Background(), "SELECT count(*) FROM sqlite_schema").Scan(&n))
	c, err := l.reading.Conn(context.Background())
	check(t, err)
	defer c.Close()
	check(t, c.QueryRowContext(context.Background(), "PRAGMA data_version").Scan(&n))
	return n
}

func TestWritesInLineShareATransactionInTheirOrder(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	var writes []func() error
	for n := range 50 {
		writes = append(writes, func() error { return l.AddInvoice(ctx, invoice(w, n, n, 1, 1000)) })
	}
	l.reading.SetMaxOpenConns(1) // data_version counts for one connection
	before := commits(t, l)
	check(t, errors.Join(grouped(t, l, writes...)...))
	equal(t, "transactions", commits(t, l)-before, 1)
	list, err := l.Journal(ctx, 0, 100)
	check(t, err)
	for n, e := range list {
		equal(t, "order", e.PaymentHash, payment(n).String())
	}
	equal(t, "entries", len(list), 50)
	check(t, l.Verify(ctx))
}

// TestAFailingWriteHarmsNoOtherOfItsGroup has writes fail after they have written something.
func TestAFailingWriteHarmsNoOtherOfItsGroup(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	pay(t, l, w, 1, 1, 1, 5000)
	tight := Caps{Torrent: 1500, Day: units.BTC, Total: units.BTC}
	over, broken := new(OverCap), errors.New("broken")
	half := func() error {
		return l.write(ctx, "write half", func(ctx context.Context, q querier) error {
			if err := run(ctx, q, "UPDATE buyers SET paid = paid + 1"); err != nil {
				return err
			}
			return broken
		})
	}
	charge := func() error {
		_, _, err := l.Charge(ctx, Charge{Buyer: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: 1024})
		return err
	}
	errs := grouped(t, l,
		charge, half,
		func() error { return l.Reserve(ctx, intent(w, 10, 1, 1, 1000, 0), tight) },
		func() error { return l.Reserve(ctx, intent(w, 10, 1, 1, 100, 0), tight) },  // the same hash
		func() error { return l.AddInvoice(ctx, invoice(w, 1, 1, 1, 1000)) },        // the same hash: a constraint
		func() error { return l.Reserve(ctx, intent(w, 11, 1, 1, 1000, 0), tight) }, // above the cap
		func() error {
			return l.write(ctx, "say nonsense", func(ctx context.Context, q querier) error { return run(ctx, q, "nonsense") })
		},
		charge, half,
	)
	for i, want := range []func(error) bool{
		0: isNil, 1: func(err error) bool { return errors.Is(err, broken) }, 2: isNil,
		3: func(err error) bool { return errors.Is(err, ErrSeenHash) }, 4: isError,
		5: func(err error) bool { return errors.As(err, &over) }, 6: isError,
		7: isNil, 8: func(err error) bool { return errors.Is(err, broken) },
	} {
		if !want(errs[i]) {
			t.Errorf("write %d: %v", i, errs[i])
		}
	}
	a, err := l.Account(ctx, peer(1))
	check(t, err)
	equal(t, "balance", a.Balance, 3000)
	check(t, l.Verify(ctx))
}

func isNil(err error) bool   { return err == nil }
func isError(err error) bool { return err != nil }

// TestAGroupOnAFullDisk fills the file up by SQLite's own limit: of each group some writes fit, and those that are said to
// be written are.
func TestAGroupOnAFullDisk(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	check(t, run(ctx, l.writer, "PRAGMA max_page_count = 1")) // never below what there is
	written, failed := 0, 0
	for round := 0; failed == 0; round++ {
		var writes []func() error
		for i := range 20 {
			writes = append(writes, func() error { return l.Reserve(ctx, intent(w, round*20+i, 1, 1, 1, 0), wide) })
		}
		for _, err := range grouped(t, l, writes...) {
			if err == nil {
				written++
				continue
			}
			failed++
			equal(t, "problem", problemOf(t, err), DiskFull)
		}
	}
	list, err := l.Purchases(ctx, 10_000)
	check(t, err)
	equal(t, "purchases", len(list), written)
	check(t, l.Verify(ctx))
	check(t, run(ctx, l.writer, "PRAGMA max_page_count = 100000"))
	check(t, errors.Join(grouped(t, l,
		func() error { return l.Reserve(ctx, intent(w, 1_000_000, 1, 1, 1, 0), wide) },
		func() error { return l.Reserve(ctx, intent(w, 1_000_001, 1, 1, 1, 0), wide) },
	)...))
	check(t, l.Verify(ctx))
}

// TestAWriteThatIsCancelledInLineIsNotMade cancels one that has not been begun.
func TestAWriteThatIsCancelledInLineIsNotMade(t *testing.T) {
	l, w := fresh(t)
	ctx, cancel := context.WithCancel(context.Background())
	l.turn <- struct{}{}
	var wg sync.WaitGroup
	var first, second error
	wg.Go(func() { first = l.AddInvoice(ctx, invoice(w, 1, 1, 1, 1000)) })
	waitInLine(l, 1)
	wg.Go(func() { second = l.AddInvoice(context.Background(), invoice(w, 2, 1, 1, 1000)) })
	waitInLine(l, 2)
	cancel()
	for {
		l.queue.mu.Lock()
		have := len(l.queue.list)
		l.queue.mu.Unlock()
		if have == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	<-l.turn
	wg.Wait()
	equal(t, "cancelled", errors.Is(first, context.Canceled), true)
	check(t, second)
	equal(t, "invoices", journalled(t, l), 1)
}

// asked counts how often statements are run on behalf of a write.
type asked struct {
	context.Context
	n int
}

func (a *asked) Done() <-chan struct{} { a.n++; return nil }

// TestAFileThatIsHeldByAnotherFailsAGroupOnce: each would wait for as long, and those behind it for all of them.
func TestAFileThatIsHeldByAnotherFailsAGroupOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := reopen(t, path, newWall())
	defer func() { check(t, l.Close()) }()
	other, err := sql.Open("sqlite", path)
	check(t, err)
	defer other.Close()
	c, err := other.Conn(t.Context())
	check(t, err)
	defer c.Close()
	check(t, run(t.Context(), c, "BEGIN IMMEDIATE"))
	check(t, run(t.Context(), l.writer, "PRAGMA busy_timeout = 10"))
	var group []*pending
	for range 50 {
		group = append(group, &pending{
			ctx: &asked{Context: context.Background()}, done: make(chan struct{}), taken: true,
			fn: func(context.Context, querier) error { t.Error("made without the lock"); return nil },
		})
	}
	l.commit(group)
	tries := 0
	for _, p := range group {
		if !p.ended() || problemOf(t, explain(p.err)) != Held {
			t.Fatalf("%v", p.err)
		}
		if p.ctx.(*asked).n > 0 {
			tries++
		}
	}
	equal(t, "tries", tries, 1)
}
