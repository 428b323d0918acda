package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"paygate/admin"
	"paygate/test/clients"
	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/test/swarm"
	"paygate/units"
)

const (
	chokedSize   = 16 * units.MiB
	openSize     = 6*units.MiB + 99
	chokedSample = units.MiB
	staying      = 120 * time.Second
)

// vanilla are clients without paygate at each kind of seller.
func vanilla() []proof {
	var all []proof
	for _, seller := range []clients.Kind{clients.QBittorrent, clients.Transmission, clients.Anacrolix} {
		all = append(all, proof{
			name: "no paygate at " + string(seller),
			proves: "A vanilla client without paygate gets at most the sample from a legacy: choke torrent, is still connected " +
				"after 120 s (aria2, which leaves any peer after 60 s without a piece, excepted), and gets everything from a free torrent.",
			run: func(t *testing.T) { testVanilla(t, seller) },
		})
	}
	return all
}

// guest is a client that knows nothing of paygate.
type guest struct {
	clients.Client
	kind clients.Kind
	name string
	dir  string
}

func testVanilla(t *testing.T, seller clients.Kind) {
	need(t, seller)
	ctx, cancel := context.WithTimeout(t.Context(), staying+patience)
	defer cancel()
	site := newSite(t, chokedSize)
	open, err := site.MakeTorrent("free for all", openSize)
	if err != nil {
		t.Fatal(err)
	}
	guests := launchGuests(ctx, t, site, seller)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Sample: chokedSample, Legacy: "choke"}
	for _, g := range guests {
		if !g.kind.DialsOut() { // paygate opens both legs
			terms.Dial = append(terms.Dial, scenario.Dial{InfoHash: site.Torrent.InfoHash, Peer: g.PeerAddr()},
				scenario.Dial{InfoHash: open.InfoHash, Peer: g.PeerAddr()})
			g.addBoth(ctx, t, site, open)
		}
	}
	p := newPair(t, site, newNetwork(t, site, 0), "p", scenario.Plan{Seller: seller, Terms: terms})
	if err := site.Seed(ctx, p.Seller, p.ClientName("seller"), open); err != nil {
		t.Fatal(err)
	}
	for _, g := range guests {
		if g.kind.DialsOut() {
			g.addBoth(ctx, t, site, open, p.SellsAt())
		}
	}
	checkGuests(ctx, t, p, guests, open)
}

// launchGuests starts every client that is installed and that can be connected to the seller's: paygate opens both legs
// only to a client that answers the first 48 bytes of a handshake, and an anacrolix one waits for all 68.
func launchGuests(ctx context.Context, t *testing.T, site *scenario.Site, seller clients.Kind) []guest {
	t.Helper()
	var guests []guest
	for i, k := range []clients.Kind{clients.QBittorrent, clients.Transmission, clients.Aria2, clients.Anacrolix} {
		if !k.Installed() {
			t.Logf("%s is not installed: not among the guests", k)
			continue
		}
		if !k.DialsOut() && seller == clients.Anacrolix {
			t.Logf("neither %s nor %s can be made to open the connection: not among the guests", k, seller)
			continue
		}
		name := "guest-" + string(k)
		c, err := site.Launch(ctx, k, name, byte(scenario.HostGuest+i), clients.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		guests = append(guests, guest{c, k, name, filepath.Join(site.Dir, name+"-download")})
	}
	return guests
}

func (g guest) addBoth(ctx context.Context, t *testing.T, site *scenario.Site, open *swarm.Torrent, peers ...netip.AddrPort) {
	t.Helper()
	for _, torrent := range []*swarm.Torrent{site.Torrent, open} {
		if err := site.Add(ctx, g.Client, g.name, torrent, g.dir, peers...); err != nil {
			t.Fatal(err)
		}
	}
}

// session finds the guest's connection for the site's own torrent in the seller's status.
func (g guest) session(st admin.Status, ih units.InfoHash) (admin.Session, bool) {
	at := netip.MustParseAddrPort(g.PeerAddr()).Addr().String()
	for _, s := range st.Sessions {
		remote, err := netip.ParseAddrPort(s.Remote)
		if err == nil && remote.Addr().String() == at && s.InfoHash == ih.String() {
			return s, true
		}
	}
	return admin.Session{}, false
}

// checkGuests waits until every guest has been connected for long enough, or has gone, and looks at what it has got.
func checkGuests(ctx context.Context, t *testing.T, p *scenario.Pair, guests []guest, open *swarm.Torrent) {
	t.Helper()
	for _, g := range guests {
		err := process.Poll(ctx, time.Second, func() error { return g.outcome(ctx, p, open) })
		if err != nil {
			t.Errorf("%s: %v", g.kind, err)
			continue
		}
		if err := open.Verify(g.dir); err != nil {
			t.Errorf("%s: the free torrent: %v", g.kind, err)
		}
		done, _, err := g.Progress(ctx, p.Site.Torrent.InfoHash)
		if err != nil {
			t.Errorf("%s: %v", g.kind, err)
		}
		t.Logf("%s: %d bytes of the charged torrent, all %d of the free one", g.kind, done, open.Size)
	}
	st, err := p.SellerGate.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("samples given: %d bytes; sold: %d", st.Totals.SampleBytes, st.Totals.SoldBytes)
	if st.Totals.SoldBytes != 0 || st.Totals.Received != 0 {
		t.Errorf("%d bytes count as sold, %d msat as received, but nobody paid", st.Totals.SoldBytes, st.Totals.Received)
	}
}

var errEarly = errors.New("not connected for long enough yet")

// outcome is nil once the guest has stayed for as long as it must and has the free torrent.
func (g guest) outcome(ctx context.Context, p *scenario.Pair, open *swarm.Torrent) error {
	done, _, err := g.Progress(ctx, p.Site.Torrent.InfoHash)
	if err != nil {
		return err
	}
	if units.Bytes(done) > chokedSample {
		return process.Final(fmt.Errorf("it has %d bytes, more than the sample of %d", done, chokedSample))
	}
	if free, total, err := g.Progress(ctx, open.InfoHash); err != nil || free < total {
		return errors.Join(err, fmt.Errorf("it has %d of %d bytes of the free torrent", free, total))
	}
	if g.kind == clients.Aria2 {
		return nil // it leaves after 60 s without a piece
	}
	st, err := p.SellerGate.Status(ctx)
	if err != nil {
		return err
	}
	s, ok := g.session(st, p.Site.Torrent.InfoHash)
	switch {
	case !ok:
		return fmt.Errorf("it is not connected: %w", errEarly)
	case s.Age < staying:
		return fmt.Errorf("connected for %s: %w", s.Age.Round(time.Second), errEarly)
	}
	return nil
}
