package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	pp "github.com/anacrolix/torrent/peer_protocol"

	"paygate/proxy/wire"
	"paygate/test/clients"
	"paygate/test/netns"
	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/test/swarm"
	"paygate/units"
)

// gossip is what the swarm learns about peers from a client behind paygate.
func gossip() []proof {
	var all []proof
	for _, kind := range []clients.Kind{clients.QBittorrent, clients.Transmission} {
		all = append(all, proof{
			name: "gossip of " + string(kind),
			proves: "A peer that learns addresses through PEX from a client behind paygate gets real ones, of IPv4 and IPv6, " +
				"on a charged torrent and on a free one, and no loopback address.",
			run: func(t *testing.T) { testGossip(t, kind) },
		})
	}
	return append(all, announcements()...)
}

const publicPort = 6881

func testGossip(t *testing.T, kind clients.Kind) {
	need(t, kind)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	lab := netns.NewLab(t)
	box, world := lab.Namespace("box"), lab.Namespace("world")
	lab.Connect(box, "b0", "192.0.2.1/24 2001:db8::1/64", world, "w0", "192.0.2.9/24 192.0.2.10/24 192.0.2.11/24 2001:db8::9/64")
	site := newSite(t, units.MiB)
	free, err := site.MakeTorrent("free for all", units.MiB)
	if err != nil {
		t.Fatal(err)
	}
	seedIn(ctx, t, site, box, kind, site.Torrent, free)
	for _, torrent := range []*swarm.Torrent{site.Torrent, free} {
		told := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.9:7001"), netip.MustParseAddrPort("[2001:db8::9]:7002"), netip.MustParseAddrPort("192.0.2.10:7003")}
		for _, peer := range told {
			meet(ctx, t, world, torrent.InfoHash, peer)
		}
		ear := meet(ctx, t, world, torrent.InfoHash, netip.MustParseAddrPort("192.0.2.11:7004"))
		if err := process.Poll(ctx, time.Second, func() error { return ear.heard(told) }); err != nil {
			t.Errorf("%s: %v", torrent.InfoHash, err)
		}
		t.Logf("%s: told of %v", torrent.InfoHash, ear.all())
	}
}

// seedIn starts a client in a namespace, with a paygate before it that charges for the first of the torrents.
func seedIn(ctx context.Context, t *testing.T, site *scenario.Site, box *netns.Namespace, kind clients.Kind, torrents ...*swarm.Torrent) {
	t.Helper()
	var client clients.Client
	err := box.Do(func() (err error) { // the kernel ends programs with the thread that has started them: this one stays
		client, err = clients.Launch(ctx, kind, clients.Spec{
			Dir: filepath.Join(site.Dir, "client"), Listen: netip.MustParseAddrPort("127.0.0.1:6882"), PEX: true,
			Namespace: filepath.Join("/run/netns", box.Name),
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for _, torrent := range torrents {
		metainfo, err := torrent.Metainfo("http://127.0.0.1:1/announce")
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Add(ctx, metainfo, site.SeedDir()); err != nil {
			t.Fatal(err)
		}
	}
	lightning, err := newNetwork(t, site, 0).Seller.Options(ctx)
	if err != nil {
		t.Fatal(err)
	}
	config := scenario.Options{
		"listen":    scenario.Options{"peers": fmt.Sprintf("[::]:%d", publicPort)},
		"client":    scenario.Options{"address": client.PeerAddr()},
		"lightning": lightning, // which cannot be reached from in there: torrents go on all the same
		"sell": scenario.Options{"rules": []scenario.Options{{
			"torrents": []string{torrents[0].InfoHash.String()}, "price": "25 sat per GiB", "rights": "own",
		}}},
	}
	var gate *scenario.Gate
	err = box.Do(func() (err error) {
		gate, err = scenario.StartGate(ctx, site.Programs.Paygate, filepath.Join(site.Dir, "gate"), config)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gate.Kill)
}

// listener is a peer that says where it listens, and keeps what it is told about others.
type listener struct {
	conn net.Conn
	done sync.WaitGroup

	mu    sync.Mutex
	peers []netip.AddrPort // mu
	ended error            // mu
}

// meet connects from an address of the namespace, and says that this is where it listens.
func meet(ctx context.Context, t *testing.T, from *netns.Namespace, ih units.InfoHash, listens netip.AddrPort) *listener {
	t.Helper()
	to := "192.0.2.1"
	if listens.Addr().Is6() {
		to = "2001:db8::1"
	}
	l := &listener{}
	// A client may take a moment to listen after it has begun to seed.
	err := process.Poll(ctx, time.Second, func() error { return l.connect(from, to, ih, listens) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = l.conn.Close()
		l.done.Wait()
	})
	l.done.Go(l.listen)
	return l
}

// connect opens the connection and shakes hands.
func (l *listener) connect(from *netns.Namespace, to string, ih units.InfoHash, listens netip.AddrPort) error {
	err := from.As(0, func() (err error) {
		d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(listens.Addr(), 0))}
		l.conn, err = d.Dial("tcp", net.JoinHostPort(to, fmt.Sprint(publicPort)))
		return err
	})
	if err != nil {
		return err
	}
	head := wire.NewHead(ih)
	hello := fmt.Sprintf("d1:md6:ut_pexi1ee1:pi%dee", listens.Port())
	first := slices.Concat(head[:], []byte(fmt.Sprintf("-XX0001-%012d", listens.Port())), wire.AppendExtended(nil, 0, []byte(hello)))
	_, err = l.conn.Write(first)
	if err == nil {
		_, err = io.ReadFull(l.conn, make([]byte, wire.HandshakeLen))
	}
	if err != nil {
		_ = l.conn.Close()
	}
	return err
}

// listen reads until the connection ends.
func (l *listener) listen() {
	var scan wire.Scanner
	scan.Whole(1)
	b, fill := make([]byte, 2*wire.MaxWhole), 0
	for {
		n, err := l.conn.Read(b[fill:])
		fill += n
		for at := 0; err == nil; {
			var f wire.Frame
			if f, n, err = scan.Next(b[at:fill]); n == 0 {
				fill = copy(b, b[at:fill])
				break
			}
			at += n
			if f.Kind == wire.Extended && f.Ext == 1 {
				l.note(f.Payload())
			}
		}
		if err != nil {
			l.mu.Lock()
			l.ended = err
			l.mu.Unlock()
			return
		}
	}
}

func (l *listener) note(payload []byte) {
	m, err := pp.LoadPexMsg(payload)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = errors.Join(l.ended, err)
	for _, p := range append(m.Added.NodeAddrs(), m.Added6.NodeAddrs()...) {
		ip, _ := netip.AddrFromSlice(p.IP)
		l.peers = append(l.peers, netip.AddrPortFrom(ip.Unmap(), uint16(p.Port)))
	}
}

func (l *listener) all() []netip.AddrPort {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.peers)
}

// heard is nil once it has been told of all these peers. It is final if it has been told of a peer that is not among them.
func (l *listener) heard(want []netip.AddrPort) error {
	got := l.all()
	for _, p := range got {
		if !slices.Contains(want, p) {
			return process.Final(fmt.Errorf("told of %s", p))
		}
	}
	for _, p := range want {
		if !slices.Contains(got, p) {
			l.mu.Lock()
			defer l.mu.Unlock()
			return errors.Join(fmt.Errorf("not told of %s, only of %v", p, got), l.ended)
		}
	}
	return nil
}
