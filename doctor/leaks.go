package doctor

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"paygate/client"
	"paygate/config"
)

// Client is one BitTorrent client that can be asked. *client.Watcher is one.
type Client interface {
	client.View
	Ask(ctx context.Context) error
	Settings() (client.Settings, bool)
}

// api asks the client, and says whether that works. A client that is not configured says nothing.
func api(ctx context.Context, asked Client) (client.Settings, Finding) {
	if err := asked.Ask(ctx); err != nil {
		var p *client.Problem
		if errors.As(err, &p) {
			return client.Settings{}, fail(CheckAPI, p.Remedy, "%s (%v)", p.Trouble, p)
		}
		return client.Settings{}, fail(CheckAPI, "try again", "%v", err)
	}
	s, _ := asked.Settings()
	return s, pass(CheckAPI, "%s %s tells its settings and %d info-hashes", s.Kind, s.Version, len(asked.InfoHashes()))
}

// Settings judges what a client says of itself against the configuration of that client alone. It does so for clients
// that can be asked, whose Kind is not empty.
func Settings(c *config.Config, s client.Settings, view client.View) []Finding {
	if s.Kind == "" {
		return nil
	}
	var found []Finding
	if c.Listen.Peers != "" {
		found = append(found, announced(c, s, view))
	}
	if !sells(c) {
		return found
	}
	return append(found, transport(c, s), outgoing(c, s), slots(s), crowd(c, s), gossip(c, s), lan(s))
}

// publicPortOf is the port that the swarm has to learn; 0 if it is not known before paygate listens.
func publicPortOf(c *config.Config) uint16 {
	if c.Listen.PublicPort != 0 {
		return c.Listen.PublicPort
	}
	return portOf(c.Listen.Peers)
}

func portOf(address string) uint16 {
	i := strings.LastIndexByte(address, ':')
	ap, err := netip.ParseAddrPort("0.0.0.0" + address[max(i, 0):])
	if err != nil {
		return 0
	}
	return ap.Port()
}

// announced compares the port that the client tells trackers with the one that the swarm has to learn.
func announced(c *config.Config, s client.Settings, view client.View) Finding {
	want, told := publicPortOf(c), s.ListenPort
	if s.AnnouncePort != 0 {
		told = s.AnnouncePort
	}
	through := throughPaygate(c, s)
	switch {
	case want == 0:
		return skip(CheckAnnounce, "the public port is not fixed")
	case through && secureTrackers(view) > 0:
		return warn(CheckAnnounce, announceRemedy(s, want),
			"announces pass through paygate, which tells port %d, but not those to https trackers (%d torrents), which hear %d", want, secureTrackers(view), told)
	case through:
		return pass(CheckAnnounce, "announces pass through paygate, which tells port %d", want)
	case c.Client.DialTrackers && told != want:
		return skip(CheckAnnounce, "announces tell port %d if they pass through %s (http_proxy in the client's environment), else %d: the client does not say",
			want, c.Listen.HTTP, told)
	case s.RandomPort && s.AnnouncePort == 0:
		return fail(CheckAnnounce, fixPort(s), "the client takes another port at each start, and announces that instead of %d", want)
	case told != want:
		return fail(CheckAnnounce, announceRemedy(s, want), "the client announces port %d, but the swarm reaches paygate at %d", told, want)
	}
	return pass(CheckAnnounce, "the client announces port %d, where paygate is", want)
}

// throughPaygate reports whether the client speaks with trackers through paygate.
func throughPaygate(c *config.Config, s client.Settings) bool {
	return c.Listen.Redirect != "" || c.Listen.TProxy != "" || s.Proxy.Kind != "" && isOurs(c, s.Proxy.Address)
}

// isOurs reports whether an address is that of one of paygate's proxies.
func isOurs(c *config.Config, proxy string) bool {
	return sameListener(proxy, c.Listen.SOCKS5) || sameListener(proxy, c.Listen.HTTP)
}

// sameListener reports whether an address that a client connects to is one on which paygate listens.
func sameListener(to, listener string) bool {
	if listener == "" || portOf(to) != portOf(listener) {
		return false
	}
	ap, err := netip.ParseAddrPort(to)
	return err != nil || covers(listener, ap)
}

// secureTrackers counts the torrents that have a tracker whose announces nobody can read on their way.
func secureTrackers(view client.View) (n int) {
	if view == nil {
		return 0
	}
	for _, h := range view.InfoHashes() {
		t, _ := view.Torrent(h)
		for _, u := range t.Trackers {
			if strings.HasPrefix(strings.ToLower(u), "https:") {
				n++
				break
			}
		}
	}
	return n
}

