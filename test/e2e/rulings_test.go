package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"paygate/test/scenario"
	"paygate/units"
)

// sells gives the seller's gate another section of settings and list of rules, the entries of which are actions: the
// torrent, and that it is the owner's own, are added where nothing else is said.
func sells(ctx context.Context, t *testing.T, p *scenario.Pair, section string, rules ...string) {
	t.Helper()
	text := "\nsell:\n" + section + "  rules:\n"
	for i, r := range rules {
		if !strings.Contains(r, "torrents: ") { // nor all_torrents
			r += fmt.Sprintf(", torrents: [%s]", p.Site.Torrent.InfoHash)
		}
		if !strings.Contains(r, "rights: ") {
			r += ", rights: own"
		}
		text += fmt.Sprintf("    - {name: rule %d, %s}\n", i+1, r)
	}
	if err := p.SellerGate.Rewrite(func(was string) string {
		before, _, _ := strings.Cut(was, "\nsell:") // the last section
		return before + text
	}); err != nil {
		t.Fatal(err)
	}
	order(ctx, t, p.SellerGate, "changed now", "reload")
}

// prices are what buyers pay under selling rules.
func prices() []proof {
	return []proof{
		{
			name:   "action price",
			proves: "A price per torrent is earned once for all of it, with the size that client.torrents tells.",
			run:    testPerTorrent,
		},
		{
			name:   "action tiers",
			proves: "A buyer that has been charged for so much pays the price of that tier from there on, and both books agree.",
			run:    testTiers,
		},
		{
			name:   "action interval",
			proves: "No purchase buys more bytes than interval allows, nor less money than min.",
			run:    testInterval,
		},
	}
}

// finish lets the buyer download everything and returns the bill on which both sides agree.
func finish(ctx context.Context, t *testing.T, p *scenario.Pair) scenario.Bill {
	t.Helper()
	took, err := p.Download(ctx)
	if err != nil {
		t.Fatal(err)
	}
	bill := agreed(ctx, t, p, p.Site.Torrent.Size)
	t.Logf("%s: %d bytes sold, earned %s, received %s in %d payments", took, bill.Seller.SoldBytes, bill.Seller.Earned, bill.Received, bill.Payments)
	return bill
}

func testPerTorrent(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, actionSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat, Max: 6 * units.Sat}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	dir := site.Dir + "/torrents"
	metainfo, err := site.Torrent.Metainfo("http://127.0.0.1:1/announce")
	if err := errors.Join(err, os.Mkdir(dir, 0o755), os.WriteFile(dir+"/a.torrent", metainfo, 0o644)); err != nil {
		t.Fatal(err)
	}
	edit(t, p.SellerGate, "client:\n", "client:\n    torrents: "+dir+"\n", "price: 1000 sat per GiB", "price: 17 sat per torrent")
	restart(ctx, t, p.SellerGate)
	bill := finish(ctx, t, p)
	want := units.Price{Msat: 17 * units.Sat, Per: site.Torrent.Size}.Charge(bill.Seller.SoldBytes)
	if bill.Seller.Earned != want || want > 18*units.Sat {
		t.Errorf("earned %s for %d bytes of %d, want %s", bill.Seller.Earned, bill.Seller.SoldBytes, site.Torrent.Size, want)
	}
}

func restart(ctx context.Context, t *testing.T, g *scenario.Gate) {
	t.Helper()
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := g.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// testTiers sells a second torrent to the same buyer: rules are asked again when a connection comes, or after a minute.
func testTiers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, actionSize)
	second, err := site.MakeTorrent("the second", actionSize)
	if err != nil {
		t.Fatal(err)
	}
	terms := scenario.Terms{Price: price(t, "2000 sat per GiB"), Min: units.Sat, Max: 4 * units.Sat}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	for _, g := range []*scenario.Gate{p.SellerGate, p.BuyerGate} {
		hash := "- " + site.Torrent.InfoHash.String()
		edit(t, g, hash, hash+"\n            - "+second.InfoHash.String())
	}
	edit(t, p.SellerGate, "rights: own", "tiers: [{after: 20 MiB, price: 500 sat per GiB}]\n          rights: own")
	for _, g := range []*scenario.Gate{p.SellerGate, p.BuyerGate} {
		order(ctx, t, g, `"test" has changed`, "reload")
	}
	if err := site.Seed(ctx, p.Seller, p.ClientName("seller"), second); err != nil {
		t.Fatal(err)
	}
	first := finish(ctx, t, p).Seller
	if err := site.Add(ctx, p.Buyer, p.ClientName("buyer"), second, p.DownloadDir(), p.SellsAt()); err != nil {
		t.Fatal(err)
	}
	completes(ctx, t, p.Buyer, second)
	both := agreed(ctx, t, p, first.SoldBytes+actionSize).Seller
	cheap := price(t, "500 sat per GiB").Charge(both.SoldBytes - first.SoldBytes)
	if dear := terms.Price.Charge(first.SoldBytes); first.Earned != dear {
		t.Errorf("earned %s of the first, want %s", first.Earned, dear)
	}
	// What was bought for the first keeps its price only there; each torrent and price is rounded up by itself.
	if earned := both.Earned - first.Earned; earned < cheap || earned > cheap+2 {
		t.Errorf("earned %s of the second, want %s", earned, cheap)
	}
}

func testInterval(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, actionSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	edit(t, p.SellerGate, "rights: own", "interval: 2 MiB\n          rights: own")
	order(ctx, t, p.SellerGate, `"test" has changed`, "reload")
	bill := finish(ctx, t, p)
	step := terms.Price.Charge(2 * units.MiB)
	if n := units.Msat(bill.Payments); n*step < bill.Received || n*units.Sat > bill.Received {
		t.Errorf("%s in %d payments: want 1 sat to %s in each", bill.Received, bill.Payments, step)
	}
}
