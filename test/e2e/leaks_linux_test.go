package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paygate/doctor"
	"paygate/test/clients"
	"paygate/test/netns"
	"paygate/test/process"
	"paygate/test/swarm"
	"paygate/units"
)

// A machine with a client on it, and a peer on another machine.
const (
	leakPort = 16881
	homeAt   = "192.0.2.1"
	worldAt  = "192.0.2.9"
)

// leak is one way around paygate, planted, and the checks that must find it.
type leak struct {
	name   string
	kinds  []clients.Kind // nil: all
	spec   func(*clients.Spec)
	config func(*leakConfig)
	peer   bool // the client is to have a connection of its own with another machine
	found  []string
}

// leakConfig is what cases change in the configuration.
type leakConfig struct {
	peers      string
	address    string
	publicPort int
	password   string
	url        string
}

func leaks() []leak {
	public := func(s *clients.Spec) { s.Listen = netip.AddrPortFrom(netip.MustParseAddr(homeAt), leakPort) }
	moved := func(c *leakConfig) { c.peers = fmt.Sprintf("%s:%d", homeAt, leakPort+1) }
	return []leak{
		{name: "none"},
		{
			name: "none, with an announced port", kinds: []clients.Kind{clients.QBittorrent5},
			spec: func(s *clients.Spec) { s.Announce = leakPort + 1 }, config: moved,
		},
		{
			name: "client on the public address", spec: func(s *clients.Spec) { s.Everywhere = true },
			found: []string{doctor.CheckBypass, doctor.CheckPeers},
		},
		{
			name: "client on the public address, at another port", spec: func(s *clients.Spec) { s.Everywhere = true }, config: moved,
			found: []string{doctor.CheckBypass, doctor.CheckAnnounce},
		},
		{name: "uTP left on", spec: func(s *clients.Spec) { s.UTP = true }, found: []string{doctor.CheckTransport, doctor.CheckUTP}},
		{
			name: "outgoing connections direct", spec: public, peer: true,
			config: func(c *leakConfig) { moved(c); c.address = fmt.Sprintf("%s:%d", homeAt, leakPort) },
			found:  []string{doctor.CheckOutgoing, doctor.CheckConnections},
		},
		{name: "announce of the wrong port", config: func(c *leakConfig) { c.publicPort = 51413 }, found: []string{doctor.CheckAnnounce}},
		{
			name: "wrong password", spec: func(s *clients.Spec) { s.Password = "right horse" },
			config: func(c *leakConfig) { c.password = "wrong horse" }, found: []string{doctor.CheckAPI},
		},
		{name: "none, with a password", spec: func(s *clients.Spec) { s.Password = "right horse" }, config: func(c *leakConfig) { c.password = "right horse" }},
		{name: "no web interface there", config: func(c *leakConfig) { c.url = "http://127.0.0.1:1" }, found: []string{doctor.CheckAPI}},
	}
}

// clientChecks are the checks that have to do with the client. The others are about a node that is not there.
var clientChecks = []string{
	doctor.CheckPeers, doctor.CheckClient, doctor.CheckAPI, doctor.CheckBypass, doctor.CheckUTP, doctor.CheckConnections, doctor.CheckAnnounce,
	doctor.CheckTransport, doctor.CheckOutgoing, doctor.CheckSlots, doctor.CheckCrowd, doctor.CheckGossip, doctor.CheckLAN,
}

// TestLeaks plants each way around paygate in real clients, and has doctor find it, by asking and from outside. Where
// none is planted none may be found.
func TestLeaks(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: real clients are not started")
	}
	for _, kind := range []clients.Kind{clients.QBittorrent, clients.QBittorrent5, clients.Transmission, clients.Transmission4} {
		t.Run("leaks of "+string(kind), func(t *testing.T) {
			t.Parallel()
			need(t, kind)
			for _, l := range leaks() {
				if l.kinds == nil || slices.Contains(l.kinds, kind) {
					t.Run(l.name, func(t *testing.T) { testLeak(t, kind, l) })
				}
			}
		})
	}
}

