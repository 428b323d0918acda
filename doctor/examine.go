package doctor

import (
	"context"

	"paygate/config"
)

// Deps are what the checks look at. Whoever makes them closes them.
type Deps struct {
	Machine Machine
	Node    Node                // nil: the configuration names none
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
	running := d.Running[c.Client.Name]
	if c.Listen.Peers != "" {
		tell(publicPort(ctx, c.Listen.Peers, running))
	}
	if c.Listen.SOCKS5 != "" {
		tell(socksPort(ctx, c.Listen.SOCKS5, running))
	}
	examineFirewall(ctx, c, d, tell)
	if c.Client.Address != "" {
		tell(client(ctx, c))
	}
	if c.Client.Address != "" && sells(c) {
		tell(bypassCheck(ctx, c, d.Machine))
	}
}

func bypassCheck(ctx context.Context, c *config.Config, m Machine) Finding {
	own, err := m.Addresses()
	if err != nil {
		return skip(CheckBypass, "this machine's addresses cannot be told: %v", err)
	}
	return bypass(ctx, c, own)
}
