package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"paygate/test/clients"
	"paygate/test/swarm"
	"paygate/units"
)

// Site is where one scenario takes place: a directory, a tracker, a torrent, and a loopback network of its own for
// everything that other parties see the addresses of.
type Site struct {
	Dir      string
	Programs Programs
	Tracker  *swarm.Tracker
	Torrent  *swarm.Torrent

	hosts   netip.Addr // 127.x.y.0
	running sync.WaitGroup
	stop    context.CancelFunc
	trouble error // of the tracker; read after running
}

// NewSite makes the torrent in dir, whose path must be short, and starts the tracker.
func NewSite(dir string, programs Programs, size units.Bytes) (*Site, error) {
	s := &Site{Dir: dir, Programs: programs, hosts: randomHosts()}
	var err error
	if s.Torrent, err = swarm.Make(s.SeedDir(), "paygate demo", size); err != nil {
		return nil, err
	}
	if s.Tracker, err = swarm.NewTracker("127.0.0.1:0"); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.running.Go(func() { s.trouble = s.Tracker.Run(ctx) })
	return s, nil
}

// Close stops the tracker. The directory is the caller's.
func (s *Site) Close() error {
	s.stop()
	s.running.Wait()
	return s.trouble
}

// SeedDir is where the torrent's files were made.
func (s *Site) SeedDir() string { return filepath.Join(s.Dir, "seed") }

// randomHosts draws a /24 between 127.16.0.0 and 127.63.255.0: below the addresses that paygate gives to remote peers
// by default, and above those that people use.
func randomHosts() netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(16 + rand.IntN(48)), byte(rand.IntN(256)), 0})
}

// Address is a free port on the site's host of that number, 1 to 254.
func (s *Site) Address(host byte) (netip.AddrPort, error) {
	port, err := clients.FreePort()
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip := s.hosts.As4()
	ip[3] = host
	return netip.AddrPortFrom(netip.AddrFrom4(ip), port), nil
}

// Launch starts a client in a directory of that name on the site's host of that number. It listens there, unless it
// is given a SOCKS5 proxy that makes it stop listening.
func (s *Site) Launch(ctx context.Context, kind clients.Kind, name string, host byte, spec clients.Spec) (clients.Client, error) {
	var err error
	if spec.Listen, err = s.Address(host); err != nil {
		return nil, err
	}
	spec.Dir = filepath.Join(s.Dir, name)
	if kind == clients.Anacrolix {
		spec.Program = s.Programs.Anacrolix
	}
	spec.Revive = true
	return clients.Launch(ctx, kind, spec)
}

// Add gives a torrent to a client, whose tracker will know it by that name, with its files under dir, and tells it of
// the peers.
func (s *Site) Add(ctx context.Context, c clients.Client, name string, t *swarm.Torrent, dir string, peers ...netip.AddrPort) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make download directory: %w", err)
	}
	s.Tracker.Tell(name, t.InfoHash, peers...)
	metainfo, err := t.Metainfo(s.Tracker.URL(name))
	if err != nil {
		return err
	}
	return c.Add(ctx, metainfo, dir)
}

// Seed gives a torrent to a client that has the files, and waits until it lets peers in.
func (s *Site) Seed(ctx context.Context, c clients.Client, name string, t *swarm.Torrent, peers ...netip.AddrPort) error {
	if err := s.Add(ctx, c, name, t, s.SeedDir(), peers...); err != nil {
		return err
	}
	return s.Tracker.Await(ctx, name)
}

// MakeTorrent makes one more torrent beside the site's own.
func (s *Site) MakeTorrent(name string, size units.Bytes) (*swarm.Torrent, error) {
	return swarm.Make(s.SeedDir(), name, size)
}

// errNotDone is what waiting for a download ends with when it has not finished in time.
var errNotDone = errors.New("the download has not finished")
