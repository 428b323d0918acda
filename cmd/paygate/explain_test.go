package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paygate/admin"
	"paygate/config"
)

const explainConfig = `data_dir: data
listen: {peers: 192.0.2.1:6881}
client: {address: 127.0.0.1:6881, api: {url: "http://127.0.0.1:1"}}
lightning: {address: 127.0.0.1:10009, tls_cert: tls.cert, macaroon: paygate.macaroon, network: regtest}
sell:
  rules:
    - name: friends free
      match: {peer: [10.0.0.0/8, "2001:db8::/32"]}
      price: free
    - name: no strangers' clients
      match: {client_id: "-XX"}
      deny: true
    - name: films by night
      match: {category: [films, series], days: mon-fri, hours: ["22:00-06:00"], time_zone: Europe/Berlin}
      price: 10 sat per GiB
      rights: own
    - name: films
      match: {category: films, size: at least 1 GiB}
      price: 500 sat per torrent
      rights: own
buy:
  per_torrent: 500 sat
  per_day: 1000 sat
  total: 10000 sat
  rules:
    - {name: rare, match: {seeds: at most 3}, max_price: 40 sat per GiB, stop_at: 1.5}
`

const explained = "0123456789abcdef0123456789abcdef01234567"

func explainDir(t *testing.T) string {
	t.Helper()
	dir := configDir(t)
	writeFile(t, filepath.Join(dir, "paygate.yaml"), explainConfig)
	return dir
}

// TestExplain asks the command about peers that are not there, with nothing running.
func TestExplain(t *testing.T) {
	dir := explainDir(t)
	for _, c := range []struct {
		name     string
		args     string
		sell     string
		rule     string
		price    string
		reason   string
		buy      string
		buyCause string
	}{
		{"nothing known", "", "free", "", "", "", "not-bought", ""},
		{"a friend", "--peer 10.1.2.3 --category films", "free", "friends free", "", "", "not-bought", ""},
		{"a client that is refused", "--peer 192.0.2.7 --client-id -XX1000-", "denied", "no strangers' clients", "", "", "not-bought", ""},
		{"by night", "--category films --private=false --at 2024-05-01T21:00:00Z", "charged", "films by night", "10 sat per GiB", "", "not-bought", ""},
		{"by day", "--category films --private=false --size 2GiB --at 2024-05-01T12:00:00Z", "charged", "films", "500 sat per 2 GiB", "", "not-bought", ""},
		{"private", "--category films --private --size 2GiB --at 2024-05-01T12:00:00Z", "free", "films", "", "private-torrent", "not-bought", ""},
		{"perhaps private", "--category films --size 2GiB --at 2024-05-01T12:00:00Z", "free", "films", "", "private-flag-unknown", "not-bought", ""},
		{"rare", "--seeds 2 --ratio 1.4", "free", "", "", "", "bought", ""},
		{"rare, and enough given", "--seeds 2 --ratio 1.5", "free", "", "", "", "not-bought", "stop-at-ratio"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := runIn(t, dir, append([]string{"explain", "--torrent", explained}, strings.Fields(c.args)...)...)
			var e admin.Explanation
			if err := json.Unmarshal([]byte(got.stdout), &e); err != nil || got.code != 0 {
				t.Fatalf("%+v: %v", got, err)
			}
			if e.Running || e.Sell.Decision != c.sell || e.Sell.Rule != c.rule || e.Sell.Price != c.price || e.Sell.Reason != c.reason {
				t.Errorf("sell %+v", e.Sell)
			}
			if e.Buy.Decision != c.buy || e.Buy.Reason != c.buyCause {
				t.Errorf("buy %+v", e.Buy)
			}
		})
	}
}

// TestExplainForPeople looks at the tables.
func TestExplainForPeople(t *testing.T) {
	dir := explainDir(t)
	c, err := config.Load(filepath.Join(dir, "paygate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	category, private := "films", false
	e, err := askFile(c, admin.Question{
		Torrent: explained, Peer: "192.0.2.7", Category: &category, Private: &private, Size: 4 << 30, At: "2024-05-01T12:00:00Z",
		Trackers: []string{"tracker.example.org"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	printExplanation(&b, e)
	golden(t, "explain.txt", b.String())
}

// TestExplainAsksWhoRuns lets a paygate answer on the socket, and not be asked with --file.
func TestExplainAsksWhoRuns(t *testing.T) {
	dir := explainDir(t)
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	serveControl(t, filepath.Join(dir, "data"), fixedSource{}, explainer{})
	got := runIn(t, dir, "explain", "--torrent", explained, "--peer", "192.0.2.7")
	if got.code != 0 || !strings.Contains(got.stdout, `"running":true`) || !strings.Contains(got.stdout, `"peer":"192.0.2.7"`) {
		t.Errorf("%+v", got)
	}
	if got := runIn(t, dir, "explain", "--file", "--torrent", explained); got.code != 0 || !strings.Contains(got.stdout, `"running":false`) {
		t.Errorf("%+v", got)
	}
}

func TestExplainRefuses(t *testing.T) {
	dir := explainDir(t)
	for args, want := range map[string]string{
		"":                                     "Give --torrent",
		"--torrent 01":                         "--torrent:",
		"--torrent " + explained + " --peer x": "--peer:",
		"--torrent " + explained + " --identity 01":    "--identity:",
		"--torrent " + explained + " --size 4":         "--size:",
		"--torrent " + explained + " --at noon":        "--at:",
		"--torrent " + explained + " --socket nowhere": "Is `paygate run` up",
	} {
		got := runIn(t, dir, append([]string{"explain"}, strings.Fields(args)...)...)
		if got.code == 0 || got.stdout != "" || !strings.Contains(got.stderr, want) {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

// explainer answers like a running paygate.
type explainer struct{ admin.Control }

func (explainer) Explain(_ context.Context, q admin.Question) (admin.Explanation, error) {
	return admin.Explanation{InfoHash: q.Torrent, Peer: q.Peer, Running: true}, nil
}
