package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// check reports what must hold between options. A relation is looked at only when all its sides could be read, so
// that one mistake is told once.
func (p *parser) check(c *Config) {
	p.checkFronts(c)
	p.checkLimits(c)
	p.checkLightning(c)
	p.checkSell(c)
	p.checkBuy(c)
	p.checkOwnMode(c)
}

// given reports whether the file has an option. Paths here and below are relative to p.group.
func (p *parser) given(path string) bool { _, ok := p.places[under(p.group, path)]; return ok }

// sound reports whether nothing is wrong at these paths or below them.
func (p *parser) sound(paths ...string) bool {
	return !slices.ContainsFunc(paths, func(path string) bool { return p.unsound[under(p.group, path)] })
}

// isBroken reports whether a group of options is something else in the file.
func (p *parser) isBroken(group string) bool { return p.broken[under(p.group, group)] }

func under(group, path string) string {
	if path == "" {
		return group
	}
	return join(group, path)
}

// wrong reports a problem at a path, or at the closest group around it that the file mentions.
func (p *parser) wrong(path, message, remedy string) { p.add(path, message, remedy, false) }

func (p *parser) note(path, message, remedy string) { p.add(path, message, remedy, true) }

func (p *parser) add(path, message, remedy string, note bool) {
	path = under(p.group, path)
	pr := Problem{File: p.name, Path: path, Message: message, Remedy: remedy, Note: note}
	for at := path; at != "" && pr.Line == 0; at = parent(at) {
		if s, ok := p.places[at]; ok {
			pr.Line, pr.Column = s.key.Line, s.key.Column
		}
	}
	p.tell(pr)
}

func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

// required reports options that the file lacks.
func (p *parser) required(group, why string, keys ...string) {
	for _, k := range keys {
		if path := join(group, k); !p.given(path) && p.sound(path) && !p.isBroken(group) {
			p.wrong(path, "is missing", why)
		}
	}
}

func (p *parser) checkListen(c *Config) {
	l := c.Listen
	if !l.Any() && len(c.Client.Dial) == 0 && !c.Client.Asked() && !p.isBroken("") && p.sound("listen", "client.dial", "client.api") {
		p.wrong("listen", "nothing to do: no connection can come in and none is dialled",
			`set client.api.url to your client's web interface, listen.peers to the public BitTorrent port, such as "0.0.0.0:6881", listen.socks5 or client.dial`)
	}
	if l.PublicPort != 0 && l.Peers == "" && l.TProxy == "" && p.sound("listen.peers", "listen.tproxy") {
		p.note("listen.public_port", "is told to the swarm, but nobody answers there without listen.peers", "remove it or set listen.peers")
	}
	p.checkOwnPorts(l)
	p.checkProxies(l)
}

// checkOwnPorts reports addresses that paygate would listen on twice.
func (p *parser) checkOwnPorts(l Listen) {
	own := l.addresses()
	for i, a := range own {
		for _, b := range own[:i] {
			if conflict(a.address, b.address) {
				p.wrong("listen."+a.path, "takes the same address as listen."+b.path, "choose another port")
			}
		}
	}
}

func (p *parser) checkProxies(l Listen) {
	user, password := l.SOCKS5User != "", l.SOCKS5Password != ""
	if !p.sound("listen.socks5", "listen.http", "listen.socks5_user", "listen.socks5_password") {
		return
	}
	switch {
	case user != password:
		p.wrong("listen.socks5_user", "user and password go together",
			"set both of socks5_user and socks5_password, or neither; the password may come from "+variableName(under(p.group, "listen.socks5_password")))
	case l.SOCKS5 == "" && l.HTTP == "" && user:
		p.note("listen.socks5_user", "has no effect without listen.socks5 and listen.http", "remove it or set one of them")
	}
	for _, proxy := range []taken{{"socks5", l.SOCKS5}, {"http", l.HTTP}} {
		if proxy.address != "" && user == password && !user && !isLoopback(proxy.address) {
			p.wrong("listen."+proxy.path, "would be an open proxy: other machines can reach it and no password is set",
				"listen on 127.0.0.1, or set socks5_user and socks5_password")
		}
	}
}

func isLoopback(address string) bool { ip, _ := hostIP(address); return ip.IsLoopback() }

// conflict reports whether two addresses cannot both be listened on.
func conflict(a, b string) bool {
	ipA, portA := hostIP(a)
	ipB, portB := hostIP(b)
	if !ipA.IsValid() || !ipB.IsValid() || portA != portB || portA == "0" {
		return false
	}
	return ipA == ipB || takesAll(ipA, ipB) || takesAll(ipB, ipA)
}

// takesAll reports whether listening on a takes b too: 0.0.0.0 stands for IPv4, [::] for both.
func takesAll(a, b netip.Addr) bool { return a.IsUnspecified() && (a.Is6() || b.Is4()) }

