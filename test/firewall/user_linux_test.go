package firewall

import (
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"paygate/test/netns"
)

// sameHost is a client and its paygate on one machine, and the world.
func sameHost(t *testing.T) (machine, world *netns.Namespace) {
	lab := netns.NewLab(t, "nft")
	machine, world = lab.Namespace("host"), lab.Namespace("world")
	lab.Connect(machine, "h0", "192.0.2.1/24 2001:db8::1/64", world, "w0", "192.0.2.9/24 2001:db8::9/64")
	world.Run("ip", "address", "add", "198.51.100.7/32", "dev", "lo")
	world.Run("ip", "address", "add", "2001:db8:1::7/128", "dev", "lo", "nodad")
	machine.Run("ip", "route", "add", "default", "via", "192.0.2.9")
	machine.Run("ip", "-6", "route", "add", "default", "via", "2001:db8::9")
	forget(t, machine)
	return machine, world
}

const hostConfig = `
listen: {peers: ":16881", redirect: ":17000"}
client: {address: 127.0.0.1:6881}
`

// soon gives up early, for what is not to succeed.
var soon = net.Dialer{Timeout: 500 * time.Millisecond}

func bound(address string) net.Dialer {
	return net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
}

func device(name string) net.Dialer {
	return net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) {
			set = syscall.SetsockoptString(int(fd), syscall.SOL_SOCKET, syscall.SO_BINDTODEVICE, name)
		})
		if err != nil {
			return err
		}
		return set
	}}
}

func TestUserOutgoing(t *testing.T) {
	machine, world := sameHost(t)
	s := newSite(t, machine, hostConfig)
	s.firewall("apply", "--user", "4242")
	for _, c := range []struct {
		name   string
		dialer net.Dialer
		peer   string
	}{
		{"IPv4", net.Dialer{}, "198.51.100.7:7000"},
		{"IPv4 neighbour", net.Dialer{}, "192.0.2.9:7000"},
		{"IPv4 bound to its address", bound("192.0.2.1"), "198.51.100.7:7000"},
		{"IPv4 bound to loopback", bound("127.0.0.1"), "198.51.100.7:7000"},
		{"IPv4 bound to the interface", device("h0"), "198.51.100.7:7000"},
		{"IPv6", net.Dialer{}, "[2001:db8:1::7]:7000"},
		{"IPv6 bound to loopback", bound("::1"), "[2001:db8:1::7]:7000"},
		{"IPv6 bound to the interface", device("h0"), "[2001:db8:1::7]:7000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := world.Listen(c.peer)
			defer l.Close()
			own, err := dialAs(machine, client, c.dialer, c.peer)
			if err != nil {
				t.Fatal(err)
			}
			defer own.Close()
			peer := accept(t, l, 5*time.Second)
			if peer == nil {
				t.Fatal("nobody comes")
			}
			shake(t, own, peer)
			if port(peer.RemoteAddr()) == port(own.LocalAddr()) {
				t.Error("the connection has not gone through paygate")
			}
			if strings.Contains(own.RemoteAddr().String(), "17000") {
				t.Errorf("the client sees %s", own.RemoteAddr())
			}
		})
	}
}

func TestUserOthersAreLeftAlone(t *testing.T) {
	machine, world := sameHost(t)
	s := newSite(t, machine, hostConfig)
	s.firewall("apply", "--user", "4242")
	l := world.Listen("198.51.100.7:7000")
	own, err := dialAs(machine, 4243, net.Dialer{}, "198.51.100.7:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	peer := accept(t, l, 5*time.Second)
	if peer == nil || port(peer.RemoteAddr()) != port(own.LocalAddr()) {
		t.Error("another user's connection does not go its own way")
	}
	if _, err := dialAs(world, 0, soon, "192.0.2.1:17000"); err == nil {
		t.Error("the world reaches the listener for redirected connections")
	}
}

func TestUserTracker(t *testing.T) {
	machine, world := sameHost(t)
	s := newSite(t, machine, hostConfig)
	s.firewall("apply", "--user", "4242")
	l := world.Listen("198.51.100.7:80")
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })} //nolint:errcheck // the client tells
	go server.Serve(l)                                                                                                                  //nolint:errcheck // it ends with the listener
	t.Cleanup(func() { server.Close() })
	own, err := dialAs(machine, client, net.Dialer{}, "198.51.100.7:80")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	io.WriteString(own, "GET /announce HTTP/1.0\r\n\r\n") //nolint:errcheck // the answer tells
	answer, err := io.ReadAll(own)
	if err != nil || !strings.Contains(string(answer), "192.0.2.1:") {
		t.Errorf("the tracker says %q, %v", answer, err)
	}
}

