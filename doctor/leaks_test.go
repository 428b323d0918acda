package doctor

import (
	"context"
	"errors"
	"strings"
	"testing"

	"paygate/client"
	"paygate/config"
	"paygate/units"
)

// seller is a configuration of a seller, without what only matters elsewhere.
func seller() *config.Config {
	return &config.Config{
		Listen: config.Listen{Peers: "192.0.2.1:6881", SOCKS5: "127.0.0.1:1080"}, Client: config.Client{Address: "127.0.0.1:6881"},
		Limits: config.Limits{UnpaidPeers: 60}, Lightning: config.Lightning{Address: "127.0.0.1:10009"},
		Sell: config.Sell{Rules: []config.SellRule{{Any: true, Price: units.Price{Msat: 25_000, Per: units.GiB}, Min: 10_000, Max: 20_000}}},
	}
}

// good are the settings of a client of which nothing leaks.
func good() client.Settings {
	return client.Settings{
		Kind: client.QBittorrent, Version: "5.1.0", ListenPort: 6881, AnnouncePortOK: true, BindKnown: true, BindAddress: "127.0.0.1", TCP: true,
		SlotsKnown: true, MaxPeers: 500, LimitLAN: true, DHT: true, LSD: true, PEX: true, PortForwarding: true,
	}
}

func TestSettings(t *testing.T) {
	https := client.NewCatalog(trackers{})
	for _, tt := range []struct {
		name   string
		c      func(*config.Config)
		s      func(*client.Settings)
		view   client.View
		check  string // the only one that does not pass
		v      Verdict
		remedy string // a part of it
	}{
		{name: "well"},
		{name: "well, with its own announce", c: func(c *config.Config) { c.Listen.Peers = ":7000" }, s: func(s *client.Settings) { s.AnnouncePort = 7000 }},
		{"announces another port", func(c *config.Config) { c.Listen.PublicPort = 7000 }, nil, nil, CheckAnnounce, Fail, `Session\AnnouncePort=7000`},
		{
			"announces another port, older", func(c *config.Config) { c.Listen.PublicPort = 7000 }, func(s *client.Settings) { s.AnnouncePortOK, s.Version = false, "4.5.2" },
			nil, CheckAnnounce, Fail, `in qBittorrent 4.5.2: Options, Connection, Port used for incoming connections: 7000`,
		},
		{"random port", nil, func(s *client.Settings) { s.RandomPort = true }, nil, CheckAnnounce, Fail, "not random"},
		{
			"another port, announced through us", func(c *config.Config) { c.Listen.PublicPort = 7000 },
			func(s *client.Settings) { s.Proxy = client.Proxy{Kind: "socks5", Address: "127.0.0.1:1080"} }, nil, "", "", "",
		},
		{
			"through us, to https trackers", func(c *config.Config) { c.Listen.PublicPort = 7000 },
			func(s *client.Settings) { s.Proxy = client.Proxy{Kind: "socks5", Address: "127.0.0.1:1080"} }, https, CheckAnnounce, Warn, "Port reported to trackers: 7000",
		},
		{"uTP", nil, func(s *client.Settings) { s.UTP = true }, nil, CheckTransport, Fail, `Session\BTProtocol=TCP`},
		{"no TCP", nil, func(s *client.Settings) { s.TCP = false }, nil, CheckTransport, Fail, "Peer connection protocol: TCP"},
		{"direct", nil, func(s *client.Settings) { s.BindAddress = "" }, nil, CheckOutgoing, Fail, "SOCKS5 127.0.0.1:1080"},
		{
			"through our proxy", nil,
			func(s *client.Settings) {
				s.BindAddress, s.Proxy = "", client.Proxy{Kind: "socks5", Address: "127.0.0.1:1080", Peers: true}
			}, nil, "", "", "",
		},
		{
			"through another proxy", nil,
			func(s *client.Settings) {
				s.Proxy = client.Proxy{Kind: "socks5", Address: "127.0.0.1:9050", Peers: true}
			}, nil, CheckOutgoing, Fail, "InterfaceAddress",
		},
		{"redirected", func(c *config.Config) { c.Listen.Redirect = ":17000" }, func(s *client.Settings) { s.BindAddress = "" }, nil, "", "", ""},
		{"bind not told", nil, func(s *client.Settings) { s.BindKnown, s.BindAddress = false, "" }, nil, CheckOutgoing, Skip, ""},
		{"few slots", nil, func(s *client.Settings) { s.UploadSlots, s.SlotsPerTorrent = 20, 4 }, nil, CheckSlots, Warn, `Session\MaxUploads=-1`},
		{"slots not told", nil, func(s *client.Settings) { s.SlotsKnown = false }, nil, CheckSlots, Skip, ""},
		{"crowded", nil, func(s *client.Settings) { s.MaxPeers = 100 }, nil, CheckCrowd, Warn, "limits.unpaid_peers"},
		{"no limit on the LAN", nil, func(s *client.Settings) { s.LimitLAN = false }, nil, CheckLAN, Warn, "Apply rate limit to peers on LAN"},
	} {
		c, s := seller(), good()
		if tt.c != nil {
			tt.c(c)
		}
		if tt.s != nil {
			tt.s(&s)
		}
		for _, f := range Settings(c, s, tt.view) {
			want := Pass
			if f.Check == tt.check {
				want = tt.v
			}
			if f.Verdict != want || f.Check == tt.check && !strings.Contains(f.Remedy, tt.remedy) || (f.Verdict == Warn || f.Verdict == Fail) != (f.Remedy != "") {
				t.Errorf("%s: %+v", tt.name, f)
			}
		}
	}
}

