package client

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"paygate/units"
)

func newServer(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestTransmissionTellsItsTorrents(t *testing.T) {
	f := newFakeTR(t, "tr30-session.json", "tr30-torrents.json")
	f.password = "p"
	for _, url := range []string{f.URL, f.URL + "/transmission/rpc", f.URL + "/transmission/web/"} {
		w := watching(t, url, "u", "p")
		ask(t, w)
		want := Torrent{
			Hashes: []units.InfoHash{ih(t, hashA)}, Name: "a.bin", Tags: []string{"paid", "x"}, Private: true, PrivateKnown: true,
			ProgressKnown: true, Trackers: []string{"http://127.0.0.1:1/announce", "udp://127.0.0.1:2"},
			Size: 300_000, Done: 300_000, Uploaded: 7, Ratio: -1, Seeds: 4, Added: time.Unix(1795180941, 0),
		}
		if got := mustHave(t, w, hashA); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if m := mustHave(t, w, hashC); m.PrivateKnown || m.ProgressKnown || m.Seeds != -1 {
			t.Errorf("a magnet link without metadata: %+v", m)
		}
		if up, ok := w.Uploaded(); !ok || up != 4096 || !w.book.busy {
			t.Errorf("uploaded %d, %v", up, ok)
		}
	}
}

func TestTransmissionTellsOnlyWhatIsActive(t *testing.T) {
	change := `{"arguments":{"removed":[2],"torrents":[{"id":1,"labels":[],"uploadedEver":50},{"id":3,"hashString":"` + hashB + `","name":"new"}]},"result":"success"}`
	f := newFakeTR(t, "tr30-session.json", "tr30-torrents.json", change, `{"arguments":{"torrents":[{"id":1,"hashString":"`+hashA+`"}]},"result":"success"}`)
	w := watching(t, f.URL, "", "")
	ask(t, w)
	ask(t, w)
	if got := f.questions(); got != "session-get all/13 recently-active/13" {
		t.Errorf("asked %s", got)
	}
	a, b := mustHave(t, w, hashA), mustHave(t, w, hashB)
	if a.Tags != nil || a.Uploaded != 50 || a.Name != "a.bin" || b.Name != "new" || len(w.InfoHashes()) != 2 {
		t.Errorf("got %+v and %+v", a, b)
	}
	if _, ok := w.Torrent(ih(t, hashC)); ok {
		t.Error("a torrent that was removed is still there")
	}
}

// TestTransmissionThatWasNotAskedForLong: "recently-active" looks back a minute only.
func TestTransmissionThatWasNotAskedForLong(t *testing.T) {
	f := newFakeTR(t, "tr30-session.json", "tr30-torrents.json", `{"arguments":{"torrents":[{"id":1,"hashString":"`+hashA+`"},{"id":9,"hashString":"`+hashB+`"}]},"result":"success"}`)
	w := watching(t, f.URL, "", "")
	ask(t, w)
	f.questions()
	w.book.read = time.Now().Add(-time.Minute)
	ask(t, w)
	if got := f.questions(); got != "all/5 all/13" { // the second time, since a torrent was new
		t.Errorf("asked %s", got)
	}
	if len(w.InfoHashes()) != 2 {
		t.Errorf("hashes %v", w.InfoHashes())
	}
}

// TestTransmissionThatStartsAnew numbers its torrents anew: what was 1 may be another one.
func TestTransmissionThatStartsAnew(t *testing.T) {
	f := newFakeTR(t, "tr41-session.json", "tr30-torrents.json", `{"arguments":{"torrents":[{"id":1,"hashString":"`+hashB+`","name":"other"}]},"result":"success"}`)
	w := watching(t, f.URL, "", "")
	ask(t, w)
	f.restart()
	ask(t, w)
	if b := mustHave(t, w, hashB); b.Name != "other" || b.Private || len(w.InfoHashes()) != 1 {
		t.Errorf("got %+v, %v", b, w.InfoHashes())
	}
}

func TestTransmissionRefuses(t *testing.T) {
	for _, c := range []struct {
		status int
		want   Trouble
	}{{401, Refused}, {403, Unlisted}, {421, Unlisted}} {
		f := newFakeTR(t, "tr30-session.json", "tr30-torrents.json")
		f.status = c.status
		w := watching(t, f.URL, "u", "p")
		if err := w.Ask(t.Context()); troubleOf(err) != c.want || !strings.Contains(problemOf(err).Remedy, "settings.json") {
			t.Errorf("%d: %v", c.status, err)
		}
	}
	f := newFakeTR(t, "tr30-session.json", `{"result":"no such thing"}`)
	if err := watching(t, f.URL, "", "").Ask(t.Context()); troubleOf(err) != Broken || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("%v", err)
	}
}

func TestTransmissionSettings(t *testing.T) {
	for _, c := range []struct {
		prefs string
		want  Settings
	}{
		{"tr30-session.json", Settings{
			Kind: Transmission, Version: "3.00", ListenPort: 26882, TCP: true, UTP: true, PEX: true, Encryption: EncryptionPrefer, MaxPeers: 200, MaxPeersPerTorrent: 50,
		}},
		{"tr41-session.json", Settings{
			Kind: Transmission, Version: "4.1.0-beta.2", ListenPort: 26882, RandomPort: true, TCP: true, DHT: true, PEX: true, LSD: true, PortForwarding: true,
			Encryption: EncryptionRequire, MaxPeers: 200, MaxPeersPerTorrent: 50, IPFilter: true,
		}},
	} {
		f := newFakeTR(t, c.prefs, "tr30-torrents.json")
		w := watching(t, f.URL, "", "")
		ask(t, w)
		if got, ok := w.Settings(); !ok || got != c.want {
			t.Errorf("got  %+v\nwant %+v", got, c.want)
		}
	}
}

func TestTransmissionSettingsFromItsFile(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		text string
		want Settings
	}{
		{`{"bind-address-ipv4":"127.0.0.1","upload-slots-per-torrent":14}`, Settings{BindKnown: true, BindAddress: "127.0.0.1", SlotsKnown: true, SlotsPerTorrent: 14}},
		{`{"bind-address-ipv4":"0.0.0.0"}`, Settings{BindKnown: true}},
		{`{"bind-address-ipv4":`, Settings{}},
	} {
		if err := os.WriteFile(filepath.Join(dir, "settings.json"), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var got Settings
		readTrFile(dir, &got)
		if got != c.want {
			t.Errorf("%s: %+v", c.text, got)
		}
	}
	var got Settings
	readTrFile("relative", &got)
	readTrFile(filepath.Join(dir, "none"), &got)
	if got != (Settings{}) {
		t.Errorf("%+v", got)
	}
}
