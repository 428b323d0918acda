package firewall

import (
	"io"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/test/netns"
)

// homes are a client alone in a namespace, its gateway with paygate, and the world.
func homes(t *testing.T) (inside, gateway, world *netns.Namespace) {
	lab := netns.NewLab(t, "nft")
	inside, gateway, world = lab.Namespace("client"), lab.Namespace("gateway"), lab.Namespace("world")
	lab.Connect(inside, "c0", "10.98.0.2/24 fd00:98::2/64", gateway, "g1", "10.98.0.1/24 fd00:98::1/64")
	lab.Connect(gateway, "g2", "192.0.2.1/24 2001:db8::1/64", world, "w0", "192.0.2.9/24 2001:db8::9/64")
	for i := range 3 {
		world.Run("ip", "address", "add", netip.AddrFrom4([4]byte{198, 51, 100, byte(7 + i)}).String()+"/32", "dev", "lo")
	}
	world.Run("ip", "address", "add", "2001:db8:1::7/128", "dev", "lo", "nodad")
	for _, n := range []struct {
		*netns.Namespace
		four, six string
	}{{inside, "10.98.0.1", "fd00:98::1"}, {gateway, "192.0.2.9", "2001:db8::9"}, {world, "192.0.2.1", "2001:db8::1"}} {
		n.Run("ip", "route", "add", "default", "via", n.four)
		n.Run("ip", "-6", "route", "add", "default", "via", n.six)
	}
	forget(t, gateway)
	return inside, gateway, world
}

// transparentConfig takes both directions with TPROXY or redirection, and shows the client its peers' addresses.
const transparentConfig = `
client: {address: 10.98.0.2:6881, address_ipv6: "[fd00:98::2]:6881", source: peer}
listen: `

func TestGatewayOutgoing(t *testing.T) {
	for name, listen := range map[string]string{
		"redirect": `{redirect: ":17000", tproxy: ":17001"}`, "tproxy": `{tproxy: ":17001"}`,
	} {
		t.Run(name, func(t *testing.T) {
			inside, gateway, world := homes(t)
			s := newSite(t, gateway, transparentConfig+listen)
			s.firewall("apply", "--gateway", "--client-if", "g1", "--peers-if", "g2")
			for _, to := range []string{"198.51.100.7:7000", "192.0.2.9:7000", "[2001:db8:1::7]:7000", "[2001:db8::9]:7000"} {
				l := world.Listen(to)
				own, err := dialAs(inside, client, net.Dialer{}, to)
				if err != nil {
					t.Fatal(to, err)
				}
				peer := accept(t, l, 5*time.Second)
				if peer == nil {
					t.Fatalf("%s: nobody comes", to)
				}
				if from := host(peer.RemoteAddr()); from != "192.0.2.1" && from != "2001:db8::1" {
					t.Errorf("%s: the peer sees %s", to, from)
				}
				shake(t, own, peer)
				own.Close()
			}
		})
	}
}

func TestGatewayIncoming(t *testing.T) {
	inside, gateway, world := homes(t)
	s := newSite(t, gateway, transparentConfig+`{redirect: ":17000", tproxy: ":17001"}`)
	s.firewall("apply", "--gateway", "--client-if", "g1", "--peers-if", "g2")
	l := inside.Listen(":6881")
	for _, c := range []struct{ from, to string }{
		{"198.51.100.7", "192.0.2.1:6881"},
		{"198.51.100.8", "192.0.2.1:6881"},
		{"198.51.100.9", "10.98.0.2:6881"}, // a client whose own address the world can route to
		{"2001:db8:1::7", "[2001:db8::1]:6881"},
		{"2001:db8:1::7", "[fd00:98::2]:6881"},
	} {
		peer, err := dialAs(world, 0, bound(c.from), c.to)
		if err != nil {
			t.Fatal(c, err)
		}
		if _, err := peer.Write(hand("caller")); err != nil {
			t.Fatal(err)
		}
		own := accept(t, l, 5*time.Second)
		if own == nil {
			t.Fatalf("%s: the client is not reached", c)
		}
		if host(own.RemoteAddr()) != c.from {
			t.Errorf("the client sees %s for %s", own.RemoteAddr(), c.from)
		}
		if _, err := io.ReadFull(own, make([]byte, len(hand("")))); err != nil {
			t.Fatal(err)
		}
		say(t, own, peer, hand("called"))
		say(t, peer, own, []byte("bytes that follow"))
		peer.Close()
	}
}

