package clients_test

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paygate/test/clients"
	"paygate/test/process"
	"paygate/test/swarm"
	"paygate/units"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestClientsExchangeFiles proves that the drivers work, without paygate: every client seeds to every other one that
// the two can reach each other by. Whoever can dial loopback addresses is told of the other.
func TestClientsExchangeFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real clients")
	}
	anacrolix := build(t)
	kinds := []clients.Kind{
		clients.QBittorrent, clients.Transmission, clients.Aria2, clients.Anacrolix,
		clients.QBittorrent5, clients.Transmission4, clients.RTorrent,
	}
	older := kinds[:4]
	for _, seeder := range kinds {
		for _, leecher := range kinds {
			if !seeder.DialsOut() && !leecher.DialsOut() {
				continue // neither can open the connection
			}
			if !slices.Contains(older, seeder) && !slices.Contains(older, leecher) {
				continue // enough is enough
			}
			t.Run(string(seeder)+" to "+string(leecher), func(t *testing.T) {
				exchange(t, seeder, leecher, anacrolix)
			})
		}
	}
}

func exchange(t *testing.T, seeder, leecher clients.Kind, anacrolix string) {
	for _, k := range []clients.Kind{seeder, leecher} {
		if why := k.Missing(); why != "" {
			t.Skip(why)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tracker := runTracker(t)
	from, to := t.TempDir(), t.TempDir()
	torrent, err := swarm.Make(from, "film", 4*units.MiB+321)
	if err != nil {
		t.Fatal(err)
	}
	s, d := launch(t, seeder, "127.9.1.1", anacrolix), launch(t, leecher, "127.9.1.2", anacrolix)
	tracker.Tell("s", torrent.InfoHash)
	tracker.Tell("d", torrent.InfoHash)
	if leecher.DialsOut() {
		tracker.Tell("d", torrent.InfoHash, netip.MustParseAddrPort(s.PeerAddr()))
	} else {
		tracker.Tell("s", torrent.InfoHash, netip.MustParseAddrPort(d.PeerAddr()))
	}
	start := time.Now()
	if leecher.DialsOut() { // whoever dials comes second: a refused one waits long before it tries again
		add(ctx, t, s, torrent, tracker.URL("s"), from)
		if err := tracker.Await(ctx, "s"); err != nil {
			t.Fatal(err)
		}
		add(ctx, t, d, torrent, tracker.URL("d"), to)
	} else {
		add(ctx, t, d, torrent, tracker.URL("d"), to)
		add(ctx, t, s, torrent, tracker.URL("s"), from)
	}
	err = process.Poll(ctx, 100*time.Millisecond, func() error {
		done, total, err := d.Progress(ctx, torrent.InfoHash)
		if err == nil && done < total {
			err = context.DeadlineExceeded
		}
		return err
	})
	if err != nil {
		t.Fatalf("wait for the download: %v", err)
	}
	t.Logf("done after %s", time.Since(start).Round(time.Millisecond))
	if err := torrent.Verify(to); err != nil {
		t.Error(err)
	}
}

func add(ctx context.Context, t *testing.T, c clients.Client, torrent *swarm.Torrent, announce, dir string) {
	t.Helper()
	metainfo, err := torrent.Metainfo(announce)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Add(ctx, metainfo, dir); err != nil {
		t.Fatal(err)
	}
}

func launch(t *testing.T, kind clients.Kind, host, anacrolix string) clients.Client {
	t.Helper()
	port, err := clients.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	spec := clients.Spec{Dir: t.TempDir(), Listen: netip.AddrPortFrom(netip.MustParseAddr(host), port)}
	if kind == clients.Anacrolix {
		spec.Program = anacrolix
	}
	c, err := clients.Launch(t.Context(), kind, spec)
	if err != nil {
		output, _ := os.ReadFile(filepath.Join(spec.Dir, "output.log"))
		t.Fatalf("%v\n%s", err, output)
	}
	t.Cleanup(c.Close)
	return c
}

func runTracker(t *testing.T) *swarm.Tracker {
	t.Helper()
	tracker, err := swarm.NewTracker("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tracker.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return tracker
}

// build compiles the anacrolix client.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "anacrolix")
	cmd := exec.Command("go", "build", "-o", path, "paygate/test/anacrolix")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the anacrolix client: %v\n%s", err, output)
	}
	return path
}
