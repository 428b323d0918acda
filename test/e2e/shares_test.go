package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paygate/admin"
	"paygate/test/clients"
	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/test/swarm"
	"paygate/units"
)

// sharing is what peers of one rule get beside each other, and of each other.
func sharing() []proof {
	return []proof{
		{
			name:   "action free_share",
			proves: "free_share of the upload goes to who does not pay, floor_share of the rest to who pays the floor.",
			run:    testFreeShare,
		},
		{
			name: "action barter",
			proves: "Two leechers that both sell a torrent with when: always, and have one half of it each, both complete without a " +
				"payment; who gives nothing gets the 1 MiB that somebody has to begin with.",
			run: testBarter,
		},
		{
			name: "action barter for money",
			proves: "Two leechers that both sell and buy a torrent, with when: always, one of which has three times as much to give, both " +
				"complete; what one gave more than the other is paid, no more, and both books agree.",
			run: testBarterForMoney,
		},
		{
			name:   "action when complete",
			proves: "Under when: complete a torrent is ordinary tit-for-tat while the client downloads it.",
			run:    testWhenComplete,
		},
	}
}

func testFreeShare(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const (
		upload = 2 * units.MiB
		during = 8 * time.Second
		within = 0.25
	)
	need(t, clients.Anacrolix)
	site := newSite(t, 2*actionSize)
	p := newPair(t, site, newNetwork(t, site, 0), "p", scenario.Plan{
		Seller: clients.Anacrolix, Terms: scenario.Terms{Price: price(t, fmt.Sprintf("%d sat per GiB", auctionFloor))},
	})
	sells(ctx, t, p, "", fmt.Sprintf("price: %d sat per GiB, min: 1 sat, upload: %d KiB/s, free_share: 40%%, auction: true, floor_share: 50%%, legacy: serve",
		auctionFloor, upload/units.KiB))
	paying := []bidder{newBidder(ctx, t, p, 0, auctionFloor), newBidder(ctx, t, p, 1, 9*auctionFloor)}
	take(ctx, t, p, 1)
	got := func() (n []units.Bytes) {
		st, err := p.SellerGate.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n = append(n, 0)
		for _, s := range st.Sessions {
			if strings.HasPrefix(s.Remote, "127.50.1.") {
				n[0] = s.Out
			}
		}
		for _, b := range paying {
			has, _, err := b.client.Progress(ctx, site.Torrent.InfoHash)
			if err != nil {
				t.Fatal(err)
			}
			n = append(n, units.Bytes(has))
		}
		return n
	}
	if err := process.Poll(ctx, time.Second/4, func() error {
		if n := got(); slices.Min(n) < units.MiB {
			return fmt.Errorf("they have %v", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	before := got()
	wait(ctx, t, during)
	after := got()
	for _, b := range paying {
		b.client.Close() // or their paygates wait for what is under way
	}
	t.Logf("before: %v, after %s: %v", before, during, after)
	all := float64(upload) * during.Seconds()
	for i, share := range []float64{0.4, 0.3, 0.3} {
		if is := float64(after[i]-before[i]) / all; is < share*(1-within) || is > share*(1+within) {
			t.Errorf("peer %d got %.3f of the upload, want %.3f", i, is, share)
		}
	}
}

// trader is a client behind a paygate that both listens and dials, and that has some of the pieces.
type trader struct {
	clients.Client
	name string
	has  units.Bytes // at the beginning
	gate *scenario.Gate
	at   netip.AddrPort // where the swarm reaches it
	dir  string
}

// newTrader starts trader 0 or 1, which has some pieces and a paygate with those settings besides what it needs.
func newTrader(
	ctx context.Context, t *testing.T, site *scenario.Site, node *scenario.Node, number int, has func(piece int) bool, settings scenario.Options,
) *trader {
	t.Helper()
	host := byte(scenario.HostGuest + 4*number)
	name := fmt.Sprintf("trader%d", number)
	at, err := site.Address(host)
	socks, err2 := site.Address(host + 1)
	lightning, err3 := node.Options(ctx)
	r := &trader{at: at, name: name, dir: filepath.Join(site.Dir, name+"-files")}
	for piece := range int(site.Torrent.Size / swarm.PieceLength) {
		if has(piece) {
			r.has += swarm.PieceLength
		}
	}
	if err := errors.Join(err, err2, err3, part(site.Torrent, site.SeedDir(), r.dir, has)); err != nil {
		t.Fatal(err)
	}
	if r.Client, err = site.Launch(ctx, clients.Anacrolix, name, host+2, clients.Spec{SOCKS5: socks.String()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	settings["listen"] = scenario.Options{"peers": at.String(), "socks5": socks.String()}
	settings["client"] = scenario.Options{"address": r.PeerAddr()}
	settings["lightning"] = lightning
	if r.gate, err = scenario.StartGate(ctx, site.Programs.Paygate, filepath.Join(site.Dir, name+"-gate"), settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.gate.Stop(), r.gate.CheckLog()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// offers are settings that sell the site's torrent.
func offers(site *scenario.Site, when string) scenario.Options {
	return scenario.Options{"sell": scenario.Options{"rules": []scenario.Options{{
		"torrents": []string{site.Torrent.InfoHash.String()}, "price": "1000 sat per GiB", "rights": "own", "when": when,
		"min": "1 sat", "max": "2 sat",
	}}}}
}

// begin lets a trader check what it has, of which there is some, and then download the rest.
func (r *trader) begin(ctx context.Context, t *testing.T, site *scenario.Site, peers ...netip.AddrPort) {
	t.Helper()
	added := make(chan struct{})
	go func() { // which may take until it has all of the torrent
		defer close(added)
		if err := site.Add(ctx, r, r.name, site.Torrent, r.dir, peers...); err != nil && ctx.Err() == nil {
			t.Errorf("%s: %v", r.name, err)
		}
	}()
	t.Cleanup(func() {
		r.Close()
		<-added
	})
	await(ctx, t, func() error {
		done, _, err := r.Progress(ctx, site.Torrent.InfoHash)
		if err == nil && units.Bytes(done) < r.has {
			err = fmt.Errorf("%d bytes of %d are checked", done, r.has)
		}
		return err
	})
}

// part copies a torrent's files, except for the pieces that it has not, which it overwrites with zeros.
func part(torrent *swarm.Torrent, from, to string, has func(piece int) bool) error {
	files := slices.Clone(torrent.Files)
	slices.SortFunc(files, func(a, b swarm.File) int { return strings.Compare(a.Path, b.Path) }) // as in the torrent
	offset := 0
	for _, f := range files {
		path := filepath.Join(torrent.Name, filepath.FromSlash(f.Path))
		data, err := os.ReadFile(filepath.Join(from, path))
		if err != nil {
			return err
		}
		for i := range data {
			if !has((offset + i) / int(swarm.PieceLength)) {
				data[i] = 0
			}
		}
		offset += len(data)
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, path)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, path), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func odd(piece int) bool  { return piece%2 == 1 }
func even(piece int) bool { return piece%2 == 0 }

// haveAll waits until both traders have the whole torrent.
func haveAll(ctx context.Context, t *testing.T, site *scenario.Site, traders []*trader) {
	t.Helper()
	for _, r := range traders {
		completes(ctx, t, r, site.Torrent)
		await(ctx, t, func() error { return site.Torrent.Verify(r.dir) })
	}
}

func testBarter(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	need(t, clients.Anacrolix)
	site := newSite(t, actionSize)
	network := newNetwork(t, site, 0)
	traders := []*trader{
		newTrader(ctx, t, site, network.Seller, 0, odd, offers(site, "always")),
		newTrader(ctx, t, site, network.Buyer, 1, even, offers(site, "always")),
	}
	traders[0].begin(ctx, t, site)
	greedy := takeSome(ctx, t, traders[0].at, site.Torrent, 1, odd)
	greedy.gets(ctx, t, units.MiB)
	greedy.getsNoMore(ctx, t, units.MiB)
	greedy.leave(t)
	traders[1].begin(ctx, t, site, traders[0].at)
	haveAll(ctx, t, site, traders)
	for i, r := range traders {
		st, err := r.gate.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("trader %d: %+v", i, st.Totals)
		if st.Totals.SoldBytes != 0 || st.Totals.Received != 0 || st.Totals.Paid != 0 || st.Totals.SampleBytes > 2*units.MiB {
			t.Errorf("trader %d: %d bytes sold, %d of samples", i, st.Totals.SoldBytes, st.Totals.SampleBytes)
		}
	}
}

// testBarterForMoney has a poor trader with every fourth piece and a rich one with the others: 6 MiB against 18.
func testBarterForMoney(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	need(t, clients.Anacrolix)
	site := newSite(t, actionSize)
	network := newNetwork(t, site, 0)
	fourth := func(piece int) bool { return piece%4 == 0 }
	both := func() scenario.Options {
		o := offers(site, "always")
		o["buy"] = scenario.Options{
			"per_torrent": "1000 sat", "per_day": "1000 sat", "total": "1000 sat", "min": "1 sat", "max": "2 sat",
			"rules": []scenario.Options{{"torrents": []string{site.Torrent.InfoHash.String()}, "max_price": "1000 sat per GiB"}},
		}
		return o
	}
	poor := newTrader(ctx, t, site, network.Buyer, 0, fourth, both())
	rich := newTrader(ctx, t, site, network.Seller, 1, func(piece int) bool { return !fourth(piece) }, both())
	poor.begin(ctx, t, site)
	rich.begin(ctx, t, site, poor.at)
	haveAll(ctx, t, site, []*trader{poor, rich})
	const least, most = 10 * units.Sat, 18 * units.Sat // of 12 MiB and of 18
	await(ctx, t, func() error {
		p, err := poor.gate.Status(ctx)
		r, err2 := rich.gate.Status(ctx)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		for _, two := range [][2]admin.Totals{{p.Totals, r.Totals}, {r.Totals, p.Totals}} {
			apart := two[0].CreditHeld - two[1].CreditOwed
			if two[0].Paid != two[1].Received || apart < -2 || apart > 2 {
				return fmt.Errorf("the books do not agree: %+v, %+v", two[0], two[1])
			}
		}
		t.Logf("the poor paid %s and the rich %s; the rich earned %s for %d bytes", p.Totals.Paid, r.Totals.Paid, r.Totals.Earned, r.Totals.SoldBytes)
		if e := r.Totals.Earned; e < least || e > most {
			return process.Final(fmt.Errorf("%s earned, want %s to %s", e, least, most))
		}
		return nil
	})
}

func testWhenComplete(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	need(t, clients.Anacrolix)
	site := newSite(t, actionSize)
	half := newTrader(ctx, t, site, newNetwork(t, site, 0).Seller, 0, odd, offers(site, "complete"))
	half.begin(ctx, t, site)
	takeSome(ctx, t, half.at, site.Torrent, 1, odd).gets(ctx, t, actionSize/2)
}
