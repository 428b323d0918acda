package doctor

import (
	"context"

	"paygate/client"
	"paygate/config"
)

// Deps are what the checks look at. Whoever makes them closes them.
type Deps struct {
	Machine Machine
	Node    Node                // nil: the configuration names none
	Clients map[string]Client   // by name: those that can be asked
	Running map[string]*Running // by the client's name; nil: no paygate runs on the data directory
	// Firewall tells of the rules for one client's configuration; nil: nobody can.
	Firewall func(context.Context, *config.Config) Firewall
}

// Examine makes every check on a valid configuration, and tells each finding as soon as it stands. It takes as long as
// the node and the client take to answer, with a deadline on each.
func Examine(ctx context.Context, c *config.Config, d Deps, tell func(Finding)) {
	m := d.Machine
	tell(dataDir(c.DataDir))
	at := existing(c.DataDir)
	free, err := m.Free(at)
	tell(disk(at, free, err))
	tell(secrets(c.DataDir))
	limit, err := m.Files()
	tell(files(limit, err, c.Limits.Connections))
	for _, f := range Lightning(ctx, c, d.Node, m.Now()) {
		tell(f)
	}
	for _, one := range c.PerClient() {
		examineClient(ctx, one, d, func(f Finding) {
			f.Client = one.Client.Name
			tell(f)
		})
	}
}

// examineClient makes the checks of one client: see config.PerClient.
func examineClient(ctx context.Context, c *config.Config, d Deps, tell func(Finding)) {
	var s client.Settings
	asked, running := d.Clients[c.Client.Name], d.Running[c.Client.Name]
	if asked != nil {
		var f Finding
		s, f = api(ctx, asked)
		tell(f)
		if f.Verdict == Pass {
			c = completed(c, s, d.Machine, tell)
		}
	}
	if c.Listen.Peers != "" {
		tell(publicPort(ctx, c.Listen.Peers, running))
	}
	if c.Listen.SOCKS5 != "" {
		tell(socksPort(ctx, c.Listen.SOCKS5, running))
	}
	if c.Listen.HTTP != "" {
		tell(httpPort(ctx, c.Listen.HTTP, running))
	}
	examineFirewall(ctx, c, d, tell)
	if c.Client.Address != "" {
		tell(reach(ctx, c))
	}
	for _, f := range Settings(c, s, asked) {
		tell(f)
	}
	if c.Client.Address != "" && sells(c) {
		outside(ctx, c, s, d, tell)
	}
}

// completed fills in what a configuration leaves to the client.
func completed(c *config.Config, s client.Settings, m Machine, tell func(Finding)) *config.Config {
	own, err := m.Addresses()
	if err != nil || !LeftOut(c) {
		return c
	}
	place, why := Locate(c, s, own)
	if why != nil {
		tell(*why)
		return c
	}
	full := *c
	full.Client.Address, full.Listen.Peers, full.Listen.PeersToo, full.Listen.SOCKS5 = place.Client, place.Peers, place.PeersToo, place.SOCKS5
	return &full
}

// outside looks at the client as strangers would.
func outside(ctx context.Context, c *config.Config, s client.Settings, d Deps, tell func(Finding)) {
	running := d.Running[c.Client.Name]
	own, err := d.Machine.Addresses()
	if err != nil {
		tell(skip(CheckBypass, "this machine's addresses cannot be told: %v", err))
		return
	}
	tell(bypass(ctx, c, s, own, running))
	tell(utp(ctx, c, s, own, running))
	tell(ownPeers(c, s))
}