// TestGatewayWithoutRights runs paygate as a user that may do nothing special.
func TestGatewayWithoutRights(t *testing.T) {
	inside, gateway, world := homes(t)
	s := newSiteAs(t, gateway, 5000, `
client: {address: 10.98.0.2:6881}
listen: {redirect: ":17000", peers: ":16881"}
`)
	s.firewall("apply", "--gateway", "--client-if", "g1")
	l := inside.Listen(":6881")
	peer, err := dialAs(world, 0, net.Dialer{}, "192.0.2.1:6881")
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	if _, err := peer.Write(hand("caller")); err != nil {
		t.Fatal(err)
	}
	if own := accept(t, l, 5*time.Second); own == nil || host(own.RemoteAddr()) != "10.98.0.1" {
		t.Error("the client is not reached from the gateway")
	}
	far := world.Listen("198.51.100.7:7000")
	own, err := dialAs(inside, client, net.Dialer{}, "198.51.100.7:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if other := accept(t, far, 5*time.Second); other == nil {
		t.Error("the client does not get out")
	} else {
		shake(t, own, other)
	}
}

// TestGatewayFailsClosed also on a machine that forwards packets.
func TestGatewayFailsClosed(t *testing.T) {
	inside, gateway, world := homes(t)
	gateway.Set("net.ipv4.ip_forward", "1")
	gateway.Set("net.ipv6.conf.all.forwarding", "1")
	world.Run("ip", "route", "add", "10.98.0.0/24", "via", "192.0.2.1")
	peer, six := world.ListenUDP("198.51.100.7:6881"), world.ListenUDP("[2001:db8:1::7]:6881")
	sendAs(inside, client, "198.51.100.7:6881")
	if !arrives(t, peer) {
		t.Fatal("the machine does not forward, so that nothing is proved")
	}
	s := newSite(t, gateway, transparentConfig+`{redirect: ":17000", tproxy: ":17001"}`)
	out := s.firewall("apply", "--gateway", "--client-if", "g1", "--peers-if", "g2")
	if !strings.Contains(out, "note: this machine forwards packets (sysctl net.ipv4.ip_forward)") {
		t.Errorf("nothing is said of forwarding: %s", out)
	}
	sendAs(inside, client, "198.51.100.7:6881")
	sendAs(inside, client, "[2001:db8:1::7]:6881")
	if arrives(t, peer) || arrives(t, six) {
		t.Error("UDP gets out")
	}
	udp := inside.ListenUDP(":6881")
	for _, to := range []string{"10.98.0.2:6881", "[fd00:98::2]:6881", "192.0.2.1:6881"} {
		sendAs(world, 0, to)
		if arrives(t, udp) {
			t.Errorf("UDP gets in at %s", to)
		}
	}
	web := inside.Listen(":8080")
	if conn, err := dialAs(world, 0, soon, "10.98.0.2:8080"); err == nil || accept(t, web, time.Millisecond) != nil {
		t.Errorf("the client is reached on another port: %v", conn)
	}
	l := world.Listen("198.51.100.7:7000")
	s.run.Kill()
	for _, to := range []string{"198.51.100.7:7000", "[2001:db8:1::7]:7000"} {
		if conn, err := dialAs(inside, client, soon, to); err == nil {
			conn.Close()
			t.Errorf("the client connects to %s without paygate", to)
		}
	}
	if accept(t, l, 300*time.Millisecond) != nil {
		t.Error("the client got out without paygate")
	}
}

// TestGatewaySaysAtOnceThatUDPDoesNotPass, so that a client that tries uTP first need not wait.
func TestGatewaySaysAtOnceThatUDPDoesNotPass(t *testing.T) {
	inside, gateway, _ := homes(t)
	s := newSite(t, gateway, transparentConfig+`{redirect: ":17000", tproxy: ":17001"}`)
	s.firewall("apply", "--client-if", "g1", "--peers-if", "g2")
	for _, to := range []string{"198.51.100.7:6881", "[2001:db8:1::7]:6881"} {
		conn, err := inside.Dial("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("uTP")); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil || err.(net.Error).Timeout() { //nolint:errorlint // net promises a net.Error
			t.Errorf("%s: %v", to, err)
		}
	}
}

func TestTransparentWithoutRights(t *testing.T) {
	_, gateway, _ := homes(t)
	for name, config := range map[string]string{
		"listen": "listen: {tproxy: \":17001\"}\nclient: {address: 10.98.0.2:6881}\n",
		"source": "listen: {peers: \":16881\"}\nclient: {address: 10.98.0.2:6881, source: peer}\n",
	} {
		dir := t.TempDir()
		log := filepath.Join(dir, "log")
		file := writeConfig(t, dir, config)
		giveTo(t, gateway, client, dir)
		p := gateway.StartAs(client, exec.Command(paygate, "run", "-c", file), log)
		waitFor(t, func() bool { return p.Exited() })
		said := gateway.Run("cat", log)
		if !strings.Contains(said, "CAP_NET_ADMIN") || !strings.Contains(said, "setcap cap_net_admin+ep") {
			t.Errorf("%s: it says %s", name, said)
		}
	}
}
