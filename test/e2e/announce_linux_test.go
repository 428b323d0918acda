package e2e

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anacrolix/dht/v2"
	"github.com/anacrolix/dht/v2/krpc"
	peer_store "github.com/anacrolix/dht/v2/peer-store"
	"github.com/anacrolix/torrent/bencode"

	"paygate/test/clients"
	"paygate/test/netns"
	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/test/swarm"
	"paygate/units"
)

const (
	trackerAt  = "192.0.2.9:6969"
	clientPort = 6882
	socksAt    = "127.0.0.1:1080"
	httpAt     = "127.0.0.1:8080"
	dhtPort    = 7010
)

// announcements is what trackers and the DHT learn of a client behind paygate.
func announcements() []proof {
	var all []proof
	for _, c := range []struct {
		kind clients.Kind
		ways []string
	}{
		{clients.QBittorrent, []string{"http", "udp", "dht"}},
		{clients.QBittorrent5, []string{"http", "udp", "dht"}},
		{clients.Transmission, []string{"http"}}, // its UDP announces and its DHT know no proxy
		{clients.Transmission4, []string{"http"}},
		{clients.Aria2, []string{"http"}},
		{clients.RTorrent, []string{"http"}},
	} {
		all = append(all, proof{
			name:   "announced port of " + string(c.kind),
			proves: "Trackers see paygate's port from every client: opentracker, and a DHT of three nodes (" + strings.Join(c.ways, ", ") + ").",
			run:    func(t *testing.T) { testAnnounced(t, c.kind, c.ways) },
		})
	}
	return all
}

func testAnnounced(t *testing.T, kind clients.Kind, ways []string) {
	need(t, kind)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	lab := netns.NewLab(t, "opentracker")
	box, world := lab.Namespace("box"), lab.Namespace("world")
	lab.Connect(box, "b0", "192.0.2.1/24", world, "w0", "192.0.2.9/24 192.0.2.10/24 192.0.2.11/24")
	site := newSite(t, units.MiB)
	torrents := map[string]*swarm.Torrent{"http": site.Torrent}
	for _, way := range ways[1:] {
		more, err := site.MakeTorrent(way, units.MiB)
		if err != nil {
			t.Fatal(err)
		}
		torrents[way] = more
	}
	startTracker(t, site, world, torrents)
	nodes := startDHT(t, world)
	client := hidden(ctx, t, site, box, kind)
	for _, way := range ways { // the DHT last: a client that knows no node yet asks again after a quarter of an hour
		torrent := torrents[way]
		if err := client.Add(ctx, announcing(t, torrent, way), site.SeedDir()); err != nil {
			t.Fatal(err)
		}
		look := func() ([]netip.AddrPort, error) { return scrape(ctx, world, torrent.InfoHash) }
		if way == "dht" {
			look = func() ([]netip.AddrPort, error) { return inDHT(nodes, torrent.InfoHash), nil }
		}
		err := process.Poll(ctx, time.Second, func() error { return onlyPublic(look()) })
		if err != nil {
			t.Errorf("%s: %v", way, err)
			continue
		}
		t.Logf("%s: the swarm is told 192.0.2.1:%d; the client listens on %d", way, publicPort, clientPort)
	}
}

// onlyPublic is nil if paygate's public address is among the peers, and final if the box is there with another port.
func onlyPublic(peers []netip.AddrPort, err error) error {
	want := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), publicPort)
	for _, p := range peers {
		if p.Addr() == want.Addr() && p != want {
			return process.Final(fmt.Errorf("told of %s", p))
		}
	}
	if err == nil && !slices.Contains(peers, want) {
		err = fmt.Errorf("not told of %s yet", want)
	}
	return err
}

// startTracker runs opentracker over HTTP and UDP, with the torrents in its whitelist: it refuses all others.
func startTracker(t *testing.T, site *scenario.Site, world *netns.Namespace, torrents map[string]*swarm.Torrent) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgot") // which becomes its root, without any rights
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var list strings.Builder
	for _, torrent := range torrents {
		fmt.Fprintln(&list, torrent.InfoHash)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "whitelist"), []byte(list.String()), 0o644)); err != nil {
		t.Fatal(err)
	}
	ip, port, _ := strings.Cut(trackerAt, ":")
	world.Start(exec.Command("opentracker", "-i", ip, "-p", port, "-P", port, "-d", dir, "-w", "/whitelist"),
		filepath.Join(site.Dir, "opentracker.log"))
}

