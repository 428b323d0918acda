package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"paygate/config"
	"paygate/lnclient"
)

const expiresSoon = 14 * 24 * time.Hour

// rights judges by the macaroon's bytes whether it allows all that the rules need, and no more. Whether it is genuine
// the node says.
func rights(c *config.Config, now time.Time) Finding {
	sell, buy := sells(c), buys(c)
	remedy := "make a new one: paygate lnd setup --for " + purpose(sell, buy)
	r, err := lnclient.InspectMacaroon(c.Lightning.Macaroon)
	if errors.Is(err, lnclient.ErrUnreadableRights) {
		return warn(CheckMacaroon, remedy, "what it allows cannot be told: it is not of lnd's kind")
	}
	if err != nil {
		return fail(CheckMacaroon, remedy, "%v", err)
	}
	needed := lnclient.Permissions(sell, buy)
	missing := r.Missing(needed)
	if missing != nil && !onlyLooks(missing) {
		return fail(CheckMacaroon, remedy, "it does not allow %s", shortly(missing))
	}
	if !r.Expires.IsZero() && !now.Before(r.Expires) {
		return fail(CheckMacaroon, remedy, "it expired at %s", utc(r.Expires))
	}
	if f, excess := excess(c, r, needed, remedy); excess {
		return f
	}
	if missing != nil {
		return warn(CheckMacaroon, remedy, "it does not allow %s, so nobody sees when the node runs out of liquidity", shortly(missing))
	}
	if !r.Expires.IsZero() && r.Expires.Sub(now) < expiresSoon {
		return warn(CheckMacaroon, remedy, "it expires at %s", utc(r.Expires))
	}
	return pass(CheckMacaroon, "it allows what is needed, and nothing more that could move money")
}

// onlyLooks reports whether all of the calls serve to see the node's liquidity, without which money moves all the same.
func onlyLooks(uris []string) bool {
	return !slices.ContainsFunc(uris, func(u string) bool { return !slices.Contains(lnclient.LiquidityPermissions(), u) })
}

// excess finds what could move money and is not needed: never by paygate, or not by these rules.
func excess(c *config.Config, r lnclient.Rights, needed []string, remedy string) (Finding, bool) {
	if harmful, _ := r.Beyond(lnclient.Permissions(true, true)); harmful != nil {
		text := "it allows more than paygate needs: " + shortly(harmful)
		if c.Lightning.AllowAdmin {
			return warn(CheckMacaroon, remedy, "%s; you have allowed it", text), true
		}
		return fail(CheckMacaroon, remedy+", or set lightning.allow_admin_macaroon: true", "%s", text), true
	}
	if harmful, _ := r.Beyond(needed); harmful != nil && needed != nil {
		return warn(CheckMacaroon, remedy, "it allows what your rules never do: %s", shortly(harmful)), true
	}
	return Finding{}, false
}

func purpose(sell, buy bool) string {
	switch {
	case sell && !buy:
		return "sell"
	case buy && !sell:
		return "buy"
	}
	return "both"
}

const shownRights = 5

// shortly lists the first few of many.
func shortly[T any](list []T) string {
	var names []string
	for _, x := range list[:min(len(list), shownRights)] {
		names = append(names, fmt.Sprint(x))
	}
	if more := len(list) - shownRights; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}
