package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRedirectRefusesDirectConnections also where netfilter does not follow connections at all.
func TestRedirectRefusesDirectConnections(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), func(c *Config) { c.Redirect = "127.0.0.1:0" })
	conn, err := net.Dial("tcp", r.proxy.RedirectAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	e := newEnd(t, conn)
	e.send(hand("client", true, true))
	e.expectEnd()
	eventually(t, "a line with the remedy", func() bool {
		lines := r.log.FilterMessage("connection refused").All()
		return len(lines) == 1 && strings.Contains(lines[0].ContextMap()["error"].(string), "paygate firewall apply")
	})
}

// TestOwnConnectionComingBackIsALoop lets a connection that a redirected one has led to arrive as if it had been
// redirected too.
func TestOwnConnectionComingBackIsALoop(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), nil)
	l, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	target := addrPort(l.Addr())
	first := dialTo(t, l)
	out, err := r.proxy.dialOut(t.Context(), first, target)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	back, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if _, err := r.proxy.dialOut(t.Context(), back, target); !errors.Is(err, errLoop) {
		t.Errorf("dial for our own connection: %v", err)
	}
	r.proxy.own.remove(addrPort(out.LocalAddr()))
	again, err := r.proxy.dialOut(t.Context(), back, target)
	if err != nil {
		t.Fatalf("after its end: %v", err)
	}
	again.Close()
}

// dialTo makes a connection to l and returns the accepted end.
func dialTo(t *testing.T, l *net.TCPListener) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	conn, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestForwardResetsWhatItCannotServe(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), nil)
	l, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	gone, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := addrPort(gone.Addr())
	gone.Close()
	var d dues
	err = r.proxy.forward(t.Context(), conn, nobody, &d)
	d.pay()
	conn.Close()
	if !errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "SOCKS") {
		t.Errorf("forward: %v", err)
	}
	client.SetReadDeadline(time.Now().Add(5 * time.Second)) //nolint:errcheck // the read tells
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client sees %v", err)
	}
}

func TestApproach(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")
	client4, client6 := &net.TCPAddr{IP: net.ParseIP("127.0.0.1"), Port: 1}, &net.TCPAddr{IP: net.ParseIP("fd00::2"), Port: 2}
	some := &aliases{}
	for _, c := range []struct {
		name     string
		peer     bool
		aliases  *aliases
		client6  *net.TCPAddr
		remote   netip.Addr
		want     approach
		wantPort int
	}{
		{"alias", false, some, nil, v4, asAlias, 1},
		{"alias for IPv6", false, some, client6, v6, asAlias, 1},
		{"no alias", false, nil, nil, v4, asOurselves, 1},
		{"peer", true, some, nil, v4, asPeer, 1},
		{"peer of IPv6", true, some, client6, v6, asPeer, 2},
		{"peer of a family that the client has not", true, some, nil, v6, asAlias, 1},
		{"the same without aliases", true, nil, nil, v6, asOurselves, 1},
		{"this machine", true, some, nil, netip.MustParseAddr("127.0.0.9"), asAlias, 1},
	} {
		p := &Proxy{cfg: Config{FromPeer: c.peer}, aliases: c.aliases, client: client4, client6: c.client6}
		if how, to := p.approachOf(c.remote); how != c.want || to.Port != c.wantPort {
			t.Errorf("%s: %d to %s", c.name, how, to)
		}
	}
}

func TestIsClient(t *testing.T) {
	p := &Proxy{client: &net.TCPAddr{IP: net.ParseIP("10.98.0.2")}, client6: &net.TCPAddr{IP: net.ParseIP("fd00::2")}}
	for addr, want := range map[string]bool{"10.98.0.2": true, "fd00::2": true, "10.98.0.3": false, "127.0.0.1": false} {
		if p.isClient(netip.MustParseAddr(addr)) != want {
			t.Errorf("%s: %v", addr, !want)
		}
	}
	p.client = &net.TCPAddr{IP: net.ParseIP("127.0.0.1")}
	if p.isClient(netip.MustParseAddr("127.0.0.1")) {
		t.Error("everybody on this machine is the client")
	}
}

func TestIsOwn(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1": true, "127.9.9.9": true, "192.0.2.77": false, "2001:db8::77": false} {
		if isOwn(netip.MustParseAddr(addr)) != want {
			t.Errorf("%s: %v", addr, !want)
		}
	}
}

func TestClientErrorNamesTheRemedy(t *testing.T) {
	if err := clientError(asPeer, context.DeadlineExceeded); !strings.Contains(err.Error(), "paygate firewall apply") || isNoise(err) {
		t.Error(err)
	}
	if err := clientError(asPeer, os.NewSyscallError("setsockopt", syscall.EPERM)); !strings.Contains(err.Error(), "CAP_NET_ADMIN") {
		t.Error(err)
	}
	if err := clientError(asAlias, context.DeadlineExceeded); !isNoise(err) {
		t.Error(err)
	}
}
