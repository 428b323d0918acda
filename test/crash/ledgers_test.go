package crash

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"paygate/ledger"
	"paygate/units"
)

// TestReadBooks reads a ledger that is open, as a running paygate has it, and what is left of one that was not closed.
func TestReadBooks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "ledger.sqlite")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if b, err := readBooks(t.Context(), path, true); err != nil || len(b.journal) > 0 {
		t.Errorf("where there is no ledger: %v, %v", b, err)
	}
	l, err := ledger.Open(t.Context(), path, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	fill(t, l)
	for _, running := range []bool{true, false} {
		b, err := readBooks(t.Context(), path, running)
		if err != nil {
			t.Fatal(err)
		}
		if b.cursor != 5 || b.totals.Received != purchase || b.totals.Pending != purchase+units.Sat ||
			len(b.open()) != 1 || b.settled()[hash(1).String()] != purchase || b.entries(ledger.KindIntent)[hash(2).String()] != 1 {
			t.Errorf("running %v: %+v", running, b)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(path)), "copy*")); err != nil || len(left) > 0 {
		t.Errorf("copies are left: %v, %v", left, err)
	}
}

// fill has one purchase paid to us and one under way.
func fill(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	later := time.Now().Add(time.Hour)
	ctx := t.Context()
	if err := l.AddInvoice(ctx, ledger.Invoice{
		Hash: hash(1), Price: price(), Buys: lasts, Msat: purchase, For: "bytes", Request: "x", Expires: later,
	}); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := l.Settle(ctx, ledger.Settlement{Hash: hash(1), Msat: purchase, SettleIndex: 5}); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if err := l.Reserve(ctx, ledger.Intent{
		Hash: hash(2), Price: price(), Buys: lasts, Msat: purchase, FeeLimit: units.Sat, For: "bytes", Request: "y", Expires: later,
	}, ledger.Caps{Torrent: plenty, Day: plenty, Total: plenty}); err != nil {
		t.Fatal(err)
	}
}
