package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/hostile"
	"paygate/test/scenario"
	"paygate/units"
)

const (
	attackers   = 1000
	floodSize   = 256 * units.MiB
	floodRate   = 100_000_000 / 8 * units.Bytes(1) // 100 Mbit/s
	floodWindow = 8 * time.Second
	floodGrowth = 32 * units.MiB
)

func floods() []proof {
	return []proof{{
		name: "a thousand attackers", alone: true,
		proves: "Random garbage, truncated frames, 4 GiB length prefixes, bencode bombs and slow handshakes on the public port: " +
			"with 1,000 such attackers at once, RSS grows by at most 32 MiB, an honest transfer keeps 0.8 x its speed, one log " +
			"line each at most.",
		run: testFlood,
	}}
}

// testFlood attacks in the middle of a paid download and compares its speed before and meanwhile.
func testFlood(t *testing.T) {
	need(t, clients.QBittorrent)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, floodSize)
	p := newPair(t, site, newNetwork(t, site, 70*time.Millisecond), "p", scenario.Plan{
		Seller: clients.QBittorrent, Buyer: clients.QBittorrent, Rate: floodRate,
		Terms: scenario.Terms{Price: price(t, "1000 sat per GiB")},
	})
	if err := p.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitBytes(ctx, 8*units.MiB); err != nil {
		t.Fatal(err)
	}
	alone := speedFor(ctx, t, p, floodWindow/2)
	rss := memory(t, p.SellerGate.RSS)
	linesBefore := logLines(t, p.SellerGate)

	swarm := hostile.Unleash(p.SellsAt().String(), site.Torrent.InfoHash, attackers, time.Second)
	attacked := speedFor(ctx, t, p, floodWindow)
	peak := memory(t, p.SellerGate.PeakRSS)
	connected := swarm.Stop()
	lines := logLines(t, p.SellerGate) - linesBefore

	t.Logf("honest transfer: %s/s alone, %s/s under %d attackers, who connected %d times; RSS %s before, %s at its peak; %d log lines",
		alone, attacked, attackers, connected, rss, peak, lines)
	if float64(attacked) < 0.8*float64(alone) {
		t.Errorf("the honest transfer fell from %s/s to %s/s", alone, attacked)
	}
	if peak-rss > floodGrowth {
		t.Errorf("RSS grew by %s, want at most %s", peak-rss, floodGrowth)
	}
	if connected < attackers {
		t.Errorf("only %d connections were made by %d attackers", connected, attackers)
	}
	if lines > connected {
		t.Errorf("%d log lines for %d connections", lines, connected)
	}
	if err := p.AwaitBytes(ctx, floodSize); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(ctx); err != nil {
		t.Errorf("downloaded files: %v", err)
	}
	bill, err := p.Bill(ctx, floodSize)
	t.Log(bill)
	if err != nil {
		t.Errorf("the bill: %v", err)
	}
}

// speedFor measures bytes per second over a while, as the buyer's paygate sees them pass.
func speedFor(ctx context.Context, t *testing.T, p *scenario.Pair, d time.Duration) units.Bytes {
	t.Helper()
	passed := func() (n units.Bytes) {
		st, err := p.BuyerGate.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range st.Sessions {
			n += s.In
		}
		return n
	}
	before, start := passed(), time.Now()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	case <-timer.C:
	}
	return units.Bytes(float64(passed()-before) / time.Since(start).Seconds())
}

func memory(t *testing.T, read func() (units.Bytes, error)) units.Bytes {
	t.Helper()
	rss, err := read()
	if err != nil {
		t.Fatal(err)
	}
	return rss
}

// logLines counts what was logged, payments of the honest buyer left out.
func logLines(t *testing.T, g *scenario.Gate) (n int) {
	t.Helper()
	lines, err := g.Log()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if !strings.HasPrefix(l.Message, "payment") {
			n++
		}
	}
	return n
}
