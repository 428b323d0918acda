package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"paygate/test/scenario"
	"paygate/units"
)

// limits are what keeps a buyer from paying, and a seller from charging or from giving away.
func limits() []proof {
	return []proof{
		{
			name:   "action caps",
			proves: "Each cap by itself, per torrent, seller, category, day, week, month (of another time zone) and in all, holds, fees included, and may be raised while paygate runs.",
			run:    testCaps,
		},
		{
			name:   "action fees",
			proves: "Nothing is paid above the max_price of the first rule that matches, nor where routing costs more than fee_max and fee_percent allow; and it is paid when they allow it.",
			run:    testFees,
		},
		{
			name:   "action serve",
			proves: "With on_lightning_down: serve a buyer gets serve_at_most while the seller's node is away, and no more; both books agree afterwards.",
			run:    testServe,
		},
		{
			name:   "action tracker_agreed",
			proves: "A private torrent is free under a rule for all torrents until the rule names its tracker as agreed.",
			run:    testTrackerAgreed,
		},
	}
}

// buys sets an option of the buyer's budget. Empty takes it out.
func buys(t *testing.T, g *scenario.Gate, key, value string) {
	t.Helper()
	if err := g.Rewrite(func(text string) string {
		text = regexp.MustCompile(`(?m)^    `+key+`: .*\n`).ReplaceAllString(text, "")
		if value == "" {
			return text
		}
		return strings.Replace(text, "buy:\n", "buy:\n    "+key+": "+value+"\n", 1)
	}); err != nil {
		t.Fatal(err)
	}
}

// told counts the lines of a gate's log that hold all of some words.
func told(t *testing.T, g *scenario.Gate, words ...string) (n int) {
	t.Helper()
	lines, err := g.Log()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		has := true
		for _, w := range words {
			has = has && strings.Contains(l.Text, w)
		}
		if has {
			n++
		}
	}
	return n
}

// tells waits until a gate's log holds a line with all of some words more often than before.
func tells(ctx context.Context, t *testing.T, g *scenario.Gate, before int, words ...string) {
	t.Helper()
	await(ctx, t, func() error {
		if n := told(t, g, words...); n <= before {
			return fmt.Errorf("the log says %q %d times", words, n)
		}
		return nil
	})
}

