package client

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"paygate/units"
)

const (
	hashA = "829ae99df5c0af365ea0de6c82eac7fc4ca12e56"
	hashB = "5d4ef0c73b2eedef5e53bea8a9fcab6a70680e6e"
	hashC = "1111111111111111111111111111111111111111"
)

func ih(t testing.TB, s string) units.InfoHash {
	t.Helper()
	h, err := units.ParseInfoHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func watching(t *testing.T, url, user string, password units.Secret) *Watcher {
	t.Helper()
	w, err := New(Config{URL: url, User: user, Password: password}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func ask(t *testing.T, w *Watcher) {
	t.Helper()
	if err := w.Ask(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func mustHave(t *testing.T, v View, hash string) Torrent {
	t.Helper()
	got, ok := v.Torrent(ih(t, hash))
	if !ok {
		t.Fatalf("%s is not known", hash)
	}
	return got
}

func TestQBittorrent45TellsItsTorrents(t *testing.T) {
	f := newFakeQB(t, "v4.5.2", "qb45-preferences.json", "qb45-maindata.json")
	f.private[hashA], f.private[hashB] = true, false
	w := watching(t, f.URL, "", "")
	if _, ok := w.Settings(); ok || len(w.InfoHashes()) != 0 {
		t.Error("something is known before anything was asked")
	}
	ask(t, w)
	<-w.Ready()
	want := Torrent{
		Hashes: []units.InfoHash{ih(t, hashA)}, Name: "a.bin", Category: "paid", Tags: []string{"ln", "x"}, Private: true, PrivateKnown: true,
		ProgressKnown: true, Trackers: []string{"http://127.0.0.1:1/announce", "udp://127.0.0.1:2"},
		Size: 300_000, Done: 200_000, Uploaded: 100_000, Downloaded: 200_000, Ratio: 0.5, Seeds: 3, Added: time.Unix(1795180933, 0),
	}
	if got := mustHave(t, w, hashA); !reflect.DeepEqual(got, want) || got.Complete() {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	b := mustHave(t, w, hashB)
	if b.Tags != nil || b.Private || !b.PrivateKnown || b.Seeds != -1 || b.Trackers != nil || !b.Complete() {
		t.Errorf("got %+v", b)
	}
	if up, ok := w.Uploaded(); !ok || up != 4096 {
		t.Errorf("uploaded %d, %v", up, ok)
	}
}

func TestQBittorrent51TellsPrivacyAndBothHashes(t *testing.T) {
	f := newFakeQB(t, "v5.1.0", "qb51-preferences.json", "qb51-maindata.json")
	w := watching(t, f.URL+"/", "", "")
	ask(t, w)
	v2 := "0123456789abcdef0123456789abcdef01234567"
	a := mustHave(t, w, hashA)
	if !a.Private || !a.PrivateKnown || len(a.Hashes) != 2 || a.Hashes[1] != ih(t, v2) {
		t.Errorf("got %+v", a)
	}
	if b := mustHave(t, w, v2); !reflect.DeepEqual(a, b) {
		t.Errorf("by its other hash: %+v", b)
	}
	if m := mustHave(t, w, hashC); m.PrivateKnown || m.ProgressKnown || m.Size != 0 {
		t.Errorf("a magnet link without metadata: %+v", m)
	}
	if asked := f.questions(); strings.Contains(asked, "properties") {
		t.Errorf("asked torrent by torrent: %s", asked)
	}
	if len(w.InfoHashes()) != 3 {
		t.Errorf("hashes %v", w.InfoHashes())
	}
}

func TestQBittorrentTellsOnlyWhatHasChanged(t *testing.T) {
	f := newFakeQB(t, "v4.5.2", "qb45-preferences.json", "qb45-maindata.json", `{"rid":2}`,
		`{"rid":3,"torrents":{"`+hashA+`":{"amount_left":0,"tags":"new"}},"trackers":{"udp://127.0.0.1:2":["`+hashB+`"]}}`,
		`{"rid":4,"torrents_removed":["`+hashB+`"],"trackers_removed":["http://127.0.0.1:1/announce"],"server_state":{"up_info_data":5000,"up_info_speed":9}}`)
	f.private[hashA], f.private[hashB] = true, false
	w := watching(t, f.URL, "", "")
	ask(t, w)
	first := w.InfoHashes()
	if got := f.questions(); !strings.HasPrefix(got, "app/version app/preferences sync/maindata?rid=0 torrents/properties") {
		t.Errorf("asked %s", got)
	}
	ask(t, w)
	if got := f.questions(); got != "sync/maindata?rid=1" {
		t.Errorf("asked %s", got)
	}
	ask(t, w)
	a, b := mustHave(t, w, hashA), mustHave(t, w, hashB)
	if !a.Complete() || a.Name != "a.bin" || !a.Private || len(a.Tags) != 1 || len(a.Trackers) != 1 || len(b.Trackers) != 1 {
		t.Errorf("got %+v and %+v", a, b)
	}
	if !same(first, w.InfoHashes()) {
		t.Error("the list of hashes has changed without a torrent that came or went")
	}
	ask(t, w)
	if _, ok := w.Torrent(ih(t, hashB)); ok || len(w.InfoHashes()) != 1 || mustHave(t, w, hashA).Trackers != nil {
		t.Errorf("still there: %v %+v", w.InfoHashes(), mustHave(t, w, hashA))
	}
	if up, _ := w.Uploaded(); up != 5000 || !w.book.busy {
		t.Errorf("uploaded %d, busy %v", up, w.book.busy)
	}
}

func TestQBittorrentLogsInOnceAndAgainWhenItsSessionEnds(t *testing.T) {
	f := newFakeQB(t, "v4.5.2", "qb45-preferences.json", "qb45-maindata.json", `{"rid":2}`, "qb45-maindata.json", `{"rid":2}`)
	f.password = "p&w=ü"
	f.private[hashA], f.private[hashB] = true, false
	w := watching(t, f.URL, "admin", "p&w=ü")
	ask(t, w)
	ask(t, w)
	if got := f.questions(); strings.Count(got, "auth/login") != 1 {
		t.Errorf("asked %s", got)
	}
	f.expire()
	ask(t, w)
	if got := f.questions(); got != "sync/maindata?rid=2 auth/login sync/maindata?rid=0" {
		t.Errorf("asked %s", got)
	}
	if len(w.InfoHashes()) != 2 {
		t.Errorf("hashes %v", w.InfoHashes())
	}
}

func TestQBittorrentRefuses(t *testing.T) {
	f := newFakeQB(t, "v4.5.2", "qb45-preferences.json", "qb45-maindata.json")
	f.password = "right"
	for _, c := range []struct {
		name, password string
		failures       int
		want           Trouble
	}{
		{"no password", "", 0, Refused},
		{"wrong password", "wrong", 0, Refused},
		{"banned", "right", 5, Banned},
	} {
		f.mu.Lock()
		f.failures = c.failures
		f.mu.Unlock()
		w := watching(t, f.URL, "admin", units.Secret(c.password))
		err := w.Ask(t.Context())
		if troubleOf(err) != c.want || problemOf(err).Remedy == "" || strings.Contains(fmt.Sprint(err), "right") || w.Problem() == nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, ok := w.Uploaded(); ok {
			t.Errorf("%s: a figure of a client that does not answer", c.name)
		}
		if got := f.questions(); strings.Count(got, "auth/login") > 1 {
			t.Errorf("%s: asked %s", c.name, got)
		}
	}
}

func TestQBittorrentSettings(t *testing.T) {
	for _, c := range []struct {
		version, prefs string
		want           Settings
	}{
		{"v4.5.2", "qb45-preferences.json", Settings{
			Kind: QBittorrent, Version: "4.5.2", ListenPort: 26881, BindKnown: true, BindAddress: "127.0.0.1", TCP: true, UTP: true, PortForwarding: true,
			Encryption: EncryptionAllow, SlotsKnown: true, UploadSlots: 20, SlotsPerTorrent: 4, MaxPeers: 500, MaxPeersPerTorrent: 100, LimitLAN: true,
		}},
		{"v5.1.0", "qb51-preferences.json", Settings{
			Kind: QBittorrent, Version: "5.1.0", ListenPort: 26881, AnnouncePort: 6881, AnnouncePortOK: true, BindKnown: true, TCP: true, DHT: true, PEX: true, LSD: true,
			PortForwarding: true, Encryption: EncryptionRequire, Proxy: Proxy{"socks5", "127.0.0.1:1080", true}, SlotsKnown: true, LimitLAN: true,
		}},
	} {
		f := newFakeQB(t, c.version, c.prefs, `{"rid":1,"full_update":true}`)
		w := watching(t, f.URL, "", "")
		ask(t, w)
		if got, ok := w.Settings(); !ok || got != c.want {
			t.Errorf("%s: got  %+v\nwant %+v", c.version, got, c.want)
		}
	}
}

// TestManyTorrents: the privacy of an older version's torrents is asked for a hundred at a time.
func TestManyTorrents(t *testing.T) {
	var b strings.Builder
	const many = 250
	f := newFakeQB(t, "v4.5.2", "qb45-preferences.json", "")
	for i := range many {
		h := fmt.Sprintf("%040x", i+1)
		f.private[h] = i%2 == 0
		fmt.Fprintf(&b, `%q:{"infohash_v1":%q,"size":9,"amount_left":0},`, h, h)
	}
	f.maindata = []string{`{"rid":1,"full_update":true,"torrents":{` + strings.TrimSuffix(b.String(), ",") + `}}`, `{"rid":2}`}
	w := watching(t, f.URL, "", "")
	for want := 100; ; want += 100 {
		ask(t, w)
		known := 0
		for _, h := range w.InfoHashes() {
			if x, _ := w.Torrent(h); x.PrivateKnown {
				known++
			}
		}
		if known != min(want, many) || w.book.backlog != (known < many) {
			t.Fatalf("%d are known, backlog %v", known, w.book.backlog)
		}
		if known == many {
			break
		}
	}
}

func TestWhatIsNoClient(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    Trouble
	}{
		{"another web server", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, Stranger},
		{"one with nothing", http.NotFound, Stranger},
		{"one that sends elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
		}, Stranger},
		{"one that does not know the name", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Security-Policy", "x")
			w.WriteHeader(http.StatusUnauthorized)
		}, Unlisted},
		{"one that talks nonsense", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/transmission/rpc" {
				http.NotFound(w, r)
				return
			}
			fmt.Fprint(w, "2.9 [[[")
		}, Broken},
		{"one that breaks off", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Away},
	} {
		s := newServer(t, c.handler)
		w := watching(t, s.URL, "u", "p")
		if err := w.Ask(t.Context()); troubleOf(err) != c.want || problemOf(err).Remedy == "" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	w := watching(t, "http://127.0.0.1:1", "u", "secret")
	if err := w.Ask(t.Context()); troubleOf(err) != Away || strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody: %v", err)
	}
}
