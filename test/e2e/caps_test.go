package e2e

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/scenario"
	"paygate/units"
)

const (
	capLimit    = 20 * units.Sat
	capSmallest = 2 * units.Sat
	capFee      = units.Sat // what one payment may cost on top, see the default of fee_max
)

func caps() []proof {
	return []proof{{
		name: "a cap holds",
		proves: "A payer never exceeds a cap, fees included, and stops within one smallest purchase of it; its client goes on " +
			"downloading from free peers.",
		run: testCap,
	}}
}

// testCap offers a torrent that costs more than twice the cap, and a slow free peer beside the seller.
func testCap(t *testing.T) {
	need(t, clients.QBittorrent)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, 48*units.MiB)
	network := newNetwork(t, site, 70*time.Millisecond)
	p := newPair(t, site, network, "p", scenario.Plan{
		Seller: clients.QBittorrent, Buyer: clients.QBittorrent,
		Terms: scenario.Terms{Price: price(t, "1000 sat per GiB"), Cap: capLimit, Min: capSmallest, Max: 4 * units.Sat},
	})
	free, err := site.Launch(ctx, clients.Anacrolix, "free", scenario.HostGuest, clients.Spec{Upload: 2 * units.MiB})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(free.Close)
	if err := site.Seed(ctx, free, "free", site.Torrent); err != nil {
		t.Fatal(err)
	}
	if err := p.Begin(ctx, netip.MustParseAddrPort(free.PeerAddr())); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitBytes(ctx, site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(ctx); err != nil {
		t.Errorf("downloaded files: %v", err)
	}
	bill, err := p.Bill(ctx, 0)
	if err != nil {
		t.Errorf("the bill: %v", err)
	}
	spent := bill.Sent + bill.Fees
	t.Logf("cap %s: spent %s with fees, left %s; %d of %d bytes bought: %s", capLimit, spent, capLimit-spent,
		bill.Buyer.BoughtBytes, site.Torrent.Size, bill)
	if spent > capLimit {
		t.Errorf("spent %s of a cap of %s", spent, capLimit)
	}
	if left := capLimit - spent; left >= capSmallest+capFee {
		t.Errorf("stopped with %s left, enough for a payment of %s and its fee", left, capSmallest)
	}
}