// testCaps lets one cap after the other stop a download, each a little higher than the one before.
func testCaps(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const plenty = "1000000 sat"
	site := newSite(t, 2*actionSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat, Max: 4 * units.Sat}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	buys(t, p.BuyerGate, "time_zone", "Pacific/Kiritimati")
	for i, limit := range []string{"per_torrent", "per_day", "total", "per_peer", "per_category", "per_week", "per_month"} {
		most := units.Msat(6*(i+1)) * units.Sat
		over := told(t, p.BuyerGate, "not buying", "over-budget")
		buys(t, p.BuyerGate, limit, fmt.Sprintf("%d msat", most))
		order(ctx, t, p.BuyerGate, "buy."+limit, "reload")
		if i == 0 {
			if err := p.Begin(ctx); err != nil {
				t.Fatal(err)
			}
		}
		tells(ctx, t, p.BuyerGate, over, "not buying", "over-budget")
		bill, err := p.Snapshot(ctx)
		if spent := bill.Sent + bill.Fees; err != nil || spent > most || spent < most-2*units.Sat {
			t.Errorf("%s of %s: %s and %s of fees were spent, %v", limit, most, bill.Sent, bill.Fees, err)
		}
		again := plenty
		if i > 2 { // no such cap
			again = ""
		}
		buys(t, p.BuyerGate, limit, again)
	}
	order(ctx, t, p.BuyerGate, "buy.per_month", "reload")
	if err := p.AwaitBytes(ctx, site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	agreed(ctx, t, p, site.Torrent.Size)
}

// testFees runs on a network where each payment costs 0.5 sat.
func testFees(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, actionSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat, Max: units.Sat}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	unpaid := func(what string) {
		t.Helper()
		if n := sent(ctx, t, p); n > 0 {
			t.Errorf("%s: %s was paid", what, n)
		}
	}
	edit(t, p.BuyerGate, "rules:\n", "rules:\n        - {name: near, match: {peer: 127.0.0.0/8}, max_price: 999 sat per GiB}\n")
	order(ctx, t, p.BuyerGate, "buy.rules", "reload")
	if err := p.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	tells(ctx, t, p.BuyerGate, 0, "not buying", "too-dear")
	unpaid("max_price")
	edit(t, p.BuyerGate, "127.0.0.0/8", "192.0.2.0/24") // so that the next rule matches
	buys(t, p.BuyerGate, "fee_max", "400 msat")
	buys(t, p.BuyerGate, "fee_percent", "40")
	order(ctx, t, p.BuyerGate, "buy.fee_max", "reload")
	tells(ctx, t, p.BuyerGate, 0, "payment failed")
	unpaid("fee_max and fee_percent")
	buys(t, p.BuyerGate, "fee_percent", "60")
	order(ctx, t, p.BuyerGate, "buy.fee_percent", "reload")
	pays(ctx, t, p, 0)
	buys(t, p.BuyerGate, "fee_percent", "0")
	buys(t, p.BuyerGate, "fee_max", "600 msat")
	order(ctx, t, p.BuyerGate, "buy.fee_max", "reload")
	if err := p.AwaitBytes(ctx, site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	bill := agreed(ctx, t, p, site.Torrent.Size)
	if most := units.Msat(bill.Payments) * 600; bill.Fees == 0 || bill.Fees > most || bill.Fees != bill.Buyer.Fees {
		t.Errorf("%s of fees for %d payments, the books have %s", bill.Fees, bill.Payments, bill.Buyer.Fees)
	}
}

// testServe takes both nodes away in the middle of a download.
func testServe(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const most = 8 * units.MiB
	site := newSite(t, 3*actionSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat, Max: 2 * units.Sat}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	edit(t, p.SellerGate, "sell:\n", "sell:\n    on_lightning_down: serve\n    serve_at_most: 8 MiB\n")
	order(ctx, t, p.SellerGate, "sell.serve_at_most", "reload")
	slow(ctx, t, p, 2*actionRate)
	if err := p.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitBytes(ctx, 8*units.MiB); err != nil {
		t.Fatal(err)
	}
	if err := p.Network.Down(); err != nil {
		t.Fatal(err)
	}
	tells(ctx, t, p.SellerGate, 0, "the Lightning node cannot be used")
	given := func() (bytes units.Bytes, gate string) {
		st, err := p.SellerGate.Status(ctx)
		if err != nil || len(st.Sessions) != 1 {
			t.Fatalf("%v, %+v", err, st.Sessions)
		}
		has, err := p.Progress(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return has - st.Totals.SoldBytes, st.Sessions[0].Gate
	}
	await(ctx, t, func() error {
		if n, gate := given(); n < most-units.MiB || gate == "open" {
			return fmt.Errorf("%d bytes were given away, the gate is %s", n, gate)
		}
		return nil
	})
	stays(ctx, t, p, watched)
	if n, _ := given(); n > most || n < most-units.MiB {
		t.Errorf("%d bytes were given away, want %d", n, most)
	}
	if err := p.Network.Up(); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitBytes(ctx, site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	bill := agreed(ctx, t, p, 0)
	if sold := bill.Seller.SoldBytes; sold != site.Torrent.Size-most {
		t.Errorf("%d bytes sold, %d given away, of %d", sold, most, site.Torrent.Size)
	}
}

// testTrackerAgreed has a private torrent that the client's directory tells of, and a peer that does not pay.
func testTrackerAgreed(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, actionSize)
	var err error
	if site.Torrent, err = site.Torrent.Private(); err != nil {
		t.Fatal(err)
	}
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat, Max: 4 * units.Sat}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	dir := site.Dir + "/torrents"
	metainfo, err := site.Torrent.Metainfo("http://tracker.example.org/announce")
	if err := errors.Join(err, os.Mkdir(dir, 0o755), os.WriteFile(dir+"/a.torrent", metainfo, 0o644)); err != nil {
		t.Fatal(err)
	}
	edit(t, p.SellerGate, "client:\n", "client:\n    torrents: "+dir+"\n")
	restart(ctx, t, p.SellerGate)
	const rule = "all_torrents: true, min: 1 sat, max: 4 sat, legacy: choke, " + asked
	sells(ctx, t, p, "", rule+", tracker_agreed: [tracker.example.net]")
	free := take(ctx, t, p, 1)
	free.gets(ctx, t, actionSize)
	free.leave(t)
	sells(ctx, t, p, "", rule+", tracker_agreed: ['*.example.net', tracker.example.org]")
	choked := take(ctx, t, p, 2)
	if bill := finish(ctx, t, p); bill.Seller.SoldBytes != actionSize {
		t.Errorf("%d bytes sold", bill.Seller.SoldBytes)
	}
	if n := choked.got(); n > 0 {
		t.Errorf("a peer that does not pay got %d bytes", n)
	}
}
