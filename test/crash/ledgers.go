package crash

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"

	"paygate/ledger"
	"paygate/units"
)

// books are what a ledger says, read and verified in a copy of one consistent state.
type books struct {
	totals    ledger.Totals
	cursor    uint64            // selling: the settle index up to which the node was heard
	purchases []ledger.Purchase // buying
	journal   []ledger.Entry
}

// readBooks copies the ledger of a paygate, running or not, without touching it.
func readBooks(ctx context.Context, path string, running bool) (b books, err error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return books{}, nil // killed before it made one
	}
	dir, err := os.MkdirTemp(filepath.Dir(filepath.Dir(path)), "copy")
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	copied := filepath.Join(dir, "ledger.sqlite")
	if running {
		err = copyRunning(ctx, path, copied)
	} else {
		err = copyDead(path, copied)
	}
	if err != nil {
		return b, fmt.Errorf("copy ledger %s: %w", path, err)
	}
	l, err := ledger.Open(ctx, copied, ledger.Options{})
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return b, b.read(ctx, l)
}

func (b *books) read(ctx context.Context, l *ledger.Ledger) error {
	if err := l.Verify(ctx); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	var err error
	if b.totals, err = l.Totals(ctx); err != nil {
		return err
	}
	if b.cursor, err = l.SettleIndex(ctx); err != nil {
		return err
	}
	if b.purchases, err = l.Purchases(ctx, math.MaxInt32); err != nil {
		return err
	}
	b.journal, err = l.Journal(ctx, 0, math.MaxInt32)
	return err
}

// copyRunning has SQLite make the copy, beside the process that writes.
func copyRunning(ctx context.Context, from, to string) (err error) {
	u := url.URL{Scheme: "file", Path: from, RawQuery: "mode=ro&_pragma=busy_timeout(10000)"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return err
}

// copyDead copies what a crash has left, logs and all, so that the copy is recovered and the original is not.
func copyDead(from, to string) error {
	for _, suffix := range []string{"", "-wal", "-journal"} {
		text, err := os.ReadFile(from + suffix)
		if suffix != "" && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(to+suffix, text, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// open are the purchases whose outcome the ledger does not know.
func (b books) open() (list []ledger.Purchase) {
	for _, p := range b.purchases {
		if p.State == ledger.StateIntent || p.State == ledger.StateSent || p.State == ledger.StateUnknown {
			list = append(list, p)
		}
	}
	return list
}

// entries counts the journal's entries of a kind by payment hash.
func (b books) entries(kind string) map[string]int {
	n := map[string]int{}
	for _, e := range b.journal {
		if e.Kind == kind {
			n[e.PaymentHash]++
		}
	}
	return n
}

// lostOn is what was written off on a torrent, net of what was found.
func (b books) lostOn(ih units.InfoHash) (sum units.Msat) {
	for _, e := range b.journal {
		switch {
		case e.InfoHash != ih.String():
		case e.Kind == ledger.KindWriteOff:
			sum += e.Msat
		case e.Kind == ledger.KindFound:
			sum -= e.Msat
		}
	}
	return sum
}

// settled is what was credited for each invoice.
func (b books) settled() map[string]units.Msat {
	m := map[string]units.Msat{}
	for _, e := range b.journal {
		if e.Kind == ledger.KindSettled {
			m[e.PaymentHash] += e.Msat
		}
	}
	return m
}
