package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"paygate/admin"
	"paygate/units"
)

func sampleStatus() admin.Status {
	return admin.Status{
		Version: "v1.2.3", Started: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC), Uptime: 3723 * time.Second,
		Lightning: admin.Lightning{State: "ready", Alias: "al\x1b[2Jice", Network: "regtest"},
		Totals: admin.Totals{
			SoldBytes: 3 * units.GiB, SampleBytes: units.MiB, Received: 80 * units.Sat, Earned: 74_975, CreditOwed: 5025,
			BoughtBytes: units.GiB, FreeBytes: 0, Paid: 30 * units.Sat, Fees: 12, Pending: 10 * units.Sat, CreditHeld: 5 * units.Sat,
			PaymentsIn: 8, PaymentsOut: 3, Unknown: 1,
		},
		Clients: []admin.Client{
			{Name: "films", Address: "127.0.0.1:6881", Peers: "192.0.2.1:6881", Kind: "qBittorrent", Version: "5.1.0", State: "answers", InfoHashes: 7, Past: units.GiB},
			{Name: "books", Address: "127.0.0.1:6882", Peers: "192.0.2.1:6882", SOCKS5: "127.0.0.1:1080", State: "away", Remedy: "start it"},
		},
		Sessions: []admin.Session{
			{ID: 1, Remote: "192.0.2.7:51413", InfoHash: "0123456789abcdef0123456789abcdef01234567", Treatment: "gated", Gate: "open", Paying: "sell", Age: 61 * time.Second, In: 4096, Out: 3 * units.GiB, Balance: 5025, Client: "films"},
			{ID: 12, Remote: "[2001:db8::1]:6881", InfoHash: "1123456789abcdef0123456789abcdef01234567", Outbound: true, Treatment: "watched", Age: 5 * time.Second, In: units.MiB, Client: "books"},
		},
		Torrents: []admin.Torrent{
			{InfoHash: "1123456789abcdef0123456789abcdef01234567", Sessions: 1, In: units.MiB},
			{InfoHash: "0123456789abcdef0123456789abcdef01234567", Rule: "films", Price: "25 sat per GiB", Sessions: 1, In: 4096, Out: 3 * units.GiB},
		},
	}
}

func TestStatusTables(t *testing.T) {
	var b bytes.Buffer
	printStatus(&b, sampleStatus(), nil)
	golden(t, "status.txt", b.String())
}

func TestStatusTablesShowRates(t *testing.T) {
	last, now := sampleStatus(), sampleStatus()
	now.Uptime += 2 * time.Second
	now.Sessions[0].Out += 20 * units.MiB
	now.Sessions[1].In += 3 * units.KiB
	now.Sessions = append(now.Sessions, admin.Session{ID: 13, Remote: "192.0.2.9:1", InfoHash: "2", Treatment: "free"})
	var b bytes.Buffer
	printStatus(&b, now, &last)
	golden(t, "status-rates.txt", b.String())
}

func TestStatusOfAnIdlePaygate(t *testing.T) {
	var b bytes.Buffer
	printStatus(&b, admin.Status{Version: "v1", Lightning: admin.Lightning{State: "locked", Remedy: "unlock the wallet"}}, nil)
	golden(t, "status-idle.txt", b.String())
}

func TestRepaintStartsAtTheTopAndClearsTheRest(t *testing.T) {
	var b bytes.Buffer
	if err := repaint(&b, "one\ntwo\n"); err != nil {
		t.Fatal(err)
	}
	if b.String() != "\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J" {
		t.Errorf("%q", b.String())
	}
}

// fixedSource always tells the same.
type fixedSource struct {
	st    admin.Status
	ready error
}

func (s fixedSource) Status(context.Context) (admin.Status, error) { return s.st, nil }

func (s fixedSource) Ready(context.Context) error { return s.ready }

// serveStatus answers on a socket in dir until the test ends.
func serveStatus(t *testing.T, dir string, st admin.Status) { serve(t, dir, fixedSource{st: st}) }

func serve(t *testing.T, dir string, source fixedSource) {
	t.Helper()
	serveControl(t, dir, source, nil)
}

func serveControl(t *testing.T, dir string, source fixedSource, control admin.Control) {
	t.Helper()
	srv, err := admin.New(admin.Config{Socket: filepath.Join(dir, admin.SocketName)}, source, control)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-srv.Ready():
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
}

func TestStatusIsJSONWhenPiped(t *testing.T) {
	dir := configDir(t)
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	serveStatus(t, filepath.Join(dir, "data"), sampleStatus())
	for _, args := range [][]string{{"status"}, {"status", "--socket", "data/paygate.sock"}} {
		got := runIn(t, dir, args...)
		var st admin.Status
		if got.code != 0 || json.Unmarshal([]byte(got.stdout), &st) != nil || !reflect.DeepEqual(st, sampleStatus()) {
			t.Errorf("%q: %+v", args, got)
		}
	}
}

func TestStatusWatchesUntilInterrupted(t *testing.T) {
	dir := t.TempDir()
	serveStatus(t, dir, sampleStatus())
	c := command(t.Context(), dir, "status", "--socket", admin.SocketName, "--watch")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := range 2 {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), `{"version":"v1.2.3",`) {
			t.Errorf("line %d is %q", i, lines.Text())
		}
	}
	if err := errors.Join(c.Process.Signal(os.Interrupt), c.Wait()); err != nil {
		t.Error(err)
	}
}

func TestStatusWithoutPaygate(t *testing.T) {
	got := runIn(t, configDir(t), "status")
	if got.code != exitFailure || got.stdout != "" || !strings.Contains(got.stderr, "no such file or directory\nIs `paygate run` up") {
		t.Errorf("%+v", got)
	}
}

func TestStatusReady(t *testing.T) {
	for _, tt := range []struct {
		ready error
		code  int
		want  string
	}{
		{nil, 0, "ready\n"},
		{
			errors.New("lnd at h:1 waits for the password of its wallet;\nunlock the wallet: lncli unlock"), exitFailure,
			"not ready: lnd at h:1 waits for the password of its wallet; unlock the wallet: lncli unlock\n",
		},
	} {
		dir := t.TempDir()
		serve(t, dir, fixedSource{ready: tt.ready})
		if got := runIn(t, dir, "status", "--ready", "--socket", admin.SocketName); got.code != tt.code || got.stdout != tt.want || got.stderr != "" {
			t.Errorf("%+v, want %q", got, tt.want)
		}
	}
	got := runIn(t, t.TempDir(), "status", "--ready", "--socket", admin.SocketName)
	if got.code != exitFailure || got.stdout != "" || !strings.Contains(got.stderr, "Is `paygate run` up") {
		t.Errorf("%+v", got)
	}
}