func (p *parser) checkClient(c *Config) {
	p.checkAPI(c.Client.API)
	needed := c.Listen.Peers != "" || c.Listen.TProxy != "" || len(c.Client.Dial) > 0 || c.Client.DialTrackers
	if needed && !c.Client.Asked() && p.sound("client.api") {
		p.required("client", `tell where the client listens for peers, such as "127.0.0.1:6881"`, "address")
	}
	address := c.Client.Address
	if ip, _ := hostIP(address); address != "" && ip.IsValid() && !ip.IsLoopback() && c.Client.Source == "alias" {
		p.note("client.address", "each peer reaches the client from a loopback address of its own, so the client must run on this machine",
			"if it does, let it listen on 127.0.0.1; if it lives in a network namespace, set client.source to peer (docs/firewall.md)")
	} else if address != "" && conflict(address, c.Listen.Peers) {
		p.wrong("client.address", "is the address that paygate itself listens on (listen.peers)",
			"let the client listen on 127.0.0.1 and give listen.peers the machine's own address, or choose another port")
	}
	p.checkSource(c.Client)
	if c.Client.DialTrackers && c.Listen.HTTP == "" && p.sound("listen.http") {
		p.wrong("client.dial_trackers", "needs the answers of the trackers", `set listen.http, such as "127.0.0.1:8118", and let the client use it (http_proxy in its environment)`)
	}
	for i, d := range c.Client.Dial {
		group := fmt.Sprintf("client.dial[%d]", i)
		p.required(group, "name the torrent by its info-hash", "info_hash")
		if len(d.Peers) == 0 && p.sound(group+".peers") && !p.isBroken(group) {
			p.wrong(group+".peers", "names no peer", "list at least one host:port")
		}
	}
}

// checkSource looks at how the client is reached.
func (p *parser) checkSource(c Client) {
	if c.IPv6 == "" || !p.sound("client.address_ipv6") {
		return
	}
	if ip, _ := hostIP(c.IPv6); !ip.Is6() {
		p.wrong("client.address_ipv6", clip(c.IPv6)+" is not an IPv6 address and a port", `write it as "[fd00:98::2]:6881"`)
	} else if c.Source != "peer" {
		p.note("client.address_ipv6", "has no effect unless client.source is peer", "remove it, or set client.source to peer")
	}
}

func (p *parser) checkLimits(c *Config) {
	l := &c.Limits
	p.ordered("limits.per_address", &l.PerAddress, "limits.connections", l.Connections)
	p.ordered("limits.handshakes", &l.Handshakes, "limits.connections", l.Connections)
	p.ordered("limits.unpaid_peers", &l.UnpaidPeers, "limits.connections", l.Connections)
	p.ordered("limits.unpaid_slots", &l.UnpaidSlots, "limits.unpaid_peers", l.UnpaidPeers)
}

// ordered reports a limit above the one that bounds it. A default that is above is no mistake: it gives way.
func (p *parser) ordered(low string, value *int, high string, bound int) {
	if *value <= bound || !p.sound(low, high) {
		return
	}
	if p.given(low) {
		p.wrong(low, fmt.Sprintf("%d is more than %s, %d", *value, high, bound), "lower it, or raise "+high)
		return
	}
	*value = bound
}

func (p *parser) checkLightning(c *Config) {
	p.takeConnection(&c.Lightning)
	l := c.Lightning
	if p.connection != nil || !p.sound("lightning.lndconnect") {
		return
	}
	if !l.Enabled() {
		if p.given("lightning.tls_cert") || p.given("lightning.macaroon") {
			p.required("lightning", `name lnd's gRPC address, such as "127.0.0.1:10009"`, "address")
		}
		return
	}
	if l.TLSCert == nil {
		p.required("lightning", "name lnd's certificate, usually ~/.lnd/tls.cert, or set "+variableName("lightning.tls_cert"), "tls_cert")
	}
	if l.Macaroon == "" {
		p.required("lightning", "name a macaroon file, or set "+variableName("lightning.macaroon"), "macaroon")
	}
}

// needsLightning reports a rule that moves money where there is no node.
func (p *parser) needsLightning(c *Config, path, verb string) {
	if !c.Observe && !c.Lightning.Enabled() && !p.given("lightning.address") && p.sound("lightning") {
		p.wrong(path, verb+" over Lightning, and no node is set", "set lightning.lndconnect, or address, tls_cert and macaroon, or remove the rule")
	}
}

// checkOwnMode notes secrets that stand in a file which others can read.
func (p *parser) checkOwnMode(c *Config) {
	if p.mode&0o077 == 0 {
		return
	}
	p.openSecret("lightning.macaroon", func(text string) bool { _, ok := macaroonText(text); return ok })
	p.openSecret("lightning.lndconnect", isConnect)
	groups := []string{""}
	for i := range c.Clients {
		groups = append(groups, fmt.Sprintf("clients[%d]", i))
	}
	for _, g := range groups {
		for _, key := range []string{"listen.socks5_password", "client.api.password"} {
			p.openSecret(under(g, key), literal)
		}
	}
}

// openSecret notes an option whose secret itself stands in the file, as inside tells, not where it is.
func (p *parser) openSecret(path string, inside func(text string) bool) {
	if s, ok := p.places[path]; ok && inside(s.value.Value) {
		p.note(path, fmt.Sprintf("other users can read this file (mode %04o), and a secret stands in it", p.mode),
			"chmod 600 the file, or set "+variableName(path)+" instead")
	}
}

// literal reports whether a password is written out.
func literal(text string) bool {
	return !strings.HasPrefix(text, "env:") && !strings.HasPrefix(text, "file:")
}