func transport(c *config.Config, s client.Settings) Finding {
	switch {
	case !s.TCP:
		return fail(CheckTransport, utpOff(s), "the client takes no TCP, which is all that paygate passes on")
	case s.UTP && (c.Listen.Redirect != "" || c.Listen.TProxy != ""):
		return pass(CheckTransport, "uTP is on in the client, and the firewall lets none of it out, if it is set up: paygate firewall")
	case s.UTP:
		return fail(CheckTransport, utpOff(s), "uTP is on in the client: over it peers walk around paygate")
	}
	return pass(CheckTransport, "uTP is off in the client")
}

// outgoing judges by the settings whether the client's own connections to peers can leave without paygate.
func outgoing(c *config.Config, s client.Settings) Finding {
	bind, err := netip.ParseAddr(s.BindAddress)
	switch {
	case c.Listen.Redirect != "" || c.Listen.TProxy != "":
		return pass(CheckOutgoing, "the firewall brings the client's connections to paygate, if it is set up: paygate firewall")
	case s.Proxy.Kind != "" && s.Proxy.Peers && isOurs(c, s.Proxy.Address):
		return pass(CheckOutgoing, "the client makes its connections to peers through paygate")
	case s.Proxy.Kind != "" && s.Proxy.Peers:
		return fail(CheckOutgoing, outgoingRemedy(s, c.Listen.SOCKS5), "the client makes its connections to peers through another proxy, %s", s.Proxy.Address)
	case err == nil && bind.IsLoopback():
		return pass(CheckOutgoing, "the client is bound to %s, from where no connection leaves this machine", bind)
	case !s.BindKnown:
		return skip(CheckOutgoing, "the client does not say to which address it is bound")
	}
	return fail(CheckOutgoing, outgoingRemedy(s, c.Listen.SOCKS5), "the client makes its connections to peers itself, past paygate")
}

// slots: the client's choker does not know who pays.
func slots(s client.Settings) Finding {
	const enough = 100
	switch {
	case !s.SlotsKnown:
		return skip(CheckSlots, "the client does not say how many upload slots it has; %s", slotsRemedy(s))
	case s.UploadSlots > 0 && s.UploadSlots < enough, s.SlotsPerTorrent > 0 && s.SlotsPerTorrent < enough:
		return warn(CheckSlots, slotsRemedy(s), "the client serves at most %s at once, and chooses them without knowing who pays", slotsText(s))
	}
	return pass(CheckSlots, "the client's upload slots suffice")
}

func slotsText(s client.Settings) string {
	var parts []string
	if s.UploadSlots > 0 {
		parts = append(parts, count(s.UploadSlots, "peer")+" in all")
	}
	if s.SlotsPerTorrent > 0 {
		parts = append(parts, count(s.SlotsPerTorrent, "peer")+" per torrent")
	}
	return strings.Join(parts, ", ")
}

// crowd: peers that have not paid must leave room for those that have.
func crowd(c *config.Config, s client.Settings) Finding {
	if s.MaxPeers == 0 || 3*c.Limits.UnpaidPeers <= s.MaxPeers {
		return pass(CheckCrowd, "unpaid peers (limits.unpaid_peers, %d) leave the client room", c.Limits.UnpaidPeers)
	}
	return warn(CheckCrowd, peersRemedy(s), "the client takes %s, of which %d may be unpaid (limits.unpaid_peers): more than a third",
		count(s.MaxPeers, "connection"), c.Limits.UnpaidPeers)
}

// gossip looks at the other ways in which others hear of the client. What is bound to loopback tells nobody, and a port
// that is paygate's own may be told to anybody.
func gossip(c *config.Config, s client.Settings) Finding {
	bind, err := netip.ParseAddr(s.BindAddress)
	want := publicPortOf(c)
	switch {
	case err == nil && bind.IsLoopback() || want != 0 && s.ListenPort == want:
		return pass(CheckGossip, "nobody hears of a port of the client's own")
	case s.PortForwarding:
		return warn(CheckGossip, forwardingRemedy(s), "the client asks the router to open port %d to itself (UPnP, NAT-PMP)", s.ListenPort)
	case s.LSD:
		return warn(CheckGossip, lsdRemedy(s), "the client tells the local network its own port, %d (local peer discovery)", s.ListenPort)
	case s.DHT:
		return warn(CheckGossip, dhtRemedy(s), "the client tells the DHT its own port, %d", s.ListenPort)
	}
	return pass(CheckGossip, "nobody hears of a port of the client's own")
}

// lan: to libtorrent, peers that come from loopback aliases are on the local network.
func lan(s client.Settings) Finding {
	if s.Kind == client.QBittorrent && !s.LimitLAN {
		return warn(CheckLAN, lanRemedy(s), "the client's rate limits do not hold for peers that come through paygate: it takes them for the local network")
	}
	return pass(CheckLAN, "the client's rate limits hold for peers that come through paygate")
}
