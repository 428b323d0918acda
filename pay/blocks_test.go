package pay

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/zap"

	"paygate/client"
	"paygate/config"
	"paygate/proxy"
	"paygate/units"
)

// hybrid is a client with one torrent, that has two info-hashes.
type hybrid struct{}

func (hybrid) Torrent(ih units.InfoHash) (client.Torrent, bool) {
	hashes := []units.InfoHash{{1}, {2}}
	return client.Torrent{Hashes: hashes}, slices.Contains(hashes, ih)
}

func TestBlockedTorrentIsDeniedAcrossRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.sqlite")
	l := openLedger(t, path)
	open := func() *Desk {
		d, err := New(Config{Sell: config.Sell{}}, Deps{Ledger: l, Keys: &Keys{}, Log: zap.NewNop(), Torrents: hybrid{}})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.RecallBlocks(t.Context()); err != nil {
			t.Fatal(err)
		}
		return d
	}
	ih, twin, other := units.InfoHash{1}, units.InfoHash{2}, units.InfoHash{3}
	expect := func(d *Desk, want map[units.InfoHash]proxy.Treatment, hidden bool) {
		t.Helper()
		for h, w := range want {
			if got := d.Admit(proxy.Arrival{InfoHash: h}); got != w {
				t.Errorf("%x: %v, want %v", h[:1], got, w)
			}
		}
		if got := d.MayCharge(); got != hidden {
			t.Errorf("a hidden torrent may be denied: %t", got)
		}
	}
	d := open()
	expect(d, map[units.InfoHash]proxy.Treatment{ih: proxy.Free}, false)
	fresh, err := d.Block(t.Context(), twin, "takedown 12")
	if err != nil || len(fresh) != 2 {
		t.Fatalf("%v, %v", fresh, err)
	}
	down := map[units.InfoHash]proxy.Treatment{ih: proxy.Denied, twin: proxy.Denied, other: proxy.Free}
	expect(d, down, true)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = openLedger(t, path)
	defer l.Close()
	d = open()
	expect(d, down, true)
	if fresh, err := d.Block(t.Context(), ih, "again"); err != nil || len(fresh) != 0 {
		t.Errorf("%v, %v", fresh, err)
	}
	if lifted, err := d.Unblock(t.Context(), ih, ""); err != nil || len(lifted) != 2 {
		t.Errorf("%v, %v", lifted, err)
	}
	expect(d, map[units.InfoHash]proxy.Treatment{ih: proxy.Free, twin: proxy.Free}, false)
	if err := l.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestBlockThatFailsHalfway keeps what is on disk.
func TestBlockThatFailsHalfway(t *testing.T) {
	l := openLedger(t, filepath.Join(t.TempDir(), "l.sqlite"))
	defer l.Close()
	d, err := New(Config{}, Deps{Ledger: l, Keys: &Keys{}, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	hashes := []units.InfoHash{{1}, {2}}
	changed, err := d.changeBlocks(t.Context(), hashes, func(ih units.InfoHash) (bool, error) {
		if ih == hashes[1] {
			return false, full
		}
		return l.AddBlock(t.Context(), ih, "")
	})
	if !errors.Is(err, full) || len(changed) != 1 {
		t.Errorf("%v, %v", changed, err)
	}
	if !d.blocks.has(hashes[0]) || d.blocks.has(hashes[1]) {
		t.Error("the copy is not what is on disk")
	}
}
