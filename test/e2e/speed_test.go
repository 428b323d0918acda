package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/scenario"
	"paygate/units"
)

const (
	speedSize  = 256 * units.MiB
	speedLimit = 100_000_000 / 8 * units.Bytes(1) // 100 Mbit/s
)

func speeds() []proof {
	return []proof{
		{
			name: "speed at 100 Mbit per s", alone: true,
			proves: "Clients limited to 100 Mbit/s, 256 MiB, 1,000 sat per GiB: the paid download takes at most 1.05 x the free " +
				"one through the same proxies with 70 ms payment time, at most 1.10 x with 500 ms.",
			run: func(t *testing.T) { testSpeed(t, speedLimit, 1.05, 1.10) },
		},
		{
			name: "speed without a limit", alone: true,
			proves: "Without a rate limit both are reported.",
			run:    func(t *testing.T) { testSpeed(t, 0, 0, 0) },
		},
	}
}

// testSpeed compares a free and two paid downloads through the same proxies. A factor of 0 is not checked.
func testSpeed(t *testing.T, rate units.Bytes, quick, slow float64) {
	need(t, clients.QBittorrent)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	site := newSite(t, speedSize)
	free := timeDownload(ctx, t, site, nil, "free", rate, scenario.Terms{})
	t.Logf("free: %s, %s", free.Round(time.Millisecond), megabytes(free))
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB")}
	for _, c := range []struct {
		latency time.Duration
		factor  float64
	}{{70 * time.Millisecond, quick}, {500 * time.Millisecond, slow}} {
		name := "paid" + c.latency.String()
		network, err := scenario.NewNetwork(site.Dir+"/ln"+c.latency.String(), c.latency)
		if err != nil {
			t.Fatal(err)
		}
		paid := timeDownload(ctx, t, site, network, name, rate, terms)
		if err := network.Close(); err != nil {
			t.Error(err)
		}
		ratio := paid.Seconds() / free.Seconds()
		t.Logf("paid, each payment takes %s: %s, %s, %.3f x free", c.latency, paid.Round(time.Millisecond), megabytes(paid), ratio)
		if c.factor > 0 && ratio > c.factor {
			t.Errorf("paid with %s takes %.3f x free, want at most %.2f", c.latency, ratio, c.factor)
		}
	}
}

func timeDownload(ctx context.Context, t *testing.T, site *scenario.Site, n *scenario.Network, name string, rate units.Bytes, terms scenario.Terms) time.Duration {
	t.Helper()
	p, err := scenario.NewPair(ctx, site, n, name, scenario.Plan{
		Seller: clients.QBittorrent, Buyer: clients.QBittorrent, Rate: rate, Terms: terms,
	})
	if err != nil {
		t.Fatal(err)
	}
	took, err := p.Download(ctx)
	if err == nil {
		err = p.Verify(ctx)
	}
	if err == nil && n != nil {
		var bill scenario.Bill
		bill, err = p.Bill(ctx, site.Torrent.Size)
		t.Log(bill)
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if err := p.Discard(); err != nil {
		t.Error(err)
	}
	return took
}

func megabytes(d time.Duration) string {
	return fmt.Sprintf("%.1f MB/s", float64(speedSize)/1e6/d.Seconds())
}
