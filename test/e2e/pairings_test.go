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
	pairingSize   = 24*units.MiB + 12345
	pairingSample = units.MiB
	patience      = 3 * time.Minute
)

// pairings are every client selling to every client, free and paid.
func pairings() []proof {
	kinds := []clients.Kind{clients.QBittorrent, clients.Transmission, clients.Anacrolix}
	var all []proof
	for _, seller := range kinds {
		for _, buyer := range kinds {
			all = append(all, proof{
				name: string(seller) + " sells to " + string(buyer),
				proves: "All nine pairings of the three clients finish byte-exact; paid_msat (routing fees apart) = what the " +
					"seller received; earned = ceil((served - sample) x price); the rest shows as the same credit on both sides.",
				run: func(t *testing.T) { testPairing(t, seller, buyer) },
			})
		}
	}
	return all
}

func testPairing(t *testing.T, seller, buyer clients.Kind) {
	need(t, seller, buyer)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, pairingSize)
	network := newNetwork(t, site, 70*time.Millisecond)
	p := newPair(t, site, network, "p", scenario.Plan{Seller: seller, Buyer: buyer, Terms: scenario.Terms{
		Price: price(t, "1000 sat per GiB"), Sample: pairingSample, Min: units.Sat, Max: 5 * units.Sat,
	}})
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
	if bill.Seller.SampleBytes > pairingSample {
		t.Errorf("%d bytes were free, of a sample of %d", bill.Seller.SampleBytes, pairingSample)
	}
}

func price(t *testing.T, s string) units.Price {
	t.Helper()
	p, err := units.ParsePrice(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
