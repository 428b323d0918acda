package ledger

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paygate/units"
)

// answers is everything that can be asked of a ledger, and what the journal explains of each day.
func (x *world) answers(t failer) string {
	ctx := context.Background()
	var b strings.Builder
	tell := func(what string, err error, answer ...any) {
		check(t, err)
		fmt.Fprintf(&b, "%s: %+v\n", what, answer)
	}
	for n := range parties {
		account, err := x.l.Account(ctx, peer(n))
		tell("account", err, account)
		purse, err := x.l.Purse(ctx, peer(n))
		tell("purse", err, purse)
		for ih := range torrents {
			lots, err := x.l.Lots(ctx, peer(n), torrent(ih))
			tell("lots", err, lots)
			left, err := x.l.Left(ctx, Payee{torrent(ih), peer(n), "films"}, x.caps)
			tell("left", err, left)
			invoice, found, err := x.l.OpenInvoice(ctx, peer(n), torrent(ih))
			tell("open invoice", err, invoice, found)
		}
	}
	for ih := range torrents {
		sample, err := x.l.SampleUsed(ctx, torrent(ih), subnet)
		tell("samples", err, sample)
		here, today, err := x.l.WrittenOff(ctx, torrent(ih))
		tell("losses", err, here, today)
	}
	purchases, err := x.l.Purchases(ctx, 1000)
	tell("purchases", err, purchases)
	open, err := x.l.OpenPurchases(ctx)
	tell("open purchases", err, open)
	off, err := x.l.WrittenOffPurchases(ctx)
	tell("written off", err, off)
	unsettled, err := x.l.UnsettledInvoices(ctx, 1000)
	tell("unsettled invoices", err, unsettled)
	totals, err := x.l.Totals(ctx)
	tell("totals", err, totals)
	index, err := x.l.SettleIndex(ctx)
	tell("cursor", err, index)
	check(t, x.l.read(ctx, "sum up by day", func(ctx context.Context, q querier) error {
		sums, err := all(ctx, q, scanText, `SELECT at / 86400000 AS day, kind, party, info_hash, payment_hash, price_msat, price_per, note,
			sum(msat), sum(fee), sum(bytes), sum(free) FROM entries GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8`)
		b.WriteString(strings.Join(sums, "\n"))
		return err
	}))
	return b.String()
}

// compact takes one step of any size, with any number of hours kept, and holds every answer against what it was before.
// Now and then the step is lost in a crash.
func (x *world) compact(t *rapid.T) {
	ctx := context.Background()
	before := x.answers(t)
	cut := x.w.t.Add(-time.Duration(rapid.IntRange(-48, 72).Draw(t, "hours kept")) * time.Hour).UnixMilli()
	most := rapid.IntRange(1, 30).Draw(t, "entries")
	crash := rapid.IntRange(0, 3).Draw(t, "crash") == 0
	lost := errors.New("lost")
	err := x.l.write(ctx, "compact", func(ctx context.Context, q querier) error {
		_, err := compact(ctx, q, cut, x.w.t.Add(24*time.Hour).UnixMilli(), most)
		if err == nil && crash {
			err = lost
		}
		return err
	})
	if !crash || !errors.Is(err, lost) {
		check(t, err)
	}
	if rapid.Bool().Draw(t, "start again") {
		x.reopen(t)
	}
	equal(t, "answers", x.answers(t), before)
	check(t, x.l.Verify(ctx))
}

// busy lives for some days: charges on three torrents, some of them on credit, and payments in between.
func busy(t *testing.T, days int) (*Ledger, *wall) {
	t.Helper()
	l, w := fresh(t)
	ctx := context.Background()
	for day := range days {
		pay(t, l, w, day, 1, 1, 20_000)
		for n := range 10 {
			_, _, err := l.Charge(ctx, Charge{Buyer: peer(1), InfoHash: torrent(n % 3), Price: oneSatPerKiB, Bytes: 3000, OnCredit: n%2 == 0})
			check(t, err)
			check(t, l.UseSample(ctx, torrent(1), subnet, 10))
			check(t, l.Receive(ctx, Receipt{Seller: peer(2), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: 500, Free: 100}))
		}
		w.t = w.t.Add(24 * time.Hour)
	}
	return l, w
}

func TestCompactKeepsTheYoungAndPayments(t *testing.T) {
	l, w := busy(t, 20)
	ctx := context.Background()
	entries := journalled(t, l)
	steps := 0
	for more := true; more; steps++ {
		var err error
		more, err = l.Compact(ctx, 5*24*time.Hour)
		check(t, err)
	}
	cut := w.t.Add(-5 * 24 * time.Hour).Truncate(24 * time.Hour)
	payments, sums, all := 0, 0, 0
	check(t, l.History(ctx, func(p Past) error {
		all += p.Entries
		switch usage := strings.Contains(usageKinds, "'"+p.Kind+"'"); {
		case p.ID == 0:
			sums += p.Entries
			equal(t, "old usage", usage && p.At.Before(cut) && p.At.Equal(p.At.Truncate(24*time.Hour)), true)
		case usage:
			equal(t, "young enough to stay", p.At.Before(cut), false)
		default:
			payments++
		}
		return nil
	}))
	equal(t, "entries in all", all, entries)
	if payments < 40 || sums < 15*25 || steps < 2 {
		t.Fatalf("%d entries of payments, %d summed up in %d steps", payments, sums, steps)
	}
	check(t, l.Verify(ctx))
	again, err := l.Compact(ctx, 5*24*time.Hour)
	check(t, err)
	equal(t, "nothing more to do", again, false)
}

