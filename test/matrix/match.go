package matrix

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/test/swarm"
	"paygate/units"
)

const (
	size = 16 * units.MiB
	// price is such that a cell is paid for in several purchases.
	price = "1000 sat per GiB"
	// patience is for one cell. Transmission 3.00 takes 20 s, and a client that was refused at first comes back after a
	// minute.
	patience = 3 * time.Minute
	latency  = 20 * time.Millisecond
	// twice is how much of the torrent may be delivered a second time, when the end of a download is asked of everybody.
	twice = 2 * units.MiB
)

// match is one cell being played.
type match struct {
	t         *testing.T
	cell      cell
	dir       string
	programs  scenario.Programs
	torrent   *swarm.Torrent
	seedDir   string
	ground    ground
	tracker   *swarm.Tracker
	lightning *scenario.Network
}

// play runs the cell. An error says what went wrong; further failures may be reported to the test as it ends.
func (m *match) play(ctx context.Context) (*scenario.Bill, error) {
	m.ground = newGround(m.t, m.cell.way == gateway)
	if err := m.found(); err != nil {
		return nil, err
	}
	under, other := m.plans()
	tested, err := m.sit(ctx, under)
	if err != nil {
		return nil, err
	}
	reference, err := m.sit(ctx, other)
	if err != nil {
		return nil, err
	}
	seller, buyer := tested, reference
	if tested.role == buys {
		seller, buyer = reference, tested
	}
	dialler := buyer
	if (tested == seller) == m.cell.way.dials(m.cell.role) {
		dialler = seller
	}
	if err := m.download(ctx, seller, buyer, dialler); err != nil {
		return nil, err
	}
	bill, err := m.settle(ctx, seller, buyer)
	return bill, errors.Join(err, m.announced(tested))
}

// announced returns an error if the tracker was told another port than the one on which the swarm reaches paygate.
func (m *match) announced(tested *seat) error {
	if m.cell.way == socks5 {
		return nil // nobody is let in
	}
	if told := m.tracker.Port(string(tested.role)); told != tested.public.Port() {
		return fmt.Errorf("the tracker was told port %d, want paygate's %d", told, tested.public.Port())
	}
	return nil
}

// plans are the party under test and the other one, whose way is the opposite.
func (m *match) plans() (under, other plan) {
	c := m.cell
	under = plan{
		name: "tested", kind: c.client, role: c.role, way: c.way, encryption: c.encryption,
		at: m.ground.machine, behind: m.ground.client, ipv6: c.ipv6,
	}
	other = plan{
		name: "other", kind: clients.Anacrolix, role: sells, way: socks5,
		at: m.ground.world, behind: m.ground.world, ipv6: c.ipv6,
	}
	if c.role == sells {
		other.role = buys
	}
	if c.way.dials(c.role) {
		other.way = inbound
	}
	return under, other
}

// found starts the tracker out in the world, and the Lightning network.
func (m *match) found() (err error) {
	if m.lightning, err = scenario.NewNetwork(filepath.Join(m.dir, "ln"), latency); err != nil {
		return err
	}
	m.ending(m.lightning.Close)
	if m.ground.world.namespace != "" {
		for _, at := range []*place{m.ground.machine, m.ground.world} {
			for _, node := range []*scenario.Node{m.lightning.Seller, m.lightning.Buyer} {
				f, err := forward(at, node.Address())
				if err != nil {
					return fmt.Errorf("bring Lightning into the namespaces: %w", err)
				}
				m.ending(f.close)
			}
		}
	}
	err = m.ground.world.enter(func() (err error) {
		m.tracker, err = swarm.NewTracker(m.ground.world.v4.String() + ":0")
		return err
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.tracker.Run(ctx) }()
	m.ending(func() error {
		cancel()
		return <-done
	})
	return nil
}

// ending has something done at the end of the test, before what was arranged earlier.
func (m *match) ending(do func() error) {
	m.t.Cleanup(func() {
		if err := do(); err != nil {
			m.t.Error(err)
		}
	})
}

// download lets whoever is dialled come first, tells the other one alone of him, and waits for the last byte.
func (m *match) download(ctx context.Context, seller, buyer, dialler *seat) error {
	first, second := seller, buyer
	if dialler == seller {
		first, second = buyer, seller
	}
	if err := m.add(ctx, first); err != nil {
		return err
	}
	if err := m.tracker.Await(ctx, string(first.role)); err != nil {
		return err
	}
	if err := m.add(ctx, second, first.public); err != nil {
		return err
	}
	return process.Poll(ctx, 100*time.Millisecond, func() error {
		done, _, err := buyer.client.Progress(ctx, m.torrent.InfoHash)
		if err == nil && units.Bytes(done) < size {
			err = fmt.Errorf("%d of %d bytes", done, int64(size))
		}
		return err
	})
}

// add gives a party the torrent, and tells it of the peers.
func (m *match) add(ctx context.Context, s *seat, peers ...netip.AddrPort) error {
	dir := m.seedDir
	if s.role == buys {
		dir = m.downloadDir()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // clients run as other users
			return err
		}
	}
	m.tracker.Tell(string(s.role), m.torrent.InfoHash, peers...)
	metainfo, err := m.torrent.Metainfo(m.tracker.URL(string(s.role)))
	if err != nil {
		return err
	}
	return s.client.Add(ctx, metainfo, dir)
}

func (m *match) downloadDir() string { return filepath.Join(m.dir, "download") }

// settle compares the files, the money, and the bytes through the seller's gate.
func (m *match) settle(ctx context.Context, seller, buyer *seat) (*scenario.Bill, error) {
	var problems []error
	err := process.Poll(ctx, 500*time.Millisecond, func() error { return m.torrent.Verify(m.downloadDir()) })
	if err != nil {
		problems = append(problems, fmt.Errorf("downloaded files: %w", err))
	}
	perGiB, err := units.ParsePrice(price)
	if err != nil {
		return nil, err
	}
	books := &scenario.Pair{SellerGate: seller.gate, BuyerGate: buyer.gate, Network: m.lightning}
	books.Plan.Terms.Price = perGiB
	bill, err := books.Bill(ctx, size)
	if err != nil {
		problems = append(problems, fmt.Errorf("the bill: %w", err))
	}
	if n := bill.Seller.SoldBytes + bill.Seller.SampleBytes; n > size+twice {
		problems = append(problems, fmt.Errorf("%d bytes went through the seller's gate for a torrent of %d", n, int64(size)))
	}
	if bill.Payments == 0 {
		problems = append(problems, errors.New("nothing was paid"))
	}
	return &bill, errors.Join(problems...)
}
