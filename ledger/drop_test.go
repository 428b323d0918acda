package ledger

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"paygate/units"
)

func TestDropsAreKeptForGood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	w := newWall()
	l := reopen(t, path, w)
	ctx := context.Background()
	receive := func(n units.Bytes) {
		check(t, l.Receive(ctx, Receipt{Seller: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: n}))
	}
	drop := func(seller, ih int, reason string, want Drop) {
		t.Helper()
		w.t = w.t.Add(time.Hour)
		got, err := l.AddDrop(ctx, peer(seller), torrent(ih), reason)
		check(t, err)
		want.Seller, want.InfoHash, want.Reason, want.Latest = peer(seller), torrent(ih), reason, time.UnixMilli(w.t.UnixMilli())
		equal(t, "drop", got, want)
		check(t, l.Verify(ctx))
	}
	receive(3 * units.KiB)
	drop(1, 1, "it gave bad data", Drop{Times: 1, Delivered: 3000})
	drop(2, 1, "a stranger", Drop{Times: 1})
	receive(units.KiB)
	check(t, l.Close())

	l = reopen(t, path, w)
	defer func() { check(t, l.Close()) }()
	drop(1, 2, "again", Drop{Times: 2, Delivered: 4000})
	check(t, l.Reserve(ctx, intent(w, 1, 1, 1, 9000, 0), wide))
	check(t, turn(l, 1, StateSucceeded))
	check(t, l.WriteOff(ctx, peer(1), torrent(1), 500, ""))
	drop(1, 2, "and again, with 4.5 sat of ours", Drop{Times: 3, Delivered: 8500})
	list, err := l.Drops(ctx)
	check(t, err)
	equal(t, "sellers", []units.PeerKey{list[0].Seller, list[1].Seller}, []units.PeerKey{peer(1), peer(2)})
	equal(t, "sellers", len(list), 2)
	if _, err := l.AddDrop(ctx, peer(1), torrent(1), string(make([]byte, maxReason+1))); err == nil {
		t.Fatal("a reason without end was kept")
	}
}

func TestDebtsAreNoPurchases(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	last := func(want units.Msat) {
		t.Helper()
		a, err := l.Account(ctx, peer(1))
		check(t, err)
		equal(t, "latest purchase", a.LastPurchase, want)
		check(t, l.Verify(ctx))
	}
	settle := func(n int, m units.Msat, purpose string) {
		t.Helper()
		i := invoice(w, n, 1, 1, m)
		i.For = purpose
		check(t, l.AddInvoice(ctx, i))
		_, _, err := l.Settle(ctx, settlement(n, m, uint64(n)))
		check(t, err)
	}
	settle(1, 300, "debt")
	last(0)
	settle(2, 5000, "bytes")
	last(5000)
	settle(3, 7, "debt")
	last(5000)
	settle(4, 20000, "tip")
	last(5000)
	settle(5, 4000, "bytes")
	last(4000)
}
