package client

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"
)

// sound holds a book to what everybody builds on.
func sound(t *testing.T, b *book) {
	t.Helper()
	s := b.snapshot(nil)
	if len(b.torrents) > maxTorrents {
		t.Fatalf("%d torrents", len(b.torrents))
	}
	for _, h := range s.InfoHashes() {
		x, ok := s.Torrent(h)
		if !ok || len(x.Hashes) == 0 {
			t.Fatalf("%s is listed, but not there", h)
		}
		soundTorrent(t, x)
	}
}

func soundTorrent(t *testing.T, x Torrent) {
	t.Helper()
	if x.Size < 0 || x.Done < 0 || x.Done > x.Size || x.Uploaded < 0 || x.Downloaded < 0 || x.Seeds < -1 || len(x.Name) > maxName ||
		len(x.Tags) > maxTags || len(x.Trackers) > maxTrackers || x.Complete() && x.Size == 0 {
		t.Fatalf("%+v", x)
	}
}

func FuzzQBittorrent(f *testing.F) {
	f.Add(recorded(f, "qb45-maindata.json"), `{"rid":2,"torrents":{"`+hashA+`":{"amount_left":5}},"trackers":{"u":["`+hashA+`"]}}`)
	f.Add(recorded(f, "qb51-maindata.json"), `{"torrents_removed":["`+hashA+`"],"trackers_removed":["x"]}`)
	f.Add(`{"torrents":{"`+hashA+`":{"size":9,"amount_left":-1}}}`, `{"torrents":{"`+hashA+`":{"size":3}}}`)
	f.Add(`{"torrents":{"x":{"size":1e300,"infohash_v2":"00"}}}`, `{"full_update":true}`)
	f.Fuzz(func(t *testing.T, first, second string) {
		q, b := newQBittorrent(nil, "", ""), newBook()
		for _, text := range []string{first, second} {
			if q.readMain(json.NewDecoder(strings.NewReader(text)), b) != nil {
				q.rid = 0
			}
			sound(t, b)
		}
	})
}

func FuzzTransmission(f *testing.F) {
	f.Add(recorded(f, "tr30-torrents.json"))
	f.Add(recorded(f, "tr41-session.json"))
	f.Add(`{"arguments":{"torrents":[{"id":1e99,"hashString":"` + hashA + `","sizeWhenDone":5,"leftUntilDone":9}],"removed":[1]},"result":"success"}`)
	f.Fuzz(func(t *testing.T, text string) {
		b := newBook()
		_ = readResult(strings.NewReader(text), func(d *json.Decoder) error {
			return fields(d, func(key string) error {
				switch key {
				case "torrents":
					return elements(d, func() error { _, err := readTrTorrent(d, b, map[string]bool{}); return err })
				case "removed":
					return elements(d, func() error { return removeTrTorrent(d, b) })
				}
				return ignore(d)
			})
		})
		sound(t, b)
	})
}

func FuzzSettings(f *testing.F) {
	for _, name := range []string{"qb45-preferences.json", "qb51-preferences.json"} {
		f.Add(recorded(f, name))
	}
	f.Add(`{"version":"4.1.0 (x)","peer-port":70000,"proxy_type":7,"listen_port":-1,"max_uploads":1e99}`)
	f.Fuzz(func(t *testing.T, text string) {
		var q qbPreferences
		if json.Unmarshal([]byte(text), &q) == nil {
			soundSettings(t, q.settings("v1"))
		}
		var r trPreferences
		if json.Unmarshal([]byte(text), &r) == nil {
			soundSettings(t, r.settings())
		}
	})
}

func soundSettings(t *testing.T, s Settings) {
	t.Helper()
	if s.Kind == "" || s.UploadSlots < 0 || s.SlotsPerTorrent < 0 || s.MaxPeers < 0 || s.Encryption == "" || len(s.Version) > 64 || s.Proxy.Peers && s.Proxy.Kind == "" {
		t.Fatalf("%+v", s)
	}
}

// FuzzTorrent holds what is read of a torrent against the same file written anew by the library.
func FuzzTorrent(f *testing.F) {
	for _, x := range torrentFiles(f) {
		f.Add(x.data)
	}
	f.Add([]byte("d4:infod9:file treed1:ad0:d6:lengthi5eeee12:meta versioni2e4:name1:aee"))
	f.Add([]byte(strings.Repeat("l", 200)))
	f.Add([]byte("99999999999:"))
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := parseTorrent(data)
		if end, ok := bencoded(data); !ok {
			if err == nil {
				t.Fatal("a torrent that is not bencoded")
			}
		} else if end > len(data) {
			t.Fatalf("ends at %d of %d", end, len(data))
		}
		if err != nil {
			return
		}
		if len(x.Hashes) == 0 || len(x.Hashes) > 2 {
			t.Fatalf("%d hashes", len(x.Hashes))
		}
		x.Ratio = 0
		soundTorrent(t, *x)
	})
}

// FuzzBencoded holds the scanner against the library: what the library takes whole is bencoded, within our bounds.
func FuzzBencoded(f *testing.F) {
	for _, s := range []string{"i5e", "0:", "de", "d1:ai1ee", "l1:xe", "i-e", "-", "5:abc", "i5e1:x", "e"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		end, ok := bencoded(data)
		var v any
		if len(data) < 1000 && !ok && bencode.Unmarshal(data, &v) == nil && len(data) > 0 && !strings.Contains(string(data), strings.Repeat("0", 9)) {
			t.Fatalf("%q is bencoded", data)
		}
		if ok && (end < 2 || end > len(data)) {
			t.Fatalf("%q ends at %d", data, end)
		}
	})
}

func TestBackOff(t *testing.T) {
	var p pace
	now := time.Unix(1_000_000, 0)
	away, locked := error(&Problem{Trouble: Away}), error(&Problem{Trouble: Refused})
	for i, c := range []struct {
		err          error
		moving, more bool
		after        time.Duration
		want         time.Duration
	}{
		{nil, true, false, 0, busyPause},
		{nil, false, false, 30 * time.Second, busyPause},
		{nil, false, false, 31 * time.Second, idlePause},
		{nil, false, true, 0, morePause},
		{away, false, false, 0, time.Second},
		{away, false, false, 0, 2 * time.Second},
		{away, false, false, 0, 4 * time.Second},
		{nil, false, false, 0, idlePause},
		{away, false, false, 0, time.Second},
		{locked, false, false, 0, lockedBackOff},
		{locked, false, false, 0, 2 * lockedBackOff},
	} {
		now = now.Add(c.after)
		if got := p.next(now, c.err, c.moving, c.more); got != c.want {
			t.Errorf("%d: %s, want %s", i, got, c.want)
		}
	}
	for range 100 {
		p.next(now, away, false, false)
		p.next(now, locked, false, false)
	}
	if a, l := p.next(now, away, false, false), p.next(now, locked, false, false); a != mostBackOff || l != mostLocked {
		t.Errorf("at most %s and %s", a, l)
	}
}

var (
	_ View = (*Watcher)(nil)
	_ View = (*Folder)(nil)
	_ View = (*Static)(nil)
	_ View = (*Catalog)(nil)
)
