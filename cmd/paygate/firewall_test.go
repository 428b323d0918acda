package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"paygate/config"
	"paygate/firewall"
	"paygate/proxy"
)

// TestMarksAgree holds two rooms together that do not import each other.
func TestMarksAgree(t *testing.T) {
	if firewall.Mark != proxy.Mark {
		t.Errorf("the rules let %#x pass, and paygate marks with %#x", firewall.Mark, proxy.Mark)
	}
}

func firewallConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "paygate.yaml")
	if err := os.WriteFile(file, []byte("data_dir: data\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFirewallPrint(t *testing.T) {
	file := firewallConfig(t, "listen: {peers: ':16881', redirect: ':17000'}\nclient: {address: 127.0.0.1:6881, api: {url: 'http://127.0.0.1:9091'}}\n")
	for _, c := range []struct {
		args []string
		want []string // in what is printed
	}{
		{[]string{"--user", "4242"}, []string{
			"meta skuid 4242 goto", "dnat ip6 to ip6 saddr:17000", "dport 6881 redirect to :16881", "tcp sport 9091 ct", "uidrange 4242-4242",
		}},
		{[]string{"--user", "4242", "--dns", "192.0.2.5,2001:db8::5"}, []string{"ip daddr { 192.0.2.5 } udp", "ip6 daddr { 2001:db8::5 } udp"}},
		{[]string{"--cgroup", "/sys/fs/cgroup/a.slice/b.service"}, []string{`socket cgroupv2 level 2 "a.slice/b.service"`}},
		{[]string{"--gateway", "--client-if", "veth0"}, []string{`iifname "veth0" fib`, `iifname != "veth0" fib`}},
	} {
		got := runIn(t, t.TempDir(), append([]string{"firewall", "print", "-c", file}, c.args...)...)
		if got.code != 0 || got.stderr != "" {
			t.Errorf("%q: %+v", c.args, got)
		}
		for _, want := range c.want {
			if !strings.Contains(got.stdout, want) {
				t.Errorf("%q: no %q in\n%s", c.args, want, got.stdout)
			}
		}
	}
}

func TestFirewallSaysWhatIsWrong(t *testing.T) {
	file := firewallConfig(t, "listen: {redirect: ':17000'}\n")
	several := firewallConfig(t, "clients:\n  - {name: films, listen: {redirect: ':17000'}}\n  - {name: books, listen: {redirect: ':17001'}}\n")
	for _, c := range []struct {
		file, want string
		args       []string
	}{
		{file, "say where the client is: --user NAME, --cgroup PATH or --client-if IF", nil},
		{file, "choose one form", []string{"--user", "7", "--client-if", "a"}},
		{file, `there is no user "nobody-at-all"`, []string{"--user", "nobody-at-all"}},
		{file, "must not run as root", []string{"--user", "0"}},
		{file, "--dns x: not an IP address", []string{"--user", "7", "--dns", "x"}},
		{file, "name both", []string{"--user", "7", "--peers-if", "eth0"}},
		{firewallConfig(t, "listen: {socks5: '127.0.0.1:1'}\n"), "listen.redirect is not set", []string{"--user", "7"}},
		{several, "say which client is meant with --client: films, books", []string{"--user", "7"}},
		{several, "films, books", []string{"--user", "7", "--client", "music"}},
	} {
		got := runIn(t, t.TempDir(), append([]string{"firewall", "print", "-c", c.file}, c.args...)...)
		if got.code != exitConfiguration || !strings.Contains(got.stderr, c.want) || got.stdout != "" {
			t.Errorf("%q: %+v, want %q", c.args, got, c.want)
		}
	}
	got := runIn(t, t.TempDir(), "firewall", "print", "-c", several, "--client", "books", "--user", "7")
	if got.code != 0 || !strings.Contains(got.stdout, "table inet paygate-books {") || !strings.Contains(got.stdout, "pref 28776") {
		t.Errorf("of several: %+v", got)
	}
}

func TestFirewallOptionsOfAConfiguration(t *testing.T) {
	c := &config.Config{
		Listen: config.Listen{Peers: "0.0.0.0:1", Redirect: "[::]:2", TProxy: ":3"},
		Client: config.Client{Address: "10.0.0.1:4", IPv6: "[::1]:5", Source: "peer", API: config.API{URL: "https://box.example"}},
	}
	got := firewallOptions(c, c)
	if got.Peers != 1 || got.Redirect != 2 || got.TProxy != 3 || got.Client.Port() != 4 || got.ClientV6.Port() != 5 || !got.FromPeer || got.Web != 443 || got.Name != "" {
		t.Errorf("%+v", got)
	}
	c.Listen.Peers, c.Client.Address = "192.0.2.1:1", "client.example:4"
	if got := firewallOptions(c, c); got.Peers != 0 || got.Client.IsValid() {
		t.Errorf("%+v", got)
	}
}

func TestSystemResolvers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	text := "# comment\nnameserver 192.0.2.53\nnameserver\t2001:db8::53\nnameserver 127.0.0.53\nnameserver x\nsearch example\nnameserver\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")}
	if got := systemResolvers(file); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if got := systemResolvers(file + "x"); got != nil {
		t.Errorf("%v", got)
	}
}