// trackers is a View of one torrent with an https tracker.
type trackers struct{}

func (trackers) InfoHashes() []units.InfoHash { return []units.InfoHash{{1}, {2}} }
func (trackers) Torrent(ih units.InfoHash) (client.Torrent, bool) {
	urls := map[units.InfoHash][]string{{1}: {"udp://x", "HTTPS://y/passkey"}, {2}: {"http://x"}}
	return client.Torrent{Trackers: urls[ih]}, true
}

func TestGossip(t *testing.T) {
	for _, tt := range []struct {
		s     func(*client.Settings)
		v     Verdict
		reads string
	}{
		{func(*client.Settings) {}, Warn, "UPnP"},
		{func(s *client.Settings) { s.PortForwarding = false }, Warn, "local peer discovery"},
		{func(s *client.Settings) { s.PortForwarding, s.LSD = false, false }, Warn, "DHT"},
		{func(s *client.Settings) { s.PortForwarding, s.LSD, s.DHT = false, false, false }, Pass, ""},
		{func(s *client.Settings) { s.BindAddress = "127.0.0.1" }, Pass, ""},
		{func(s *client.Settings) { s.ListenPort = 7000 }, Pass, ""},
	} {
		c, s := seller(), good()
		c.Listen.PublicPort, s.BindAddress = 7000, ""
		tt.s(&s)
		if f := gossip(c, s); f.Verdict != tt.v || !strings.Contains(f.Text, tt.reads) {
			t.Errorf("%+v", f)
		}
	}
}

func TestSettingsOfWhoDoesNotSell(t *testing.T) {
	c, s := seller(), good()
	c.Sell.Rules, s.UTP, s.BindAddress = nil, true, ""
	if found := Settings(c, s, nil); len(found) != 1 || found[0].Check != CheckAnnounce {
		t.Errorf("%+v", found)
	}
	if found := Settings(seller(), client.Settings{}, nil); found != nil {
		t.Errorf("of a client that was not asked: %+v", found)
	}
}

func TestTransmissionsRemediesNameItsOwnKeys(t *testing.T) {
	s := good()
	s.Kind, s.Version, s.AnnouncePortOK = client.Transmission, "4.0.5", false
	for text, want := range map[string]string{
		setBind(s): `"bind-address-ipv4": "127.0.0.1" and "bind-address-ipv6": "::1"`, utpOff(s): `"utp-enabled": false`, slotsRemedy(s): `"upload-slots-per-torrent"`,
		fixPort(s): `"peer-port-random-on-start": false`, portRemedy(s): `"peer-port"`, announceRemedy(s, 7): `"peer-port": 7`, peersRemedy(s): `"peer-limit-global"`,
		lsdRemedy(s): `"lpd-enabled"`, dhtRemedy(s): `"dht-enabled"`, forwardingRemedy(s): `"port-forwarding-enabled"`, outgoingRemedy(s, ""): "paygate firewall",
	} {
		if !strings.Contains(text, want) || !strings.HasPrefix(text, "in Transmission 4.0.5: stop it") || !strings.Contains(text, "settings.json") {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}

// mute is a Client that answers with an error, or tells nothing.
type mute struct {
	*client.Static
	err error
}

func (m mute) Ask(context.Context) error         { return m.err }
func (m mute) Settings() (client.Settings, bool) { return good(), m.err == nil }

func TestAPI(t *testing.T) {
	for _, tt := range []struct {
		err  error
		v    Verdict
		text string
	}{
		{nil, Pass, "qBittorrent 5.1.0 tells its settings and 1 info-hashes"},
		{&client.Problem{Trouble: client.Refused, Text: "it refuses", Remedy: "correct it"}, Fail, "wrong password (it refuses)"},
		{&client.Problem{Trouble: client.Away, Text: "nobody", Remedy: "start it"}, Fail, "away (nobody)"},
		{errors.New("cut off"), Fail, "cut off"},
	} {
		_, f := api(t.Context(), mute{client.NewStatic([]units.InfoHash{{1}}), tt.err})
		is(t, tt.text, f, tt.v, tt.text)
	}
}