// TestCompactedLedgerIsBounded charges the same accounts more often: that makes no more rows.
func TestCompactedLedgerIsBounded(t *testing.T) {
	rows := func(rounds int) (n int) {
		l, w := fresh(t)
		ctx := context.Background()
		pay(t, l, w, 1, 1, 1, 1_000_000)
		for range rounds {
			_, _, err := l.Charge(ctx, Charge{Buyer: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: 1000})
			check(t, err)
		}
		w.t = w.t.Add(48 * time.Hour)
		for more := true; more; {
			var err error
			more, err = l.Compact(ctx, 24*time.Hour)
			check(t, err)
		}
		check(t, l.Verify(ctx))
		check(t, l.reading.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM journal) + (SELECT count(*) FROM days)").Scan(&n))
		return n
	}
	equal(t, "rows", rows(200), rows(20))
}

// TestCompactIsNotHeldUpByAClockThatWasWrong has entries of the far future in front of old ones.
func TestCompactIsNotHeldUpByAClockThatWasWrong(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	w.t = w.t.AddDate(10, 0, 0)
	check(t, l.UseSample(ctx, torrent(1), subnet, 1))
	w.t = w.t.AddDate(-10, 0, 0)
	check(t, l.UseSample(ctx, torrent(1), subnet, 10))
	w.t = w.t.AddDate(0, 1, 0)
	_, err := l.Compact(ctx, 24*time.Hour)
	check(t, err)
	equal(t, "entries left", journalled(t, l), 0)
	check(t, l.Verify(ctx))
}

func TestTheJournalLosesNothingElse(t *testing.T) {
	l, _ := busy(t, 3)
	ctx := context.Background()
	_, err := l.Compact(ctx, 24*time.Hour)
	check(t, err)
	for _, statement := range []string{
		"DELETE FROM journal WHERE kind = 'charge'", "DELETE FROM journal WHERE kind = 'settled'",
		"UPDATE compacted SET upto = 0", "UPDATE journal SET msat = 1", "DELETE FROM journal",
	} {
		if err := run(ctx, l.writer, statement); err == nil {
			t.Errorf("%s was allowed", statement)
		}
	}
}

// TestVerifyFindsTamperingWithDays goes on where TestVerifyFindsEveryTampering ends.
func TestVerifyFindsTamperingWithDays(t *testing.T) {
	for _, statement := range []string{
		"UPDATE days SET msat = msat + 1 WHERE kind = 'charge'", "UPDATE days SET bytes = bytes + 1 WHERE kind = 'sample'",
		"DELETE FROM days WHERE kind = 'received'", "UPDATE days SET day = day - 1 WHERE kind = 'sample'",
		"UPDATE days SET payment_hash = payment_hash || 'x' WHERE kind = 'charge'", "UPDATE marks SET charged = charged + 1000000", "DELETE FROM marks",
		"UPDATE spent_categories SET msat = 1", "INSERT INTO spent_categories VALUES ('x', 1, 1)",
	} {
		t.Run(statement, func(t *testing.T) {
			l, w := busy(t, 3)
			ctx := context.Background()
			check(t, l.Reserve(ctx, intent(w, 100, 2, 1, 1000, 10), wide))
			_, err := l.Succeed(ctx, payment(100), 1, units.Preimage{})
			check(t, err)
			_, err = l.Compact(ctx, 0)
			check(t, err)
			check(t, l.Verify(ctx))
			check(t, run(ctx, l.writer, statement))
			var m *Mismatch
			if err := l.Verify(ctx); !errors.As(err, &m) {
				t.Fatalf("Verify: %v", err)
			}
		})
	}
}

// TestAHashIsRefusedForEver tries to pay old hashes again after compaction.
func TestAHashIsRefusedForEver(t *testing.T) {
	w := newWall()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := reopen(t, path, w)
	ctx := context.Background()
	states := []string{StateSucceeded, StateFailed, StateUnknown, StateSent}
	for n, to := range states {
		check(t, l.Reserve(ctx, intent(w, n, 1, 1, 1000, 0), wide))
		check(t, turn(l, n, to))
	}
	w.t = w.t.AddDate(5, 0, 0)
	_, err := l.Compact(ctx, 24*time.Hour)
	check(t, err)
	check(t, l.Close())
	l = reopen(t, path, w)
	defer func() { check(t, l.Close()) }()
	for n := range states {
		if err := l.Reserve(ctx, intent(w, n, 1, 1, 1000, 0), wide); !errors.Is(err, ErrSeenHash) {
			t.Fatalf("payment %d: %v", n, err)
		}
	}
}

// TestACopyOfACompactedLedgerGoesOn: no entry of the copy is taken for one that is compacted, although the last ones have
// left the journal.
func TestACopyOfACompactedLedgerGoesOn(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	pay(t, l, w, 1, 1, 1, 5000)
	charge := func(l *Ledger) {
		_, _, err := l.Charge(ctx, Charge{Buyer: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: 1024, OnCredit: true})
		check(t, err)
	}
	for range 10 {
		charge(l)
	}
	w.t = w.t.Add(100 * 24 * time.Hour)
	more, err := l.Compact(ctx, 24*time.Hour)
	check(t, err)
	equal(t, "more", more, true)
	var path string
	check(t, l.reading.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path))
	to := path + ".copy"
	check(t, Backup(ctx, path, to))
	twin := reopen(t, to, w)
	defer func() { check(t, twin.Close()) }()
	for range 3 {
		charge(twin)
	}
	check(t, twin.Verify(ctx))
	list, err := twin.Journal(ctx, 0, 100)
	check(t, err)
	equal(t, "last entry", list[len(list)-1].ID, 15)
	a, err := twin.Account(ctx, peer(1))
	check(t, err)
	equal(t, "balance", a.Balance, -8000)
}
