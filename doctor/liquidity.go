package doctor

import (
	"context"

	"paygate/config"
	"paygate/lnclient"
	"paygate/units"
)

// sells reports whether any rule charges, buys whether any rule would pay.
func sells(c *config.Config) bool {
	_, _, ok := saleBounds(c)
	return ok
}

func buys(c *config.Config) bool {
	for _, r := range c.Buy.Rules {
		if !r.MaxPrice.Free() {
			return true
		}
	}
	return false
}

// saleBounds are the smallest and the largest purchase of all rules that charge.
func saleBounds(c *config.Config) (least, most units.Msat, ok bool) {
	for _, r := range c.Sell.Rules {
		if r.Price.Free() {
			continue
		}
		if !ok || r.Min < least {
			least = r.Min
		}
		most, ok = max(most, r.Max), true
	}
	return least, most, ok
}

// moneyChecks are the checks of liquidity that the rules call for.
func moneyChecks(c *config.Config) []string {
	var checks []string
	if sells(c) {
		checks = append(checks, CheckInbound)
	}
	if buys(c) {
		checks = append(checks, CheckOutbound)
	}
	return checks
}

func liquidity(ctx context.Context, c *config.Config, node Node) []Finding {
	checks := moneyChecks(c)
	if checks == nil {
		return nil
	}
	l, err := node.Liquidity(ctx)
	if err != nil {
		return skipped("the node does not tell what its channels hold", checks...)
	}
	var found []Finding
	if least, most, ok := saleBounds(c); ok {
		found = append(found, inbound(l, least, most))
	}
	if buys(c) {
		found = append(found, outbound(l, c.Buy, c.Lightning.MaxParts))
	}
	return found
}

// inbound holds what the node can receive against the purchases of its buyers.
func inbound(l lnclient.Liquidity, least, most units.Msat) Finding {
	const remedy = "have a channel opened to your node, or send something out of it; `lncli listchannels` shows remote_balance"
	if f, ok := noChannel(CheckInbound, l, l.PendingIn, remedy); ok {
		return f
	}
	switch {
	case l.LargestIn < least:
		return fail(CheckInbound, remedy, "the node can receive %s at once, less than the smallest purchase, %s: nobody can pay", l.LargestIn, least)
	case l.LargestIn < most:
		return warn(CheckInbound, remedy+"; or lower max in the rules", "the node can receive %s at once, less than the largest purchase, %s", l.LargestIn, most)
	}
	return pass(CheckInbound, "the node can receive %s; the largest purchase is %s", l.In, most)
}

// outbound holds what the node can send against the owner's purchases and caps.
func outbound(l lnclient.Liquidity, b config.Buy, parts uint32) Finding {
	const remedy = "open a channel, or receive something over one; `lncli listchannels` shows local_balance"
	if min(b.PerTorrent, b.PerDay, b.Total) < b.Min {
		return skip(CheckOutbound, "the caps allow no purchase")
	}
	if f, ok := noChannel(CheckOutbound, l, l.PendingOut, remedy); ok {
		return f
	}
	once := l.LargestOut
	if parts > 1 {
		once = l.Out
	}
	largest, day := min(b.Max, b.PerTorrent, b.PerDay, b.Total), min(b.PerDay, b.Total)
	switch {
	case once < b.Min:
		return fail(CheckOutbound, remedy, "the node can send %s at once, less than the smallest purchase, %s: nothing can be bought", once, b.Min)
	case once < largest:
		return warn(CheckOutbound, remedy+"; or lower buy.max", "the node can send %s at once, less than the largest purchase, %s", once, largest)
	case l.Out < day:
		return warn(CheckOutbound, remedy+"; or lower the caps", "the node can send %s, less than may be spent in a day, %s", l.Out, day)
	}
	return pass(CheckOutbound, "the node can send %s; at most %s is spent in a day", l.Out, day)
}

// noChannel finds that nothing can move at all.
func noChannel(check string, l lnclient.Liquidity, pending units.Msat, remedy string) (Finding, bool) {
	switch {
	case l.Active > 0:
		return Finding{}, false
	case l.Channels > 0:
		return fail(check, "see that the node's peers are online: lncli listpeers", "none of the node's channels is active (%d)", l.Channels), true
	case pending > 0:
		return fail(check, "wait for the chain to confirm it", "the node's first channel is still being opened"), true
	}
	return fail(check, remedy, "the node has no channel"), true
}
