package e2e

import (
	"context"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/scenario"
	"paygate/units"
)

const (
	trackedSize   = 6*units.MiB + 4321
	trackedSample = units.MiB
)

// trackers are sales between clients that know each other from a tracker alone.
func trackers() []proof {
	return []proof{{
		name: "peers from the tracker",
		proves: "Two Transmissions that can dial nobody, each bound to loopback behind a paygate without root and without a list of " +
			"peers, find each other through an HTTP tracker, which learns their paygates' ports: byte-exact and paid.",
		run: testTrackers,
	}}
}

func testTrackers(t *testing.T) {
	need(t, clients.Transmission)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, trackedSize)
	p := newPair(t, site, newNetwork(t, site, 0), "p", scenario.Plan{
		Seller: clients.Transmission, Buyer: clients.Transmission, Trackers: true,
		Terms: scenario.Terms{Price: price(t, "1000 sat per GiB"), Sample: trackedSample, Min: units.Sat, Max: 5 * units.Sat},
	})
	took, err := p.Download(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(ctx); err != nil {
		t.Errorf("downloaded files: %v", err)
	}
	bill, err := p.Bill(ctx, site.Torrent.Size)
	t.Logf("%s in %s: %s", site.Torrent.Size, took.Round(time.Millisecond), bill)
	if err != nil {
		t.Errorf("the bill: %v", err)
	}
	for role, want := range map[string]uint16{"seller": p.SellsAt().Port(), "buyer": p.BuysAt().Port()} {
		if got := site.Tracker.Port(p.ClientName(role)); got != want {
			t.Errorf("the tracker knows the %s at port %d, its paygate listens on %d", role, got, want)
		}
	}
}