func testLeak(t *testing.T, kind clients.Kind, l leak) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	lab := netns.NewLab(t)
	home, world := lab.Namespace("home"), lab.Namespace("world")
	lab.Connect(home, "h0", homeAt+"/24 2001:db8::1/64", world, "w0", worldAt+"/24 2001:db8::9/64")
	site := newSite(t, units.MiB)
	spec := clients.Spec{
		Dir: filepath.Join(site.Dir, "client"), Namespace: "/run/netns/" + home.Name,
		Listen: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), leakPort),
	}
	if l.spec != nil {
		l.spec(&spec)
	}
	c, err := clients.Launch(ctx, kind, spec)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if l.peer {
		dialOut(ctx, t, world, c, site.Torrent, filepath.Join(site.Dir, "downloads"))
	} else {
		addTorrent(ctx, t, c, site.Torrent, "http://"+worldAt+":1/announce", filepath.Join(site.Dir, "seed"))
	}
	conf := leakConfig{
		peers: fmt.Sprintf("%s:%d", homeAt, leakPort), address: fmt.Sprintf("127.0.0.1:%d", leakPort), url: "http://" + c.API(),
	}
	if l.config != nil {
		l.config(&conf)
	}
	file := conf.write(t, site.Dir, site.Torrent.InfoHash)
	err = process.Poll(ctx, time.Second, func() error {
		found := examineIn(t, home, file)
		if missing, extra := compare(l.found, found); len(missing) > 0 || len(l.found) == 0 && len(extra) > 0 {
			// A client takes a while to open its ports, to serve a torrent, and to dial.
			return fmt.Errorf("not found: %v; found: %v", missing, extra)
		}
		for _, check := range slices.Sorted(maps.Keys(found)) {
			t.Logf("%s: %s\n  → %s", check, found[check].Text, found[check].Remedy)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// compare lists what is wanted and not found, and what is found and not wanted.
func compare(want []string, found map[string]doctor.Finding) (missing, extra []string) {
	for _, w := range want {
		if found[w].Verdict != doctor.Fail {
			missing = append(missing, w)
		}
	}
	for check, f := range found {
		if !slices.Contains(want, check) {
			extra = append(extra, fmt.Sprintf("%s (%s)", check, f.Text))
		}
	}
	return missing, extra
}

// examineIn runs `paygate doctor` and returns what is not well about the client.
func examineIn(t *testing.T, at *netns.Namespace, file string) map[string]doctor.Finding {
	t.Helper()
	out, err := at.Try("", shared.programs.Paygate, "doctor", "-c", file)
	var report struct {
		Findings []doctor.Finding `json:"findings"`
	}
	begin := strings.IndexByte(out, '{')
	if begin < 0 {
		t.Fatalf("doctor: %v: %s", err, out)
	}
	if err := json.NewDecoder(strings.NewReader(out[begin:])).Decode(&report); err != nil || len(report.Findings) == 0 {
		t.Fatalf("doctor: %v: %s", err, out)
	}
	found := map[string]doctor.Finding{}
	for _, f := range report.Findings {
		if f.Check == doctor.CheckConfiguration && f.Verdict == doctor.Fail {
			t.Fatalf("doctor: %s", f.Text)
		}
		if slices.Contains(clientChecks, f.Check) && (f.Verdict == doctor.Fail || f.Verdict == doctor.Warn) {
			found[f.Check] = f
			if f.Remedy == "" {
				t.Errorf("no remedy: %+v", f)
			}
		}
	}
	return found
}

// write makes a configuration that sells, on a node that is not there.
func (c leakConfig) write(t *testing.T, dir string, ih units.InfoHash) string {
	t.Helper()
	cert := filepath.Join(dir, "tls.cert")
	put(t, cert, anyCertificate(t))
	public, password := "", ""
	if c.publicPort != 0 {
		public = fmt.Sprintf(", public_port: %d", c.publicPort)
	}
	if c.password != "" {
		password = fmt.Sprintf(", user: %s, password: %s", clients.APIUser, c.password)
	}
	file := filepath.Join(dir, "paygate.yaml")
	put(t, file, fmt.Sprintf(`data_dir: %s
listen: {peers: "%s"%s}
client: {address: "%s", api: {url: "%s"%s}}
lightning: {address: "127.0.0.1:1", tls_cert: %s, macaroon: "%s", network: regtest}
sell: {rules: [{torrents: %s, price: 25 sat per GiB, rights: own}]}
`, filepath.Join(dir, "data"), c.peers, public, c.address, c.url, password, cert, strings.Repeat("02", 50), ih))
	return file
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func anyCertificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// dialOut gives the client a torrent whose tracker names a peer on another machine, who shakes hands and says no more.
func dialOut(ctx context.Context, t *testing.T, world *netns.Namespace, c clients.Client, torrent *swarm.Torrent, dir string) {
	t.Helper()
	var tracker *swarm.Tracker
	err := world.Do(func() (err error) { tracker, err = swarm.NewTracker(worldAt + ":0"); return err })
	if err != nil {
		t.Fatal(err)
	}
	serve(t, tracker.Run)
	peer := world.Listen(worldAt + ":0")
	serve(t, func(ctx context.Context) error { shakeHands(ctx, peer); return nil })
	tracker.Tell(c.Name(), torrent.InfoHash, peer.Addr().(*net.TCPAddr).AddrPort())
	addTorrent(ctx, t, c, torrent, tracker.URL(c.Name()), dir)
}

func addTorrent(ctx context.Context, t *testing.T, c clients.Client, torrent *swarm.Torrent, announce, dir string) {
	t.Helper()
	meta, err := torrent.Metainfo(announce)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.Add(ctx, meta, dir); err != nil {
		t.Fatal(err)
	}
}

// serve runs something until the end of the test.
func serve(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// shakeHands answers handshakes with the like of them, and keeps the connections until ctx ends.
func shakeHands(ctx context.Context, l *net.TCPListener) {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close() // when ctx ends
		hello := make([]byte, 68)
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.ReadFull(conn, hello); err == nil {
			clear(hello[20:28])
			copy(hello[48:], "-PT0000-another peer")
			_, _ = conn.Write(hello)
		}
	}
}
