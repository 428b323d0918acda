package firewall

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestPaygateAsTheClientsUser would go round for ever: its own connections are redirected to itself.
func TestPaygateAsTheClientsUser(t *testing.T) {
	machine, world := sameHost(t)
	s := newSiteAs(t, machine, client, hostConfig)
	s.firewall("apply", "--user", fmt.Sprint(client))
	for _, to := range []string{"198.51.100.7:7000", "[2001:db8:1::7]:7000"} {
		l := world.Listen(to)
		conn, err := dialAs(machine, client, net.Dialer{}, to)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write(hand("caller")) //nolint:errcheck // it may be closed already
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: %d bytes come from somewhere", to, n)
		}
		conn.Close()
		if accept(t, l, 100*time.Millisecond) != nil {
			t.Errorf("%s: the client got out", to)
		}
	}
	if said := s.logged(); !strings.Contains(said, "run it as another user than the client") || strings.Count(said, "\n") > 20 {
		t.Errorf("paygate says %s", said)
	}
}

// TestCapabilityIsEnough runs paygate as the client's user, with CAP_NET_ADMIN and no other right: its connections are
// marked, and it may take and make those with any address.
func TestCapabilityIsEnough(t *testing.T) {
	if _, err := exec.LookPath("setpriv"); err != nil {
		t.Skip("setpriv is not installed")
	}
	machine, world := sameHost(t)
	plain := program
	defer func() { program = plain }()
	program = func(args ...string) *exec.Cmd {
		id := fmt.Sprint(client)
		return exec.Command("setpriv", append([]string{
			"--reuid", id, "--regid", id, "--clear-groups", "--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin", paygate,
		}, args...)...)
	}
	s := newSiteWith(t, machine, client, 0, `
listen: {tproxy: ":17001", redirect: ":17000"}
client: {address: 127.0.0.1:6881, source: peer}
`)
	s.firewall("apply", "--user", fmt.Sprint(client))
	l := world.Listen("198.51.100.7:7000")
	own, err := dialAs(machine, client, net.Dialer{}, "198.51.100.7:7000")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	peer := accept(t, l, 5*time.Second)
	if peer == nil {
		t.Fatal("nobody comes")
	}
	shake(t, own, peer)
	torrents := listenAs(t, machine, client, "127.0.0.1:6881")
	caller, err := dialAs(world, 0, bound("198.51.100.7"), "192.0.2.1:6881")
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	if _, err := caller.Write(hand("caller")); err != nil {
		t.Fatal(err)
	}
	if called := accept(t, torrents, 5*time.Second); called == nil || host(called.RemoteAddr()) != "198.51.100.7" {
		t.Errorf("the client is not reached from its peer's address: %v", called)
	}
}
