package matrix

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"paygate/test/clients"
	"paygate/test/scenario"
)

// seat is one party: a client behind a paygate of its own.
type seat struct {
	role   role
	client clients.Client
	gate   *scenario.Gate
	public netip.AddrPort // where the swarm reaches it
}

// plan is what a seat is made of.
type plan struct {
	name       string // of its directory, and by which the tracker knows it
	kind       clients.Kind
	role       role
	way        way
	encryption clients.Encryption // of the client, and of its paygate towards peers; Default: both as they come
	at, behind *place             // of paygate and of the client
	ipv6       bool               // the family that the swarm reaches it by
}

// owner is the user that clients run as where paygate's firewall rule goes by user.
const owner = 4242

// sit starts a client and its paygate. Both end with the test.
func (m *match) sit(ctx context.Context, p plan) (*seat, error) {
	s := &seat{role: p.role, public: netip.AddrPortFrom(p.at.address(p.ipv6), port(m.t))}
	spec, config := m.arrange(p, s.public)
	var err error
	s.client, err = clients.Launch(ctx, p.kind, spec)
	if err != nil {
		output, _ := os.ReadFile(filepath.Join(spec.Dir, "output.log"))
		return nil, fmt.Errorf("%w\n%s", err, output[max(0, len(output)-1000):])
	}
	m.t.Cleanup(s.client.Close)
	if err := m.terms(ctx, p.role, config); err != nil {
		return nil, err
	}
	m.introduce(s.client, p, config)
	dir := filepath.Join(m.dir, p.name+"-gate")
	s.gate, err = scenario.StartGateIn(ctx, p.at.namespace, m.programs.Paygate, dir, config)
	if err != nil {
		return nil, fmt.Errorf("paygate of %s: %w", p.name, err)
	}
	m.t.Cleanup(func() { m.stop(p.name, s.gate) })
	m.firewall(p, s.gate.ConfigFile())
	return s, nil
}

// firewall applies the rules, as the owner would. They go away with the namespace.
func (m *match) firewall(p plan, config string) {
	var form []string
	switch p.way {
	case redirect:
		form = []string{"--user", strconv.Itoa(owner)}
	case gateway:
		form = []string{"--client-if", clientInterface, "--peers-if", worldInterface}
	default:
		return
	}
	// What paygate writes down of it is for the whole machine: this one has many at once.
	const apart = `mkdir -p /run/paygate; mount -t tmpfs tmpfs /run/paygate; exec "$@"`
	p.at.run(append([]string{
		"unshare", "--mount", "--", "sh", "-ec", apart, "sh", m.programs.Paygate, "firewall", "apply", "-c", config,
	}, form...)...)
}

// stop ends a paygate in good order, and fails the test if that does not go well or its log tells of a defect.
func (m *match) stop(name string, g *scenario.Gate) {
	if err := g.Stop(); err != nil {
		m.t.Errorf("paygate of %s: %v", name, err)
	}
	if err := g.CheckLog(); err != nil {
		m.t.Errorf("paygate of %s: %v", name, err)
	}
}

// arrange decides how client and paygate are set up, as docs/clients.md tells their owner to.
func (m *match) arrange(p plan, public netip.AddrPort) (clients.Spec, scenario.Options) {
	spec := clients.Spec{
		Dir: filepath.Join(m.dir, p.name), Encryption: p.encryption, Namespace: p.behind.namespace, IPv6: p.ipv6,
		Listen: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port(m.t)),
	}
	if p.behind.namespace == "" {
		spec.Listen = netip.AddrPortFrom(p.behind.v4, spec.Listen.Port())
	}
	if p.kind == clients.Anacrolix {
		spec.Program = m.programs.Anacrolix
	}
	listen, client := scenario.Options{}, scenario.Options{"address": spec.Listen.String()}
	config := scenario.Options{"listen": listen, "client": client, "limits": scenario.Options{"drain_timeout": "1 s"}}
	if p.encryption != clients.Default {
		config["encryption"] = scenario.Options{"peers": peersEncryption[p.encryption]}
	}
	proxy := netip.AddrPortFrom(spec.Listen.Addr(), port(m.t)).String()
	switch p.way {
	case inbound:
		listen["peers"] = public.String()
		// Its sockets on loopback cannot leave the machine, not even to a tracker; and paygate hears what it announces.
		listen[trackerProxy(p.kind)], spec.Tracker = proxy, proxy
	case socks5:
		listen["socks5"], spec.SOCKS5 = proxy, proxy
		delete(client, "address") // it has no listener
	case connect:
		listen["peers"], listen["http"] = public.String(), proxy
		spec.HTTP, spec.Tracker = proxy, proxy
	case trackers:
		listen["peers"], listen["http"] = public.String(), proxy
		client["dial_trackers"], spec.Tracker = true, proxy
	case redirect:
		spec.Everywhere, spec.User = true, owner
		listen["redirect"] = fmt.Sprintf(":%d", port(m.t))
		listen["peers"] = fmt.Sprintf(":%d", public.Port())
	case gateway:
		spec.Everywhere = true
		spec.Listen = netip.AddrPortFrom(netip.IPv4Unspecified(), public.Port()) // seen from outside, they are one
		listen["tproxy"] = fmt.Sprintf(":%d", port(m.t))
		client["source"] = "peer"
		client["address"] = netip.AddrPortFrom(p.behind.v4, public.Port()).String()
		client["address_ipv6"] = netip.AddrPortFrom(p.behind.v6, public.Port()).String()
	}
	return spec, config
}

// introduce tells paygate which torrents the client has: by its interface, or by name where there is none that can be
// reached. It has to know, to take encrypted connections that the client opens.
func (m *match) introduce(c clients.Client, p plan, config scenario.Options) {
	client := config["client"].(scenario.Options)
	if c.API() != "" && p.at == p.behind {
		client["api"] = scenario.Options{"url": "http://" + c.API()}
	} else {
		client["info_hashes"] = []string{m.torrent.InfoHash.String()}
	}
}

// peersEncryption is what paygate of the party under test is told about the connection to the other one, whose paygate
// takes what comes. What the client wants of its own connection, paygate finds out by itself.
var peersEncryption = map[clients.Encryption]string{
	clients.Plain: "off", clients.Prefer: "prefer", clients.Require: "require",
}

// trackerProxy is which of paygate's proxies a client can send its announces through, and nothing else.
func trackerProxy(kind clients.Kind) string {
	if kind.TakesSOCKS5() {
		return "socks5"
	}
	return "http"
}

// terms adds what is sold or bought, and the Lightning node.
func (m *match) terms(ctx context.Context, r role, config scenario.Options) error {
	torrents := []string{m.torrent.InfoHash.String()}
	node := m.lightning.Buyer
	if r == sells {
		node = m.lightning.Seller
		config["sell"] = scenario.Options{"rules": []scenario.Options{{
			"name": "matrix", "torrents": torrents, "rights": "own", "price": price, "sample": "256 KiB", "min": "1 sat", "max": "5 sat",
		}}}
	} else {
		config["buy"] = scenario.Options{
			"per_torrent": "1000 sat", "per_day": "1000 sat", "total": "1000 sat", "min": "1 sat", "max": "5 sat",
			"rules": []scenario.Options{{"name": "matrix", "torrents": torrents, "max_price": price}},
		}
	}
	section, err := node.Options(ctx)
	config["lightning"] = section
	return err
}
