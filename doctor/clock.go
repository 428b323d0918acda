package doctor

import (
	"time"
)

const (
	headerAhead  = 2 * time.Hour // a block may claim to be from so far in the future
	headerBehind = 4 * time.Hour // a chain with miners is never silent for so long
)

// clock compares this machine's clock with the time in the chain's newest block header, as the node knows it. That is
// coarse, but it is a clock that nobody here has set.
func clock(now, header time.Time, network string) Finding {
	ahead := header.Sub(now)
	switch {
	case header.Unix() <= 0:
		return skip(CheckClock, "the node does not tell the time of its newest block")
	case ahead > headerAhead:
		return fail(CheckClock, "set the clock, and keep it with NTP: invoices expire and budgets renew by it",
			"it is at least %s behind: the chain's newest block is from %s", (ahead - headerAhead).Round(time.Minute), utc(header))
	case -ahead <= headerBehind:
		return pass(CheckClock, "in step with the chain's newest block, from %s, within %s", utc(header), max(headerAhead, headerBehind))
	case network == "regtest" || network == "simnet":
		return skip(CheckClock, "the newest block is from %s, which says nothing on %s", utc(header), network)
	}
	return warn(CheckClock, "compare the clock with another one; if it is right, see why lnd gets no blocks",
		"it is %s ahead of the chain's newest block, from %s", (-ahead).Round(time.Minute), utc(header))
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
