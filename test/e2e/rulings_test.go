package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"paygate/test/scenario"
	"paygate/units"
)

// sells gives the seller's gate another list of rules, the entries of which begin with their actions: the torrent and the
// right to it are added.
func sells(ctx context.Context, t *testing.T, p *scenario.Pair, section string, rules ...string) {
	t.Helper()
	text := "\nsell:\n" + section + "  rules:\n"
	for i, r := range rules {
		text += fmt.Sprintf("    - {name: rule %d, torrents: [%s], rights: own, %s}\n", i+1, p.Site.Torrent.InfoHash, r)
	}
	if err := p.SellerGate.Rewrite(func(was string) string {
		before, _, _ := strings.Cut(was, "\nsell:") // the last section
		return before + text
	}); err != nil {
		t.Fatal(err)
	}
	order(ctx, t, p.SellerGate, "changed now", "reload")
}

// grab takes for some time what a peer of that number gets, once every byte, and stays. An error is what ended it before.
func grab(ctx context.Context, p *scenario.Pair, number int, during time.Duration) (units.Bytes, error) {
	ctx, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	k, err := newTaker(ctx, number, p.SellsAt(), p.Site.Torrent)
	if err != nil {
		return 0, err
	}
	defer k.conn.Close()
	defer context.AfterFunc(ctx, func() { _ = k.conn.SetDeadline(time.Now()) })()
	first := k.next
	err = k.take(int(actionSize / takerBlock))
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		err = nil
	}
	if err == nil {
		<-ctx.Done()
	}
	return units.Bytes(k.next-first) * takerBlock, err
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
	agreed(ctx, t, p)
	bill, err := p.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d bytes sold, earned %s, received %s in %d payments", took, bill.Seller.SoldBytes, bill.Seller.Earned, bill.Received, bill.Payments)
	if bill.Seller.SoldBytes < p.Site.Torrent.Size {
		t.Errorf("%d bytes sold of %d", bill.Seller.SoldBytes, p.Site.Torrent.Size)
	}
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
