package e2e

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/scenario"
	"paygate/units"
)

const (
	outageLasts  = 30 * time.Second
	outageRate   = 4 * units.MiB
	outageResume = 120 * time.Second
)

func outages() []proof {
	return []proof{{
		name: "Lightning is away",
		proves: "The sandbox going away for 30 s in mid-download: free torrents do not notice, the paid one resumes by " +
			"itself.",
		run: testOutage,
	}}
}

// testOutage runs a paid and a free download through the same two paygates, and takes both Lightning nodes away.
func testOutage(t *testing.T) {
	need(t, clients.QBittorrent)
	ctx, cancel := context.WithTimeout(t.Context(), outageLasts+outageResume+patience)
	defer cancel()
	site := newSite(t, 40*units.MiB)
	open, err := site.MakeTorrent("free for all", 256*units.MiB)
	if err != nil {
		t.Fatal(err)
	}
	network := newNetwork(t, site, 70*time.Millisecond)
	p := newPair(t, site, network, "p", scenario.Plan{
		Seller: clients.QBittorrent, Buyer: clients.QBittorrent, Rate: outageRate,
		Terms: scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat, Max: 2 * units.Sat},
	})
	if err := site.Seed(ctx, p.Seller, p.ClientName("seller"), open); err != nil {
		t.Fatal(err)
	}
	if err := p.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitBytes(ctx, 6*units.MiB); err != nil {
		t.Fatal(err)
	}
	err = site.Add(ctx, p.Buyer, p.ClientName("buyer"), open, filepath.Join(site.Dir, "open"), p.SellsAt())
	if err != nil {
		t.Fatal(err)
	}
	if err := network.Down(); err != nil {
		t.Fatal(err)
	}
	slowest := watchFree(ctx, t, p, open.InfoHash)
	paidBefore, err := p.Progress(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := network.Up(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	if err := p.AwaitBytes(ctx, paidBefore+units.MiB); err != nil {
		t.Fatal(err)
	}
	resumed := time.Since(back)
	t.Logf("free torrent during the outage: %s/s in its slowest 5 s; paid one at %s, resumed %s after the return",
		slowest, paidBefore, resumed.Round(time.Millisecond))
	if slowest < outageRate/4 {
		t.Errorf("the free torrent fell to %s/s while Lightning was away", slowest)
	}
	if resumed > outageResume {
		t.Errorf("the paid torrent resumed after %s", resumed)
	}
	if err := p.AwaitBytes(ctx, site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(ctx); err != nil {
		t.Errorf("downloaded files: %v", err)
	}
	bill, err := p.Bill(ctx, site.Torrent.Size)
	t.Log(bill)
	if err != nil {
		t.Errorf("the bill: %v", err)
	}
}

// watchFree follows the free torrent through the outage and returns its speed per second in its slowest interval of
// 5 s, the first two left out, in which it starts.
func watchFree(ctx context.Context, t *testing.T, p *scenario.Pair, ih units.InfoHash) units.Bytes {
	t.Helper()
	const interval = 5 * time.Second
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var last int64
	slowest := units.Bytes(1 << 60)
	for i := range int(outageLasts / interval) {
		select {
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		case <-tick.C:
		}
		done, _, err := p.Buyer.Progress(ctx, ih)
		if err != nil {
			t.Fatal(err)
		}
		if i >= 2 {
			slowest = min(slowest, units.Bytes(done-last)/units.Bytes(interval.Seconds()))
		}
		last = done
	}
	return slowest
}
