package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/process"
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
	}, {
		name: "clients that require encryption and are called",
		proves: "A Transmission that requires encryption buys from such a qBittorrent, where paygate calls both: byte-exact, paid, " +
			"and encrypted on all three connections.",
		run: func(t *testing.T) { testEncrypted(t, clients.QBittorrent, clients.Transmission) },
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
	start := time.Now()
	if err := p.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	for _, gate := range []*scenario.Gate{p.SellerGate, p.BuyerGate} {
		if err := awaitEncrypted(ctx, gate); err != nil {
			t.Error(err)
		}
	}
	if err := p.AwaitBytes(ctx, site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	if err := p.Verify(ctx); err != nil {
		t.Errorf("downloaded files: %v", err)
	}
	bill, err := p.Bill(ctx, site.Torrent.Size)
	t.Logf("%s in %s: %s", site.Torrent.Size, took.Round(time.Millisecond), bill)
	if err != nil {
		t.Errorf("the bill: %v", err)
	}
}

// awaitEncrypted waits for a session that is encrypted on both sides of a paygate.
func awaitEncrypted(ctx context.Context, g *scenario.Gate) error {
	return process.Poll(ctx, 100*time.Millisecond, func() error {
		status, err := g.Status(ctx)
		if err != nil {
			return err
		}
		for _, s := range status.Sessions {
			if s.RemoteEncrypted && s.ClientEncrypted {
				return nil
			}
		}
		return errors.New("no session is encrypted on both sides")
	})
}
