package main

import (
	"context"
	"os"

	"paygate/config"
	"paygate/doctor"
	"paygate/firewall"
)

// firewallState finds out for the doctor whether the rules of a client stand. Whole is the configuration of all of them.
func firewallState(whole *config.Config) func(context.Context, *config.Config) doctor.Firewall {
	return func(ctx context.Context, one *config.Config) doctor.Firewall {
		o := firewallOptions(whole, one)
		host := firewall.ThisHost(firewallDir)
		last, err := host.Recall(firewall.Trace(o).Table)
		if err != nil || last == nil {
			return doctor.Firewall{Err: err}
		}
		f := doctor.Firewall{Applied: true, About: last.Plan.About}
		if p, err := firewall.New(last.Options.Elsewhere(o)); err == nil {
			f.Current = p.Rules == last.Plan.Rules
		}
		if os.Geteuid() == 0 {
			f.Looked = true
			f.Intact, f.Err = host.Intact(ctx, last)
		}
		return f
	}
}
