package doctor

import (
	"context"
	"errors"
	"syscall"

	"paygate/config"
)

// Firewall is what is known of the rules of `paygate firewall` for one client.
type Firewall struct {
	Applied bool   // on this machine, since it was started
	About   string // where the client is, as it was said then
	Current bool   // the configuration asks for the same rules still
	Looked  bool   // it could be seen whether they stand, which takes root
	Intact  bool   // they stand as they were applied
	Err     error  // why it cannot be told
}

// examineFirewall makes the checks of what the firewall is to bring to paygate.
func examineFirewall(ctx context.Context, c *config.Config, d Deps, tell func(Finding)) {
	running := d.Running[c.Client.Name]
	var held Running
	if running != nil {
		held = *running
	}
	if c.Listen.Redirect != "" {
		tell(port(ctx, CheckRedirect, c.Listen.Redirect, running, held.Redirect))
	}
	if c.Listen.TProxy != "" {
		tell(port(ctx, CheckTProxy, c.Listen.TProxy, running, held.TProxy))
	}
	if (c.Listen.TProxy != "" || c.Client.Source == "peer") && running == nil {
		tell(capability(mayBeTransparent()))
	}
	if (c.Listen.Redirect != "" || c.Listen.TProxy != "") && d.Firewall != nil {
		tell(judgeFirewall(d.Firewall(ctx, c)))
	}
}

// capability tells whether this user could run paygate with TPROXY. Its service may have rights that this user has not.
func capability(err error) Finding {
	const check = CheckCapability
	switch {
	case err == nil:
		return pass(check, "connections can be taken and made with any address (CAP_NET_ADMIN)")
	case errors.Is(err, syscall.EPERM):
		return warn(check, "let paygate run as a service with AmbientCapabilities=CAP_NET_ADMIN, or sudo setcap cap_net_admin+ep on the program",
			"this user may not take or make connections with any address, as listen.tproxy and client.source: peer want")
	}
	return fail(check, "use listen.redirect and client.source: alias here", "no connection can be taken or made with any address: %v", err)
}

// judgeFirewall tells whether the rules do what the configuration counts on.
func judgeFirewall(f Firewall) Finding {
	const check = CheckFirewall
	const again = "sudo paygate firewall apply, with the same options as before"
	switch {
	case f.Err != nil:
		return skip(check, "it cannot be told what was applied: %v", f.Err)
	case !f.Applied:
		return warn(check, "sudo paygate firewall apply (docs/firewall.md), unless rules of your own do it",
			"no rules are known that redirect anything: `paygate firewall` has applied none since this machine was started")
	case !f.Current:
		return fail(check, again, "the configuration has changed since the rules were applied for %s", f.About)
	case !f.Looked:
		return pass(check, "rules were applied for %s (only root can see whether they still stand)", f.About)
	case !f.Intact:
		return fail(check, again, "the rules are not as they were applied for %s", f.About)
	}
	return pass(check, "rules stand for %s", f.About)
}
