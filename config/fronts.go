package config

import (
	"fmt"
	"slices"
	"strings"
)

// PerClient returns a configuration for each client, as if the file had that one alone: Listen and Client are its own.
// All else is shared.
func (c *Config) PerClient() []*Config {
	if len(c.Clients) == 0 {
		return []*Config{c}
	}
	all := make([]*Config, len(c.Clients))
	for i, f := range c.Clients {
		one := *c
		one.Clients, one.Listen, one.Client = nil, f.Listen, f.Client
		all[i] = &one
	}
	return all
}

// Asked reports whether the client is asked for what the file does not tell.
func (c Client) Asked() bool { return c.API.URL != "" }

// checkFronts looks at each client by itself, and then at what several must not share.
func (p *parser) checkFronts(c *Config) {
	if !p.given("clients") || len(c.Clients) == 0 {
		p.checkListen(c)
		p.checkClient(c)
		return
	}
	for _, key := range []string{"listen", "client"} {
		if p.given(key) {
			p.wrong(key, "stands beside clients, which has this for each client by itself", "move it into an entry of clients")
		}
	}
	for i, one := range c.PerClient() {
		p.group = fmt.Sprintf("clients[%d]", i)
		p.required("", "give each client a name of its own, so that reports can tell them apart", "name")
		p.checkListen(one)
		p.checkClient(one)
		p.group = ""
	}
	p.checkApart(c)
}

// taken is an address, or a name, that only one client can have.
type taken struct{ path, address string }

// addresses are those that paygate listens on, by their keys under listen.
func (l Listen) addresses() []taken {
	list := []taken{{"peers", l.Peers}, {"socks5", l.SOCKS5}, {"http", l.HTTP}, {"redirect", l.Redirect}, {"tproxy", l.TProxy}}
	for i, a := range l.PeersToo {
		list = append(list, taken{fmt.Sprintf("peers_too[%d]", i), a})
	}
	return list
}

// Addresses are all those that paygate listens on.
func (l Listen) Addresses() []string {
	var list []string
	for _, t := range l.addresses() {
		if t.address != "" {
			list = append(list, t.address)
		}
	}
	return list
}

// Any reports whether paygate listens at all.
func (l Listen) Any() bool {
	return slices.ContainsFunc(l.addresses(), func(t taken) bool { return t.address != "" })
}

// checkApart reports names and addresses that two clients share.
func (p *parser) checkApart(c *Config) {
	names := map[string]string{}
	var seen []taken
	for i, f := range c.Clients {
		group := fmt.Sprintf("clients[%d].", i)
		if name := strings.ToLower(f.Client.Name); name != "" {
			if other, ok := names[name]; ok {
				p.wrong(group+"name", "is the name of "+other+" too", "give each client its own")
			}
			names[name] = strings.TrimSuffix(group, ".")
		}
		own := []taken{{group + "client.address", f.Client.Address}, {group + "client.address_ipv6", f.Client.IPv6}}
		for _, l := range f.Listen.addresses() {
			own = append(own, taken{group + "listen." + l.path, l.address})
		}
		for _, o := range own {
			for _, s := range seen {
				if conflict(o.address, s.address) {
					p.wrong(o.path, fmt.Sprintf("%s is taken by %s", clip(o.address), s.path), "choose another port: each client needs its own")
				}
			}
		}
		seen = append(seen, own...)
	}
}

// checkAPI looks at how the client is asked.
func (p *parser) checkAPI(a API) {
	if !p.sound("client.api") {
		return
	}
	if a.URL == "" && (a.User != "" || a.Password != "") {
		p.wrong("client.api.url", "is missing", `write the address of the client's web interface, such as "http://127.0.0.1:8080"`)
	}
	if a.URL == "" || a.Password == "" {
		return
	}
	rest, plain := strings.CutPrefix(a.URL, "http://")
	host, _, _ := strings.Cut(rest, "/")
	if !strings.Contains(host, ":") {
		host += ":80"
	}
	if plain && !isLoopback(host) {
		p.note("client.api.url", "sends the password in the clear to another address than 127.0.0.1", "use https://, or ask the client on 127.0.0.1")
	}
}
