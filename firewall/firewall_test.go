package firewall

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// forms are options whose scripts are kept in testdata.
var forms = map[string]Options{
	"user": {
		UID: 4242, Redirect: 17000, Peers: 16881, Client: netip.MustParseAddrPort("127.0.0.1:6881"),
		Resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53"), netip.MustParseAddr("192.0.2.54")},
		Web:       9091,
	},
	"user-peer": {
		UID: 4242, Redirect: 17000, TProxy: 17001, FromPeer: true,
		Client: netip.MustParseAddrPort("127.0.0.1:6881"), ClientV6: netip.MustParseAddrPort("[::1]:6881"),
	},
	"user-same-port": {UID: 4242, Redirect: 17000, Peers: 6881, Client: netip.MustParseAddrPort("127.0.0.1:6881"), NoIPv6: true},
	"user-buyer":     {UID: 4242, Redirect: 17000},
	"cgroup": {
		Cgroup: "system.slice/qbittorrent-nox@films.service", Redirect: 17000, Peers: 16881,
		Client: netip.MustParseAddrPort("127.0.0.1:51413"), Name: "films", Slot: 2,
	},
	"gateway": {
		ClientIf: "veth0", PeersIf: "eth0", Redirect: 17000, TProxy: 17001, FromPeer: true,
		Client: netip.MustParseAddrPort("10.98.0.2:6881"), ClientV6: netip.MustParseAddrPort("[fd00:98::2]:6881"),
	},
	"gateway-redirect": {ClientIf: "veth0", Redirect: 17000, Peers: 16881, Client: netip.MustParseAddrPort("10.98.0.2:6881")},
	"gateway-tproxy":   {ClientIf: "veth0", PeersIf: "eth0", TProxy: 17001, Client: netip.MustParseAddrPort("10.98.0.2:6881")},
}

func TestGolden(t *testing.T) {
	for name, o := range forms {
		p, err := New(o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		path := filepath.Join("testdata", name+".sh")
		if *update {
			if err := os.WriteFile(path, []byte(p.Script()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Script(); got != string(want) {
			t.Errorf("%s: the script is not the one in %s (go test ./firewall -update):\n%s", name, path, got)
		}
	}
}

// TestBraces holds what nft 1.0 wants: a closing brace of a block has a line of its own.
func TestBraces(t *testing.T) {
	for name, o := range forms {
		p, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		depth := 0
		for line := range strings.Lines(p.transaction()) {
			code, _, _ := strings.Cut(strings.TrimSpace(line), "#")
			opens, closes := strings.Count(code, "{"), strings.Count(code, "}")
			if depth += opens - closes; closes > opens && code != "}" {
				t.Errorf("%s: %q", name, code)
			}
		}
		if depth != 0 {
			t.Errorf("%s: %d braces are open", name, depth)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	good := Options{UID: 1, Redirect: 1}
	change := func(f func(*Options)) Options {
		o := good
		f(&o)
		return o
	}
	for want, o := range map[string]Options{
		"choose one form":            {Redirect: 1},
		"one form":                   change(func(o *Options) { o.Cgroup = "a" }),
		"listen.redirect is not set": change(func(o *Options) { o.Redirect = 0 }),
		"neither listen.redirect nor listen.tproxy": {ClientIf: "a"},
		"is not the name of an interface":           {ClientIf: "a\"; drop", Redirect: 1},
		"eth0\nx\" is not the name":                 {ClientIf: "a", PeersIf: "eth0\nx", Redirect: 1},
		"cannot both be behind":                     {ClientIf: "a", PeersIf: "a", Redirect: 1},
		"not the path of a control group":           {Cgroup: `a" drop`, Redirect: 1},
		"goes with the client's":                    change(func(o *Options) { o.PeersIf = "a" }),
		"bind it to 127.0.0.1":                      change(func(o *Options) { o.FromPeer, o.Client = true, netip.MustParseAddrPort("192.0.2.1:1") }),
		"no name or place":                          change(func(o *Options) { o.Name = "a b" }),
		"or place":                                  change(func(o *Options) { o.Slot = maxSlots }),
	} {
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(want, "\n", `\n`)) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestCgroupPath(t *testing.T) {
	for in, want := range map[string]string{
		"/sys/fs/cgroup/system.slice/a.service": "system.slice/a.service", "/a/b/": "a/b", "a": "a", "": "",
	} {
		if got := CgroupPath(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
