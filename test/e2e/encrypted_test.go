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
	encryptedSize   = 16*units.MiB + 54321
	encryptedSample = units.MiB
)

// encrypted are sales between clients that want nothing to do with plaintext.
func encrypted() []proof {
	return []proof{{
		name: "clients that require encryption",
		proves: "A qBittorrent that requires encryption buys from a Transmission that requires it: byte-exact, paid, and encrypted " +
			"on all three connections.",
		run: func(t *testing.T) { testEncrypted(t, clients.Transmission, clients.QBittorrent) },
	}}
}

func testEncrypted(t *testing.T, seller, buyer clients.Kind) {
	need(t, seller, buyer)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, encryptedSize)
	network := newNetwork(t, site, 70*time.Millisecond)
	p := newPair(t, site, network, "p", scenario.Plan{
		Seller: seller, Buyer: buyer, Encryption: clients.Require, Terms: scenario.Terms{
			Price: price(t, "1000 sat per GiB"), Sample: encryptedSample, Min: units.Sat, Max: 5 * units.Sat,
		},
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
}
