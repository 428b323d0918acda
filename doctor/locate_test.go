package doctor

import (
	"net/netip"
	"strings"
	"testing"

	"paygate/client"
	"paygate/config"
)

// asked is a configuration with nothing but the client's address.
func asked(change func(*config.Config)) *config.Config {
	c := &config.Config{Client: config.Client{API: config.API{URL: "http://127.0.0.1:8080"}}}
	if change != nil {
		change(c)
	}
	return c
}

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestLocate(t *testing.T) {
	home := addrs("127.0.0.1", "::1", "2001:db8::1", "fe80::1", "fd00::1", "192.0.2.1", "10.0.0.5")
	loopback := client.Settings{Kind: client.QBittorrent, Version: "4.5.2", ListenPort: 6881, BindKnown: true, BindAddress: "127.0.0.1", TCP: true}
	with := func(change func(*client.Settings)) client.Settings {
		s := loopback
		change(&s)
		return s
	}
	for _, tt := range []struct {
		name string
		c    *config.Config
		s    client.Settings
		own  []netip.Addr
		want Place
		why  string // a part of what is wrong
	}{
		{
			"bound to loopback", asked(nil), loopback, home,
			Place{"127.0.0.1:6881", "192.0.2.1:6881", []string{"10.0.0.5:6881", "[2001:db8::1]:6881"}, "", ""},
			"",
		},
		{
			"bound to another loopback address", asked(nil), with(func(s *client.Settings) { s.BindAddress = "127.0.5.9" }), addrs("192.0.2.1"),
			Place{Client: "127.0.5.9:6881", Peers: "192.0.2.1:6881"},
			"",
		},
		{"bound to none", asked(nil), with(func(s *client.Settings) { s.BindAddress = "" }), home, Place{}, "listens on this machine's public addresses, at port 6881"},
		{"bound to a public one", asked(nil), with(func(s *client.Settings) { s.BindAddress = "192.0.2.1" }), home, Place{}, "listens on this machine's public addresses"},
		{"who does not tell", asked(nil), client.Settings{Kind: client.Transmission, ListenPort: 7}, addrs("192.0.2.1"), Place{Client: "127.0.0.1:7", Peers: "192.0.2.1:7"}, ""},
		{
			"that announces another port", asked(nil), with(func(s *client.Settings) { s.BindAddress, s.AnnouncePort = "", 7000 }), home,
			Place{Client: "127.0.0.1:6881", Peers: "0.0.0.0:7000"},
			"",
		},
		{"on a machine without addresses", asked(nil), loopback, addrs("127.0.0.1", "::1"), Place{}, "no address but loopback ones"},
		{"without a port", asked(nil), with(func(s *client.Settings) { s.ListenPort = 0 }), home, Place{}, "does not say at which port"},
		{
			"behind our SOCKS5", asked(nil), with(func(s *client.Settings) {
				s.Proxy = client.Proxy{Kind: "socks5", Address: "127.0.0.1:1080", Peers: true}
			}), home,
			Place{SOCKS5: "127.0.0.1:1080"},
			"",
		},
		{
			"behind another's SOCKS5", asked(nil), with(func(s *client.Settings) {
				s.Proxy = client.Proxy{Kind: "socks5", Address: "198.51.100.7:1080", Peers: true}
			}), home,
			Place{},
			"through the proxy 198.51.100.7:1080",
		},
		{
			"with trackers alone behind a proxy", asked(nil),
			with(func(s *client.Settings) { s.Proxy = client.Proxy{Kind: "socks5", Address: "127.0.0.1:1080"} }), addrs("192.0.2.1"),
			Place{Client: "127.0.0.1:6881", Peers: "192.0.2.1:6881"},
			"",
		},
		{
			"with a public port in the file", asked(func(c *config.Config) { c.Listen.Peers = "192.0.2.1:9" }), with(func(s *client.Settings) { s.BindAddress = "" }), home,
			Place{Client: "127.0.0.1:6881", Peers: "192.0.2.1:9"},
			"",
		},
		{
			"on another machine", asked(func(c *config.Config) { c.Client.API.URL, c.Listen.Peers = "http://192.0.2.9:8080", ":9" }), with(func(s *client.Settings) { s.BindAddress = "" }), home,
			Place{Client: "192.0.2.9:6881", Peers: ":9"},
			"",
		},
	} {
		got, why := Locate(tt.c, tt.s, tt.own)
		if tt.why != "" {
			if why == nil || !strings.Contains(why.Text, tt.why) || why.Remedy == "" || why.Verdict != Fail {
				t.Errorf("%s: %+v", tt.name, why)
			}
			continue
		}
		got.How = ""
		if why != nil || got.Client != tt.want.Client || got.Peers != tt.want.Peers || strings.Join(got.PeersToo, " ") != strings.Join(tt.want.PeersToo, " ") || got.SOCKS5 != tt.want.SOCKS5 {
			t.Errorf("%s: %+v, %+v", tt.name, got, why)
		}
	}
}

func TestLeftOut(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    *config.Config
		want bool
	}{
		{"nothing asked", &config.Config{Listen: config.Listen{Peers: ":1"}}, false},
		{"only the client", asked(nil), true},
		{"no address", asked(func(c *config.Config) { c.Listen.Peers = ":1" }), true},
		{"all there", asked(func(c *config.Config) { c.Listen.Peers, c.Client.Address = ":1", "127.0.0.1:2" }), false},
		{"a buyer", asked(func(c *config.Config) { c.Listen.SOCKS5 = "127.0.0.1:1080" }), false},
		{"dials", asked(func(c *config.Config) { c.Client.Dial = []config.Dial{{}} }), true},
	} {
		if got := LeftOut(tt.c); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
