package doctor

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"paygate/client"
	"paygate/config"
)

// Place is where paygate can stand in front of a client; addresses are host:port, empty: none.
type Place struct {
	Client   string   // where the client takes peers
	Peers    string   // where the swarm comes in
	PeersToo []string // and where else
	SOCKS5   string   // where the client dials through
	How      string   // why it works
}

// LeftOut reports whether the configuration of one client leaves it to the client where paygate is to stand.
func LeftOut(c *config.Config) bool {
	l := c.Listen
	switch {
	case !c.Client.Asked():
		return false
	case !l.Any() && len(c.Client.Dial) == 0:
		return true
	}
	return c.Client.Address == "" && (l.Peers != "" || l.TProxy != "" || len(c.Client.Dial) > 0 || c.Client.DialTrackers)
}

// Locate works out where to stand from what the configuration of one client says and, where it says nothing, from the
// client's own settings and this machine's addresses. Instead it may return a Finding that says what to set.
func Locate(c *config.Config, s client.Settings, own []netip.Addr) (Place, *Finding) {
	p := Place{Client: c.Client.Address, Peers: c.Listen.Peers, PeersToo: c.Listen.PeersToo, SOCKS5: c.Listen.SOCKS5, How: "as the configuration says"}
	alone := !c.Listen.Any() && len(c.Client.Dial) == 0
	if alone && s.Proxy.Kind == "socks5" && s.Proxy.Peers {
		return behindSOCKS5(p, s)
	}
	if s.ListenPort == 0 {
		f := fail(CheckClient, portRemedy(s), "the client does not say at which port it listens")
		return p, &f
	}
	if p.Client == "" {
		p.Client = join(clientHost(c, s), s.ListenPort)
	}
	if !alone {
		return p, nil
	}
	return inFront(p, s, own)
}

// behindSOCKS5 is for a client that dials its peers through a proxy, and then takes none itself.
func behindSOCKS5(p Place, s client.Settings) (Place, *Finding) {
	ap, err := netip.ParseAddrPort(s.Proxy.Address)
	if err != nil || !ap.Addr().IsLoopback() {
		f := fail(CheckClient, "set that proxy to 127.0.0.1, port 1080, which paygate then takes; or switch it off for peer connections",
			"the client sends its peer connections through the proxy %s, and takes none itself", s.Proxy.Address)
		return p, &f
	}
	p.SOCKS5, p.How = s.Proxy.Address, "the client makes its peer connections through this SOCKS5 proxy, and takes none"
	return p, nil
}

// inFront is for a client that takes peers.
func inFront(p Place, s client.Settings, own []netip.Addr) (Place, *Finding) {
	target, err := netip.ParseAddrPort(p.Client)
	if s.AnnouncePort != 0 && s.AnnouncePort != s.ListenPort {
		p.Peers, p.How = join(netip.IPv4Unspecified(), s.AnnouncePort), "the client announces this port"
		return p, nil
	}
	if err != nil || !target.Addr().IsLoopback() || s.BindKnown && s.BindAddress == "" {
		f := fail(CheckClient, setBind(s), "the client listens on this machine's public addresses, at port %d, which paygate needs", s.ListenPort)
		return p, &f
	}
	for _, a := range public(own) {
		if p.Peers == "" {
			p.Peers = join(a, s.ListenPort)
		} else {
			p.PeersToo = append(p.PeersToo, join(a, s.ListenPort))
		}
	}
	if p.Peers == "" {
		f := fail(CheckClient, "set listen.peers to the address at which the world reaches this machine", "this machine has no address but loopback ones")
		return p, &f
	}
	p.How = fmt.Sprintf("the client is bound to %s and announces this port", target.Addr())
	return p, nil
}

// clientHost is where the client listens, as far as it tells.
func clientHost(c *config.Config, s client.Settings) netip.Addr {
	local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if u, err := url.Parse(c.Client.API.URL); err == nil {
		if a, err := netip.ParseAddr(u.Hostname()); err == nil && !a.IsLoopback() && !a.IsUnspecified() {
			local = a
		}
	}
	if a, err := netip.ParseAddr(s.BindAddress); err == nil {
		return a
	}
	return local
}

// public are the addresses at which others may reach this machine, IPv4 first.
func public(own []netip.Addr) []netip.Addr {
	var list []netip.Addr
	for _, a := range own {
		a = a.Unmap()
		if a.IsGlobalUnicast() && (a.Is4() || !a.IsPrivate()) && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	slices.SortStableFunc(list, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	return list[:min(len(list), maxOwn)]
}

func join(a netip.Addr, port uint16) string { return netip.AddrPortFrom(a, port).String() }

// count says how many there are of something.
func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "s"):
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
