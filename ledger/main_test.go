package ledger

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paygate/units"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(crashVariable); path != "" {
		writeUntilKilled(path)
	}
	if path := os.Getenv(unwritableVariable); path != "" {
		openUnwritable(path)
	}
	goleak.VerifyTestMain(m)
}

// wall is a clock that tests move by hand.
type wall struct{ t time.Time }

func newWall() *wall             { return &wall{time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)} }
func (w *wall) now() time.Time   { return w.t }
func (w *wall) options() Options { return Options{Now: w.now} }

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func fresh(t *testing.T) (*Ledger, *wall) {
	t.Helper()
	w := newWall()
	l := reopen(t, filepath.Join(t.TempDir(), "ledger.db"), w)
	t.Cleanup(func() { check(t, l.Close()) })
	return l, w
}

func reopen(t failer, path string, w *wall) *Ledger {
	t.Helper()
	l, err := Open(context.Background(), path, w.options())
	check(t, err)
	return l
}

func check(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

func equal[T any](t failer, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		t.Fatalf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func peer(n int) (k units.PeerKey)        { copy(k[:], fmt.Sprintf("peer %d", n)); return k }
func torrent(n int) (h units.InfoHash)    { copy(h[:], fmt.Sprintf("torrent %d", n)); return h }
func payment(n int) (h units.PaymentHash) { copy(h[:], fmt.Sprintf("payment %d", n)); return h }
func node(n int) (k units.NodeKey)        { copy(k[:], fmt.Sprintf("node %d", n)); return k }

var subnet = netip.MustParsePrefix("203.0.113.0/24")

// oneSatPerKiB makes small byte counts cost whole amounts: 1000 msat for 1024 bytes.
var oneSatPerKiB = units.Price{Msat: units.Sat, Per: units.KiB}

func invoice(w *wall, n, buyer, torrentN int, m units.Msat) Invoice {
	return Invoice{
		Hash: payment(n), Buyer: peer(buyer), InfoHash: torrent(torrentN), Price: oneSatPerKiB,
		Buys: oneSatPerKiB.Buys(m), Msat: m, For: "bytes", Request: fmt.Sprintf("lnbcrt%d", n), Expires: w.t.Add(time.Hour),
	}
}

func settlement(n int, m units.Msat, index uint64) Settlement {
	return Settlement{Hash: payment(n), Msat: m, SettleIndex: index}
}

// pay makes an invoice and settles it.
func pay(t failer, l *Ledger, w *wall, n, buyer, torrentN int, m units.Msat) Credited {
	t.Helper()
	check(t, l.AddInvoice(context.Background(), invoice(w, n, buyer, torrentN, m)))
	c, credited, err := l.Settle(context.Background(), settlement(n, m, uint64(n)))
	check(t, err)
	if !credited {
		t.Fatalf("payment %d was not credited", n)
	}
	return c
}

func intent(w *wall, n, seller, torrentN int, m, feeLimit units.Msat) Intent {
	return Intent{
		Hash: payment(n), Seller: peer(seller), Node: node(seller), InfoHash: torrent(torrentN), Price: oneSatPerKiB,
		Buys: oneSatPerKiB.Buys(m), Msat: m, FeeLimit: feeLimit, For: "bytes", Request: fmt.Sprintf("lnbcrt%d", n),
		Expires: time.UnixMilli(w.t.Add(time.Hour).UnixMilli()),
	}
}

var wide = Caps{Torrent: units.BTC, Day: units.BTC, Total: units.BTC}
