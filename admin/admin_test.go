package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paygate/units"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source tells a fixed status or fails.
type source struct {
	st  Status
	err error
}

func (s source) Status(context.Context) (Status, error) { return s.st, s.err }

func (s source) Ready(context.Context) error { return s.err }

// serve runs a server on path until the returned function is called, which gives Run's error.
func serve(t *testing.T, path string, src Source) func() error {
	t.Helper()
	return serveWith(t, path, src, nil)
}

func serveWith(t *testing.T, path string, src Source, control Control) func() error {
	t.Helper()
	s, err := New(Config{Socket: path}, src, control)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return func() error { cancel(); return <-done }
}

func filled() Status {
	return Status{
		Version: "v1", Started: time.Date(2024, 1, 2, 3, 4, 5, 6, time.UTC), Uptime: 7, Peers: "192.0.2.1:6881", SOCKS5: "127.0.0.1:1080", Lightning: Lightning{"ready", "alice", "regtest", "none"},
		Clients:  []Client{{"films", "127.0.0.1:6881", "192.0.2.1:6881", "127.0.0.1:1080", "127.0.0.1:8118", "[::]:17000", "[::]:17001", "qBittorrent", "4.5.2", "away", "start it", 7, 99}},
		Totals:   Totals{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14},
		Waits:    Waits{1, 2},
		Sessions: []Session{{1, "r", "h", true, "gated", "open", "sell", 2, 3, 4, -5, "films", &Waits{6, 7}, true, true}},
		Torrents: []Torrent{{"h", "rule", "25 sat per GiB", 1, 2, 3}},
	}
}

func TestFetchBringsTheStatusUnchanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	stop := serve(t, path, source{st: filled()})
	got, err := Fetch(t.Context(), path)
	if err != nil || !reflect.DeepEqual(got, filled()) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	stop := serve(t, path, source{st: Status{Totals: Totals{Received: units.Sat}}})
	_, body, err := get(t.Context(), path, "/status")
	if err != nil || !strings.Contains(string(body), `"sessions":[],"torrents":[]`) || !strings.Contains(string(body), `"received_msat":1000`) {
		t.Errorf("%s, %v", body, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestSocketIsTheOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SocketName)
	stop := serve(t, path, source{})
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestReadiness(t *testing.T) {
	for _, tt := range []struct {
		err   error
		code  int
		line  string
		ready bool
	}{
		{nil, http.StatusOK, "ready", true},
		{errors.New("the wallet is locked;\n  lncli unlock"), http.StatusServiceUnavailable, "not ready: the wallet is locked; lncli unlock", false},
	} {
		path := filepath.Join(t.TempDir(), SocketName)
		stop := serve(t, path, source{err: tt.err})
		if got := askStatus(t, path, "GET", "/readyz"); got != tt.code {
			t.Errorf("status %d, want %d", got, tt.code)
		}
		if line, ready, err := FetchReady(t.Context(), path); line != tt.line || ready != tt.ready || err != nil {
			t.Errorf("%q, %t, %v; want %q", line, ready, err, tt.line)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if _, _, err := FetchReady(t.Context(), path); err == nil {
			t.Error("ready without anybody there")
		}
	}
}

func TestOnlyReadingIsAnswered(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	stop := serve(t, path, source{st: filled()})
	for _, c := range []struct {
		method, target string
		status         int
	}{
		{"GET", "/status", 200},
		{"HEAD", "/status", 200},
		{"GET", "/healthz", 200},
		{"GET", "/readyz", 200},
		{"POST", "/readyz", 405},
		{"POST", "/status", 405},
		{"DELETE", "/status", 405},
		{"PUT", "/healthz", 405},
		{"GET", "/", 404},
		{"GET", "/status/x", 404},
	} {
		if got := askStatus(t, path, c.method, c.target); got != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.target, got, c.status)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// askStatus sends a request and returns the status of the answer.
func askStatus(t *testing.T, path, method, target string) int {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://paygate"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Error(err)
	}
	return res.StatusCode
}

func TestFailingSourceIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	stop := serve(t, path, source{err: errors.New("ledger is closed")})
	if _, err := Fetch(t.Context(), path); err == nil || !strings.HasSuffix(err.Error(), "503 Service Unavailable: ledger is closed") {
		t.Errorf("Fetch: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestSecondServerIsRefusedAndHarmless(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	stop := serve(t, path, source{st: filled()})
	second, err := New(Config{Socket: path}, source{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); !errors.Is(err, ErrInUse) {
		t.Errorf("second Run: %v", err)
	}
	if got, err := Fetch(t.Context(), path); err != nil || got.Version != "v1" {
		t.Errorf("the first one answers %+v, %v", got, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestDeadSocketIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close() // as after SIGKILL: the file stays, nobody answers
	stop := serve(t, path, source{st: filled()})
	if got, err := Fetch(t.Context(), path); err != nil || got.Version != "v1" {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestOtherFilesAreLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Socket: path}, source{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "exists and is not a socket") {
		t.Errorf("Run: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "mine" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}

// TestSuccessorKeepsItsSocket: a server that ends must not remove a file that another one has put there since.
func TestSuccessorKeepsItsSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	stop := serve(t, path, source{})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	stopNext := serve(t, path, source{st: filled()})
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got, err := Fetch(t.Context(), path); err != nil || got.Version != "v1" {
		t.Errorf("the successor answers %+v, %v", got, err)
	}
	if err := stopNext(); err != nil {
		t.Error(err)
	}
}

func TestSocketPathMustFit(t *testing.T) {
	for n, ok := range map[int]bool{0: false, 1: true, maxPath: true, maxPath + 1: false} {
		if _, err := New(Config{Socket: strings.Repeat("x", n)}, source{}, nil); (err == nil) != ok {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestFetchFromNobody(t *testing.T) {
	if _, err := Fetch(t.Context(), filepath.Join(t.TempDir(), SocketName)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Fetch: %v", err)
	}
}

// blocking answers only when its request's context ends, and tells that it was asked.
type blocking struct{ asked chan struct{} }

func (b blocking) Status(ctx context.Context) (Status, error) {
	close(b.asked)
	<-ctx.Done()
	return Status{}, ctx.Err()
}

func (b blocking) Ready(context.Context) error { return nil }

func TestEndReleasesAnswersUnderWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), SocketName)
	b := blocking{make(chan struct{})}
	stop := serve(t, path, b)
	done := make(chan error, 1)
	go func() { _, err := Fetch(context.Background(), path); done <- err }()
	<-b.asked
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if <-done == nil {
		t.Error("an unanswered question was answered")
	}
}