func TestUserFailsClosed(t *testing.T) {
	machine, world := sameHost(t)
	s := newSite(t, machine, hostConfig)
	before, err := dialAs(machine, client, net.Dialer{}, listenEcho(t, world, "198.51.100.7:7001"))
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	s.firewall("apply", "--user", "4242", "--dns", "198.51.100.7")
	peer := world.ListenUDP("198.51.100.7:6881")
	resolver := world.ListenUDP("198.51.100.7:53")
	for _, to := range []net.PacketConn{peer, resolver} {
		sendAs(machine, client, to.LocalAddr().String())
		if got := arrives(t, to); got != (to == resolver) {
			t.Errorf("UDP to %s arrives: %v", to.LocalAddr(), got)
		}
	}
	six := world.ListenUDP("[2001:db8:1::7]:6881")
	sendAs(machine, client, "[2001:db8:1::7]:6881")
	if arrives(t, six) {
		t.Error("UDP gets out over IPv6")
	}
	if _, err := before.Write([]byte("x")); err == nil {
		if n, err := before.Read(make([]byte, 1)); err == nil {
			t.Errorf("a connection from before goes on: %d bytes", n)
		}
	}
	l := world.Listen("198.51.100.7:7000")
	s.run.Kill()
	if conn, err := dialAs(machine, client, net.Dialer{}, "198.51.100.7:7000"); err == nil {
		conn.Close()
		t.Error("the client connects without paygate")
	}
	if accept(t, l, 300*time.Millisecond) != nil {
		t.Error("the client got out without paygate")
	}
}

// listenEcho answers each connection's first byte.
func listenEcho(t *testing.T, n *netns.Namespace, address string) string {
	l := n.Listen(address)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go func() {
				io.Copy(conn, conn) //nolint:errcheck // it ends with the connection
			}()
		}
	}()
	return address
}

// sendAs sends a datagram as a user. That it cannot be sent is as good as that it does not arrive.
func sendAs(n *netns.Namespace, uid uint32, to string) {
	_ = n.As(uid, func() error {
		conn, err := net.Dial("udp", to)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("hello"))
		return err
	})
}

func arrives(t *testing.T, c net.PacketConn) bool {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	n, _, err := c.ReadFrom(make([]byte, 100))
	return err == nil && n == 5
}

func TestUserIncoming(t *testing.T) {
	machine, world := sameHost(t)
	s := newSite(t, machine, hostConfig)
	s.firewall("apply", "--user", "4242")
	torrents := listenAs(t, machine, client, "0.0.0.0:6881")
	web := listenAs(t, machine, client, ":8080")
	for _, address := range []string{"192.0.2.1:6881", "[2001:db8::1]:16881", "192.0.2.1:16881"} {
		peer, err := dialAs(world, 0, net.Dialer{}, address)
		if err != nil {
			t.Fatal(address, err)
		}
		if _, err := peer.Write(hand("peer")[:wire48]); err != nil {
			t.Fatal(err)
		}
		own := accept(t, torrents, 5*time.Second)
		if own == nil || !strings.HasPrefix(host(own.RemoteAddr()), "127.") {
			t.Fatalf("%s: the client is not reached by paygate", address)
		}
		peer.Close()
		own.Close()
	}
	for _, address := range []string{"192.0.2.1:8080", "[2001:db8::1]:8080"} {
		browser, err := dialAs(world, 0, net.Dialer{}, address)
		if err != nil {
			t.Fatalf("the web interface is not reached: %v", err)
		}
		own := accept(t, web, 5*time.Second)
		say(t, browser, own, []byte("GET /"))
		say(t, own, browser, []byte("200 OK"))
		browser.Close()
	}
}

const wire48 = 48

// TestUserWayAround has the client listen where paygate does not redirect, as on an IPv6 address that it announces.
func TestUserWayAround(t *testing.T) {
	machine, world := sameHost(t)
	s := newSite(t, machine, "listen: {peers: \"192.0.2.1:16881\", redirect: \":17000\"}\nclient: {address: 127.0.0.1:6881}\n")
	s.firewall("apply", "--user", "4242")
	listenAs(t, machine, client, ":6881")
	for _, address := range []string{"192.0.2.1:6881", "[2001:db8::1]:6881"} {
		if conn, err := dialAs(world, 0, soon, address); err == nil {
			conn.Close()
			t.Errorf("the client is reached at %s, around paygate", address)
		}
		if conn, err := dialAs(machine, 0, soon, address); err == nil {
			conn.Close()
			t.Errorf("the client is reached at %s, around paygate, on its own machine", address)
		}
	}
}

func TestUserPeersAtTheirOwnAddresses(t *testing.T) {
	machine, world := sameHost(t)
	s := newSite(t, machine, `
listen: {tproxy: ":17001", redirect: ":17000"}
client: {address: 127.0.0.1:6881, address_ipv6: "[::1]:6881", source: peer}
`)
	s.firewall("apply", "--user", "4242")
	for _, c := range []struct{ client, dial, from string }{
		{"127.0.0.1:6881", "192.0.2.1:6881", "198.51.100.7"},
		{"[::1]:6881", "[2001:db8::1]:6881", "2001:db8:1::7"},
	} {
		machine.Run("ip", "route", "replace", c.from, "via", map[bool]string{true: "2001:db8::9", false: "192.0.2.9"}[strings.Contains(c.from, ":")])
		l := listenAs(t, machine, client, c.client)
		peer, err := dialAs(world, 0, bound(c.from), c.dial)
		if err != nil {
			t.Fatal(c.dial, err)
		}
		defer peer.Close()
		if _, err := peer.Write(hand("caller")); err != nil {
			t.Fatal(err)
		}
		own := accept(t, l, 5*time.Second)
		if own == nil {
			t.Fatalf("%s: the client is not reached", c.dial)
		}
		if host(own.RemoteAddr()) != c.from {
			t.Errorf("the client sees %s for %s", own.RemoteAddr(), c.from)
		}
		got := make([]byte, len(hand("")))
		if _, err := io.ReadFull(own, got); err != nil {
			t.Fatal(err)
		}
		say(t, own, peer, hand("called"))
		say(t, peer, own, []byte("bytes that follow"))
	}
}
