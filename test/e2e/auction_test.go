package e2e

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/units"
)

const (
	auctionUpload = 3500 * units.KiB // per second: 500, 1,000 and 2,000 KiB
	auctionFloor  = 1000             // sat per GiB
	auctionFor    = 60 * time.Second
	auctionWithin = 0.15
)

// bidder is one buyer's client behind a paygate of its own.
type bidder struct {
	client clients.Client
	bid    int // sat per GiB
}

func auctions() []proof {
	return []proof{{
		name: "auction", alone: true,
		proves: "Three buyers that bid 1:2:4 for an upload that is too small for them get it in these proportions, within 15 % over 60 s.",
		run:    testAuction,
	}}
}

func testAuction(t *testing.T) {
	need(t, clients.Anacrolix)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, 192*units.MiB)
	network := newNetwork(t, site, 70*time.Millisecond)
	p := newPair(t, site, network, "p", scenario.Plan{
		Seller: clients.Anacrolix, Terms: scenario.Terms{Price: price(t, fmt.Sprintf("%d sat per GiB", auctionFloor))},
	})
	edit(t, p.SellerGate, "rights: own", fmt.Sprintf("rights: own\n          auction: true\n          upload: %d KiB/s", auctionUpload/units.KiB))
	order(ctx, t, p.SellerGate, `"test" has changed`, "reload")
	var all []bidder
	for i, times := range []int{1, 2, 4} {
		all = append(all, newBidder(ctx, t, p, i, times*auctionFloor))
	}
	got := func() (bytes []float64) {
		for _, b := range all {
			n, _, err := b.client.Progress(ctx, site.Torrent.InfoHash)
			if err != nil {
				t.Fatal(err)
			}
			bytes = append(bytes, float64(n))
		}
		return bytes
	}
	if err := process.Poll(ctx, time.Second/4, func() error {
		for i, n := range got() {
			if n < float64(2*units.MiB) {
				return fmt.Errorf("buyer %d has %.0f bytes", i, n)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	before := got()
	wait(ctx, t, auctionFor)
	var sum float64
	after := got()
	for i := range after {
		after[i] -= before[i]
		sum += after[i]
	}
	for i, b := range all {
		share, want := after[i]/sum, float64(b.bid)/(7*auctionFloor)
		t.Logf("bid of %d sat per GiB: %.0f KiB/s, a share of %.3f (want %.3f)", b.bid, after[i]/1024/auctionFor.Seconds(), share, want)
		if math.Abs(share/want-1) > auctionWithin {
			t.Errorf("a bid of %d sat per GiB got %.3f of the upload, want %.3f", b.bid, share, want)
		}
	}
	if rate, most := sum/auctionFor.Seconds(), 1.1*float64(auctionUpload); rate > most || rate < 0.85*float64(auctionUpload) {
		t.Errorf("%.0f bytes/s in all, of %d", rate, auctionUpload)
	}
}

// newBidder starts a client behind a paygate that bids so many sat per GiB, and lets it begin.
func newBidder(ctx context.Context, t *testing.T, p *scenario.Pair, i, bid int) bidder {
	t.Helper()
	name := fmt.Sprintf("bidder%d", i)
	host := byte(scenario.HostGuest + 2*i)
	socks, err := p.Site.Address(host)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Site.Launch(ctx, clients.Anacrolix, name, host+1, clients.Spec{SOCKS5: socks.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	node, err := p.Network.Buyer.Options(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rule := scenario.Options{
		"torrents": []string{p.Site.Torrent.InfoHash.String()}, "max_price": fmt.Sprintf("%d sat per GiB", bid),
		"bid": fmt.Sprintf("%d sat per GiB", bid),
	}
	g, err := scenario.StartGate(ctx, p.Site.Programs.Paygate, filepath.Join(p.Site.Dir, name+"-gate"), scenario.Options{
		"listen": scenario.Options{"socks5": socks.String()}, "lightning": node,
		"buy": scenario.Options{
			"per_torrent": "100000 sat", "per_day": "100000 sat", "total": "100000 sat", "rules": []scenario.Options{rule},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
		if err := g.CheckLog(); err != nil {
			t.Error(err)
		}
	})
	if err := p.Site.Add(ctx, c, name, p.Site.Torrent, filepath.Join(p.Site.Dir, name+"-download"), p.SellsAt()); err != nil {
		t.Fatal(err)
	}
	return bidder{c, bid}
}
