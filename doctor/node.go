package doctor

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"paygate/config"
	"paygate/lnclient"
)

// Node is the Lightning node; *lnclient.Client is one.
type Node interface {
	Ready(ctx context.Context) error
	Info(ctx context.Context) (lnclient.Info, error)
	Liquidity(ctx context.Context) (lnclient.Liquidity, error)
}

// Lightning makes every check that needs the node. A nil node is none.
func Lightning(ctx context.Context, c *config.Config, node Node, now time.Time) []Finding {
	if node == nil {
		return []Finding{skip(CheckNode, "no node is set: everything is free, and nothing is bought")}
	}
	info, state := askNode(ctx, c.Lightning.Address, node)
	found := []Finding{state}
	if state.Verdict != Fail {
		found = append(found, version(info.Version), network(info.Network, c.Lightning.Network))
	}
	found = append(found, rights(c, now))
	if state.Verdict == Fail {
		return append(found, skipped("lnd cannot be asked", append([]string{CheckClock}, moneyChecks(c)...)...)...)
	}
	found = append(found, clock(now, info.Header, info.Network))
	return append(found, liquidity(ctx, c, node)...)
}

func skipped(why string, checks ...string) []Finding {
	var found []Finding
	for _, c := range checks {
		found = append(found, skip(c, "%s", why))
	}
	return found
}

// askNode tells who the node is, and how.
func askNode(ctx context.Context, address string, node Node) (lnclient.Info, Finding) {
	err := node.Ready(ctx)
	if err != nil {
		return lnclient.Info{}, NodeProblem(address, err)
	}
	info, err := node.Info(ctx)
	if err != nil {
		return lnclient.Info{}, NodeProblem(address, err)
	}
	if !info.Synced {
		return info, warn(CheckNode, "wait until lnd has caught up; payments may fail until then", "%s at %s is ready, but not in step with the chain", info.Alias, address)
	}
	return info, pass(CheckNode, "%s at %s is ready and in step with the chain", info.Alias, address)
}

// problemTexts say what is wrong with a node, after the words "lnd at ADDRESS".
var problemTexts = map[lnclient.ProblemKind]string{
	lnclient.Unreachable: "does not answer",
	lnclient.Locked:      "waits for the password of its wallet",
	lnclient.NoWallet:    "has no wallet",
	lnclient.Starting:    "is starting",
	lnclient.Unsynced:    "has not caught up with the chain",
	lnclient.Denied:      "answers, but the macaroon does not allow to ask who it is",
	lnclient.BadMacaroon: "does not accept the macaroon: it is another node's, or has expired",
	lnclient.BadCert:     "shows another certificate than lightning.tls_cert",
}

// NodeProblem puts an error of the node at an address into a failure with its remedy.
func NodeProblem(address string, err error) Finding {
	var p *lnclient.Problem
	if errors.As(err, &p) {
		if text, ok := problemTexts[p.Kind]; ok {
			return fail(CheckNode, p.Remedy, "lnd at %s %s", address, text)
		}
	}
	remedy := "look into lnd's log"
	if p != nil && p.Remedy != "" {
		remedy = p.Remedy
	}
	return fail(CheckNode, remedy, "lnd at %s: %v", address, err)
}

// The versions of lnd that matter: before the first, calls behave in ways that paygate does not expect; what is before
// the second has not been tested with it.
var (
	oldestUsable = [2]int{0, 18}
	oldestTested = [2]int{0, 21}
)

var versionPattern = regexp.MustCompile(`^v?(\d{1,6})\.(\d{1,6})`)

func version(text string) Finding {
	const remedy = "upgrade lnd to 0.21 or later"
	m := versionPattern.FindStringSubmatch(text)
	if m == nil {
		return warn(CheckVersion, "make sure that it is lnd "+dotted(oldestTested)+" or later", "%q is no version of lnd that is known here", text)
	}
	major, _ := strconv.Atoi(m[1])
	minor, _ := strconv.Atoi(m[2])
	switch v := [2]int{major, minor}; {
	case before(v, oldestUsable):
		return fail(CheckVersion, remedy, "lnd %s is too old: paygate needs %s", dotted(v), dotted(oldestUsable))
	case before(v, oldestTested):
		return warn(CheckVersion, remedy, "lnd %s has not been tested with paygate; %s has", dotted(v), dotted(oldestTested))
	default:
		return pass(CheckVersion, "lnd %s", dotted(v))
	}
}

func before(a, b [2]int) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }

func dotted(v [2]int) string { return fmt.Sprintf("%d.%d", v[0], v[1]) }

func network(node, wanted string) Finding {
	if node != wanted {
		return fail(CheckNetwork, "set lightning.network to "+node+", or connect to a node on "+wanted, "the node is on %s, and lightning.network is %s", node, wanted)
	}
	return pass(CheckNetwork, "%s, as configured", node)
}
