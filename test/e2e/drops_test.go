package e2e

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/hostile"
	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/units"
)

const (
	dropSize = 48 * units.MiB
	dropRate = units.MiB // of each seller
)

// droppedLine is how paygate's log tells that a seller was dropped.
const droppedLine = "the client has dropped a seller for bad data"

func drops() []proof {
	return []proof{
		{
			name: "dropped seller",
			proves: "A seller that gives bad data is dropped by qBittorrent, and nothing more is paid to it; the download ends " +
				"whole, bought of another seller, and a restart forgets nothing of it.",
			run: testDropped,
		},
		{
			name:   "paused torrent",
			proves: "Pausing a torrent and going on with it costs its sellers nothing: they are paid on, and none is left out.",
			run:    testPaused,
		},
	}
}

// twoSellers are a pair, and a second seller of its torrent, who is reached at an address of its own; what that one gives is
// spoiled after so many bytes.
func twoSellers(ctx context.Context, t *testing.T, honest int64) (p, other *scenario.Pair, liar *hostile.Liar) {
	t.Helper()
	need(t, clients.QBittorrent, clients.Anacrolix)
	site := newSite(t, dropSize)
	network := newNetwork(t, site, 0)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat, Max: 2 * units.Sat}
	other = newPair(t, site, network, "other", scenario.Plan{Seller: clients.Anacrolix, Terms: terms})
	p = newPair(t, site, network, "p", scenario.Plan{Seller: clients.Anacrolix, Buyer: clients.QBittorrent, Terms: terms})
	slow(ctx, t, p, dropRate)
	slow(ctx, t, other, dropRate)
	at, err := site.Address(scenario.HostGuest)
	if err != nil {
		t.Fatal(err)
	}
	if liar, err = hostile.Lie(at, other.SellsAt(), honest); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { liar.Stop() })
	if err := p.Begin(ctx, at); err != nil {
		t.Fatal(err)
	}
	return p, other, liar
}

// saidOf is how many lines of a gate's log hold some words.
func saidOf(t *testing.T, g *scenario.Gate, words string) (n int) {
	t.Helper()
	lines, err := g.Log()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if strings.Contains(l.Text, words) {
			n++
		}
	}
	return n
}

// soldBy is what a seller has been paid.
func soldBy(ctx context.Context, t *testing.T, g *scenario.Gate) units.Msat {
	t.Helper()
	st, err := g.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return st.Totals.Received
}

func testDropped(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, other, liar := twoSellers(ctx, t, int64(4*units.MiB))
	if err := process.Poll(ctx, time.Second/4, func() error {
		if saidOf(t, p.BuyerGate, droppedLine) == 0 {
			return fmt.Errorf("nobody is dropped; the liar has given %d bytes", liar.Given())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	before := soldBy(ctx, t, other.SellerGate)
	order(ctx, t, p.BuyerGate, `"times":1`, "status")
	if err := p.AwaitBytes(ctx, p.Site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(ctx); err != nil {
		t.Error(err)
	}
	after, honest := soldBy(ctx, t, other.SellerGate), soldBy(ctx, t, p.SellerGate)
	t.Logf("the liar was paid %s before it was dropped and %s in the end, the other seller %s", before, after, honest)
	if before == 0 || after != before || honest <= before {
		t.Errorf("the liar was paid %s, then %s, the other seller %s", before, after, honest)
	}
	if err := p.BuyerGate.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := p.BuyerGate.Start(ctx); err != nil {
		t.Fatal(err)
	}
	order(ctx, t, p.BuyerGate, `"times":1`, "status")
}

func testPaused(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p, other, _ := twoSellers(ctx, t, math.MaxInt64)
	both := func(more units.Msat) {
		t.Helper()
		for _, g := range []*scenario.Gate{p.SellerGate, other.SellerGate} {
			if err := process.Poll(ctx, time.Second/4, func() error {
				if got := soldBy(ctx, t, g); got <= more {
					return fmt.Errorf("a seller was paid %s", got)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	both(0)
	for range 3 {
		qb(ctx, t, p, "torrents/pause")
		wait(ctx, t, 2*time.Second)
		qb(ctx, t, p, "torrents/resume")
		wait(ctx, t, 4*time.Second)
	}
	most := max(soldBy(ctx, t, p.SellerGate), soldBy(ctx, t, other.SellerGate))
	both(most)
	if err := p.AwaitBytes(ctx, p.Site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{droppedLine, "counts as unproven"} {
		if n := saidOf(t, p.BuyerGate, words); n > 0 {
			t.Errorf("%d lines say that %q", n, words)
		}
	}
	if err := p.Verify(ctx); err != nil {
		t.Error(err)
	}
}

// qb gives an order for the site's torrent to the buyer's qBittorrent.
func qb(ctx context.Context, t *testing.T, p *scenario.Pair, method string) {
	t.Helper()
	form := url.Values{"hashes": {p.Site.Torrent.InfoHash.String()}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Buyer.API()+"/api/v2/"+method, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", method, resp.Status)
	}
}