// startDHT runs three nodes that know each other.
func startDHT(t *testing.T, world *netns.Namespace) []*peerStore {
	t.Helper()
	var at []string
	for _, ip := range []string{"192.0.2.9", "192.0.2.10", "192.0.2.11"} {
		at = append(at, fmt.Sprintf("%s:%d", ip, dhtPort))
	}
	var stores []*peerStore
	for _, address := range at {
		store := &peerStore{}
		config := dht.NewDefaultServerConfig()
		config.Conn, config.PeerStore, config.NoSecurity = world.ListenUDP(address), store, true
		config.StartingNodes = func() ([]dht.Addr, error) {
			var others []dht.Addr
			for _, other := range at {
				if other != address {
					others = append(others, dht.NewAddr(net.UDPAddrFromAddrPort(netip.MustParseAddrPort(other))))
				}
			}
			return others, nil
		}
		node, err := dht.NewServer(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(node.Close)
		stores = append(stores, store)
	}
	return stores
}

// peerStore is what a node has been told about who has a torrent.
type peerStore struct {
	mu    sync.Mutex
	peers map[peer_store.InfoHash][]krpc.NodeAddr
}

func (s *peerStore) AddPeer(ih peer_store.InfoHash, peer krpc.NodeAddr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.peers == nil {
		s.peers = map[peer_store.InfoHash][]krpc.NodeAddr{}
	}
	s.peers[ih] = append(s.peers[ih], peer)
}

func (s *peerStore) GetPeers(ih peer_store.InfoHash) []krpc.NodeAddr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.peers[ih])
}

func inDHT(nodes []*peerStore, ih units.InfoHash) []netip.AddrPort {
	var peers []netip.AddrPort
	for _, node := range nodes {
		for _, p := range node.GetPeers(peer_store.InfoHash(ih)) {
			ip, _ := netip.AddrFromSlice(p.IP)
			peers = append(peers, netip.AddrPortFrom(ip.Unmap(), uint16(p.Port)))
		}
	}
	return peers
}

// hidden starts a paygate with proxies, and a client that listens on loopback alone and announces itself through them.
func hidden(ctx context.Context, t *testing.T, site *scenario.Site, box *netns.Namespace, kind clients.Kind) clients.Client {
	t.Helper()
	spec := clients.Spec{
		Dir: filepath.Join(site.Dir, "client"), Listen: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), clientPort),
		DHT: true, Tracker: httpAt, Namespace: filepath.Join("/run/netns", box.Name),
	}
	if kind == clients.QBittorrent || kind == clients.QBittorrent5 {
		spec.Tracker = socksAt
	}
	config := scenario.Options{
		"listen": scenario.Options{"peers": fmt.Sprintf("192.0.2.1:%d", publicPort), "socks5": socksAt, "http": httpAt},
		"client": scenario.Options{"address": spec.Listen.String()},
	}
	var client clients.Client
	err := box.Do(func() error { // the kernel ends programs with the thread that has started them: this one stays
		gate, err := scenario.StartGate(ctx, site.Programs.Paygate, filepath.Join(site.Dir, "gate"), config)
		if err != nil {
			return err
		}
		t.Cleanup(gate.Kill)
		client, err = clients.Launch(ctx, kind, spec)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// announcing is a .torrent whose swarm is to be told over HTTP, UDP or the DHT.
func announcing(t *testing.T, torrent *swarm.Torrent, way string) []byte {
	t.Helper()
	announce := way + "://" + trackerAt + "/announce"
	if way == "dht" {
		announce = ""
	}
	b, err := torrent.Metainfo(announce)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// scrape asks the tracker for peers, as one of them, whose node of the DHT has the same port: libtorrent asks peers of
// trackers for the DHT.
func scrape(ctx context.Context, world *netns.Namespace, ih units.InfoHash) ([]netip.AddrPort, error) {
	query := url.Values{
		"info_hash": {string(ih[:])}, "peer_id": {"-XX0001-000000000001"}, "port": {strconv.Itoa(dhtPort)}, "compact": {"1"},
		"uploaded": {"0"}, "downloaded": {"0"}, "left": {"1"}, "numwant": {"50"},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+trackerAt+"/announce?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := world.HTTP().Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	var told struct {
		Peers  []byte `bencode:"peers"`
		Reason string `bencode:"failure reason"`
	}
	if err := bencode.Unmarshal(body, &told); err != nil {
		return nil, fmt.Errorf("%w: %q", err, body)
	}
	if told.Reason != "" {
		return nil, errors.New(told.Reason)
	}
	var peers []netip.AddrPort
	for b := told.Peers; len(b) >= 6; b = b[6:] {
		peers = append(peers, netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[4:])))
	}
	return peers, nil
}
