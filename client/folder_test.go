package client

import (
	"crypto/sha1"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"paygate/units"
)

type torrentFile struct {
	name    string
	data    []byte
	hashes  []string // "v1", "v2"
	private bool
	size    units.Bytes
}

const (
	infoOne    = "d6:lengthi300e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa7:privatei1ee"
	infoMany   = "d5:filesld6:lengthi1e4:pathl1:xeed6:lengthi2e4:pathl1:yeee4:name1:b12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae"
	infoTwo    = "d9:file treed1:ad0:d6:lengthi7e11:pieces root32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeee12:meta versioni2e4:name1:a12:piece lengthi16384ee"
	infoHybrid = "d9:file treed1:ad0:d6:lengthi7e11:pieces root32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeee6:lengthi7e12:meta versioni2e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae"
)

func torrentFiles(testing.TB) []torrentFile {
	return []torrentFile{
		{"v1 of one file", []byte("d8:announce9:http://x/4:info" + infoOne + "e"), []string{"v1"}, true, 300},
		{"v1 of two files", []byte("d4:info" + infoMany + "e"), []string{"v1"}, false, 3},
		{"v2", []byte("d4:info" + infoTwo + "12:piece layersdee"), []string{"v2"}, false, 7},
		{"hybrid", []byte("d13:announce-listll1:aee4:info" + infoHybrid + "12:piece layersdee"), []string{"v1", "v2"}, false, 7},
	}
}

func TestTorrentFiles(t *testing.T) {
	for _, c := range torrentFiles(t) {
		got, err := parseTorrent(append(c.data, "\n"...))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		info := map[string]string{"v1 of one file": infoOne, "v1 of two files": infoMany, "v2": infoTwo, "hybrid": infoHybrid}[c.name]
		var want []units.InfoHash
		for _, v := range c.hashes {
			if v == "v1" {
				want = append(want, sha1.Sum([]byte(info)))
			} else {
				long := sha256.Sum256([]byte(info))
				want = append(want, units.InfoHash(long[:20]))
			}
		}
		if len(got.Hashes) != len(want) || got.Hashes[0] != want[0] || got.Hashes[len(want)-1] != want[len(want)-1] {
			t.Errorf("%s: %v, want %v", c.name, got.Hashes, want)
		}
		if got.Private != c.private || !got.PrivateKnown || got.Size != c.size || got.ProgressKnown || got.Complete() {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestWhatIsNoTorrent(t *testing.T) {
	for _, data := range []string{
		"", "x", "de", "d4:infoi5ee", "d4:info0:e", "d4:infod4:name", strings.Repeat("l", maxDepth+1) + strings.Repeat("e", maxDepth+1),
		"d4:info99999999:e", "i" + strings.Repeat("1", 30) + "e",
	} {
		if x, err := parseTorrent([]byte(data)); err == nil {
			t.Errorf("%q: %+v", data, x)
		}
	}
	if _, err := parseTorrent(make([]byte, maxTorrentFile+1)); err == nil {
		t.Error("a file of any length is read")
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	put := func(name, data string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	core, logs := observer.New(zap.InfoLevel)
	f := NewFolder(dir, Deps{Log: zap.New(core)})
	if f.InfoHashes() != nil {
		t.Error("something is known before it was looked for")
	}
	scan := func(want int) {
		t.Helper()
		if err := f.Scan(); err != nil {
			t.Fatal(err)
		}
		if got := len(f.InfoHashes()); got != want {
			t.Fatalf("%d info-hashes, want %d", got, want)
		}
	}
	scan(0)
	put("a.torrent", "d4:info"+infoOne+"e")
	put("b.TORRENT", "d4:info"+infoHybrid+"e")
	put("c.txt", "d4:info"+infoMany+"e")
	put("d.torrent", "nothing of the kind")
	if err := os.Mkdir(filepath.Join(dir, "e.torrent"), 0o700); err != nil {
		t.Fatal(err)
	}
	scan(3)
	before := f.InfoHashes()
	scan(3)
	if !same(before, f.InfoHashes()) || logs.Len() != 1 {
		t.Errorf("a second look finds something new, or tells it again: %v", logs.All())
	}
	put("a.torrent", "d4:info"+infoMany+"e")
	if err := os.Chtimes(filepath.Join(dir, "a.torrent"), time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	scan(3)
	if got, ok := f.Torrent(sha1.Sum([]byte(infoMany))); !ok || got.Name != "b" {
		t.Errorf("%+v", got)
	}
	if err := os.Remove(filepath.Join(dir, "b.TORRENT")); err != nil {
		t.Fatal(err)
	}
	scan(1)
	if err := NewFolder(filepath.Join(dir, "none"), Deps{}).Scan(); err == nil {
		t.Error("a directory that is not there is no error")
	}
}

// TestCatalog holds a Catalog against the plain union of what its parts know.
func TestCatalog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var views []View
		want := map[units.InfoHash]int{}
		for i := range rapid.IntRange(0, 4).Draw(t, "views") {
			list := rapid.SliceOfN(rapid.ByteRange(0, 8), 0, 8).Draw(t, "hashes")
			var hashes []units.InfoHash
			for _, b := range list {
				h := units.InfoHash{b}
				hashes = append(hashes, h)
				if _, ok := want[h]; !ok {
					want[h] = i
				}
			}
			views = append(views, NewStatic(hashes))
		}
		c := NewCatalog(views...)
		got := c.InfoHashes()
		if len(got) != len(want) || !same(got, c.InfoHashes()) {
			t.Fatalf("%d info-hashes, want %d", len(got), len(want))
		}
		for _, h := range got {
			if x, ok := c.Torrent(h); !ok || x.Hashes[0] != h {
				t.Fatalf("%s: %+v", h, x)
			}
			if _, ok := want[h]; !ok {
				t.Fatalf("%s is nobody's", h)
			}
		}
		if _, ok := c.Torrent(units.InfoHash{200}); ok {
			t.Fatal("knows what nobody knows")
		}
	})
}
