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
	done := make(chan error, 1)
	taking, end := context.WithCancel(ctx)
	go func() {
		_, err := grab(taking, p, 1, patience)
		done <- err
	}()
	defer func() { end(); <-done }()
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

// trader is a client behind a paygate that both listens and dials, and that has one half of the pieces.
type trader struct {
	clients.Client
	gate *scenario.Gate
	at   netip.AddrPort // where the swarm reaches it
	dir  string
}

// newTrader starts number 0, which has the odd pieces, or 1, which has the others.
func newTrader(ctx context.Context, t *testing.T, site *scenario.Site, node *scenario.Node, number int) *trader {
	t.Helper()
	host := byte(scenario.HostGuest + 4*number)
	name := fmt.Sprintf("trader%d", number)
	at, err := site.Address(host)
	socks, err2 := site.Address(host + 1)
	lightning, err3 := node.Options(ctx)
	r := &trader{at: at, dir: filepath.Join(site.Dir, name+"-files")}
	if err := errors.Join(err, err2, err3, halve(site.Torrent, site.SeedDir(), r.dir, number)); err != nil {
		t.Fatal(err)
	}
	if r.Client, err = site.Launch(ctx, clients.Anacrolix, name, host+2, clients.Spec{SOCKS5: socks.String()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	r.gate, err = scenario.StartGate(ctx, site.Programs.Paygate, filepath.Join(site.Dir, name+"-gate"), scenario.Options{
		"listen":    scenario.Options{"peers": at.String(), "socks5": socks.String()},
		"client":    scenario.Options{"address": r.PeerAddr()},
		"lightning": lightning,
		"sell": scenario.Options{"rules": []scenario.Options{{
			"torrents": []string{site.Torrent.InfoHash.String()}, "price": "1000 sat per GiB", "rights": "own", "when": "always",
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.gate.Stop(), r.gate.CheckLog()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// halve copies a torrent's files, every other piece of which it overwrites with zeros, beginning with that number.
func halve(torrent *swarm.Torrent, from, to string, lacks int) error {
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
			if (offset+i)/int(swarm.PieceLength)%2 == lacks {
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

func testBarter(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	need(t, clients.Anacrolix)
	site := newSite(t, actionSize)
	network := newNetwork(t, site, 0)
	traders := []*trader{newTrader(ctx, t, site, network.Seller, 0), newTrader(ctx, t, site, network.Buyer, 1)}
	adding := make(chan error, 2)
	add := func(i int, peers ...netip.AddrPort) { // which returns once the torrent is complete
		adding <- site.Add(ctx, traders[i], fmt.Sprintf("trader%d", i), site.Torrent, traders[i].dir, peers...)
	}
	go add(0)
	if err := process.Poll(ctx, time.Second/10, func() error {
		done, _, err := traders[0].Progress(ctx, site.Torrent.InfoHash)
		if err == nil && done < int64(site.Torrent.Size/2) {
			err = fmt.Errorf("%d bytes checked", done)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if n := grabOdd(ctx, t, traders[0].at, site.Torrent, 8*time.Second); n != units.MiB {
		t.Errorf("a peer that gives nothing got %d bytes", n)
	}
	go add(1, traders[0].at)
	for range traders {
		if err := <-adding; err != nil {
			t.Error(err)
		}
	}
	for i, r := range traders {
		if err := process.Poll(ctx, time.Second/10, func() error {
			done, total, err := r.Progress(ctx, site.Torrent.InfoHash)
			if err == nil && done < total {
				err = fmt.Errorf("trader %d: %d of %d bytes", i, done, total)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := site.Torrent.Verify(r.dir); err != nil {
			t.Error(err)
		}
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

// grabOdd takes odd pieces for some time.
func grabOdd(ctx context.Context, t *testing.T, from netip.AddrPort, torrent *swarm.Torrent, during time.Duration) (n units.Bytes) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	k, err := newTaker(ctx, 1, from, torrent)
	if err != nil {
		t.Fatal(err)
	}
	defer k.conn.Close()
	for n < torrent.Size/2 {
		if k.block().Index%2 == 0 {
			k.next += int64(swarm.PieceLength / takerBlock)
		}
		if err := k.take(1); errors.Is(err, os.ErrDeadlineExceeded) {
			return n
		} else if err != nil {
			t.Error(err)
			return n
		}
		n += takerBlock
	}
	return n
}
