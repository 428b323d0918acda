package policy

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"paygate/config"
	"paygate/units"
)

// Buying answers what is bought.
type Buying struct{ buy config.Buy }

// NewBuying returns the decisions that the rules and caps make. It keeps the slices of buy, which must not change.
func NewBuying(buy config.Buy) *Buying { return &Buying{buy} }

// MaxPrice returns the most that may be paid for the torrent, by the first rule that matches, and false if it is not
// to be paid for at all.
func (b *Buying) MaxPrice(ih units.InfoHash) (units.Price, bool) {
	i := slices.IndexFunc(b.buy.Rules, func(r config.BuyRule) bool { return r.Any || slices.Contains(r.InfoHash, ih) })
	if i < 0 || b.buy.Rules[i].MaxPrice.Free() {
		return units.Price{}, false
	}
	return b.buy.Rules[i].MaxPrice, true
}

// WantsAny reports whether there is anything that may be paid for, and any money to do so.
func (b *Buying) WantsAny() bool {
	if min(b.buy.PerTorrent, b.buy.PerDay, b.buy.Total) <= 0 {
		return false
	}
	for _, r := range b.buy.Rules {
		if !r.MaxPrice.Free() && (r.Any || len(r.InfoHash) > 0) {
			return true
		}
		if r.Any {
			return false
		}
	}
	return false
}

// Want is what a buyer knows when it asks whether to buy now.
type Want struct {
	Credit      units.Bytes   // bytes paid for and not yet received, by our own count; negative is a debt
	Outstanding units.Bytes   // bytes that our client has asked for and not yet received
	Rate        int64         // bytes per second, measured outside stalls; 0 before anything came
	T90         time.Duration // the slow end of the measured payment times; below 1 s counts as 1 s
	Last        units.Msat    // the purchase before this one from this seller; 0 for none
	LastFailed  bool          // the purchase before this one failed
	Price       units.Price
	Min, Max    units.Msat  // the owner's smallest and largest purchase
	Room        units.Msat  // left under the tightest cap, fees included
	SellerMin   units.Msat  // the seller's smallest purchase
	SellerMax   units.Msat  // the seller's largest; 0: none told
	Left        units.Bytes // bytes still wanted of the torrent, paid for or not; -1: not known
}

// Why a purchase is not made now, as Purchase says it.
const (
	WhyFree       = "free"        // there is nothing to pay
	WhyEnough     = "enough"      // the credit lasts, or covers all that is left
	WhyNoSize     = "no-size"     // the smallest purchase is larger than the largest
	WhyOverBudget = "over-budget" // the smallest purchase does not fit under a cap
)

// block is the usual size of a request (BEP 3); a purchase that does not buy one moves nothing.
const block = 16 * units.KiB

// Purchase decides whether to buy now and, if so, for how much; why tells the reason if not.
//
// It buys when the credit beyond what was asked for would not last 1.5 payment times at the measured rate, enough
// for two payment times. The first purchase from a seller is the smallest one; each next one grows to at most four
// times the one before, and after a failure it is at most half. The amount is never below Smallest, which wins over
// those rules and over what is left to buy, and never above Max, SellerMax or Room. It is the price of a whole number
// of bytes. If room is short, an amount is chosen that leaves the usual fee limit as far as that can be; so buying
// stops only when Room is below Smallest.
func (b *Buying) Purchase(w Want) (amt units.Msat, buy bool, why string) {
	smallest, largest := Smallest(w), w.Max
	if w.SellerMax > 0 {
		largest = min(largest, w.SellerMax)
	}
	switch {
	case w.Price.Free():
		return 0, false, WhyFree
	case w.lasts() || w.Left >= 0 && w.Credit >= w.Left:
		return 0, false, WhyEnough
	case smallest > largest:
		return 0, false, WhyNoSize
	case smallest > w.Room:
		return 0, false, WhyOverBudget
	}
	amt = clamp(min(w.target(smallest), b.affordable(w.Room)), smallest, min(largest, w.Room))
	return whole(w.Price, amt), true, ""
}

// Smallest returns the smallest purchase that makes sense: what both sides set as their least, and one block's price
// at least, rounded up to the price of whole bytes.
func Smallest(w Want) units.Msat {
	least := max(w.Min, w.SellerMin, w.Price.Charge(block), 1)
	bytes := w.Price.Buys(least)
	if bytes == math.MaxInt64 || w.Price.Charge(bytes) == least {
		return least
	}
	return w.Price.Charge(bytes + 1)
}

// whole rounds an amount down to the price of whole bytes, which is what an invoice must be for.
func whole(p units.Price, m units.Msat) units.Msat { return p.Charge(p.Buys(m)) }

// lasts reports whether the credit that is not spoken for covers 1.5 payment times, and one block at least.
func (w Want) lasts() bool {
	need := max(during(w.Rate, w.T90, 3, 2), block)
	return saturatingSub(w.Credit, w.Outstanding) >= need
}

// target is how much one would like to buy, were there no limits.
func (w Want) target(smallest units.Msat) units.Msat {
	if w.Last <= 0 {
		return smallest
	}
	step := min(w.Price.Charge(during(w.Rate, w.T90, 2, 1)), 4*min(w.Last, units.MaxMsat))
	if w.LastFailed {
		step = min(step, w.Last/2)
	}
	if w.Left < 0 {
		return step
	}
	return min(step, w.Price.Charge(saturatingSub(w.Left, w.Credit)))
}

// affordable returns the largest amount that leaves its usual fee limit within room.
func (b *Buying) affordable(room units.Msat) units.Msat {
	gross := 100 + units.Msat(min(max(b.buy.FeePercent, 0), 100))
	return min(room-b.buy.FeeMax, room/gross*100+room%gross*100/gross)
}

// FeeLimit returns the most that routing a payment may cost: fixed, or that percentage of the amount if it is more,
// but never so much that amount and fee would exceed room. It is never negative.
func FeeLimit(amt, fixed units.Msat, percent int, room units.Msat) units.Msat {
	return max(0, min(max(fixed, share(amt, percent)), room-amt))
}

// share returns a percentage, taken as 0 to 100, of an amount, rounded down.
func share(m units.Msat, percent int) units.Msat {
	p := units.Msat(min(max(percent, 0), 100))
	return m/100*p + m%100*p/100
}

// during returns how many bytes come in t × num / den at rate bytes per second; t counts as 1 s at least. It
// saturates.
func during(rate int64, t time.Duration, num, den uint64) units.Bytes {
	if rate <= 0 {
		return 0
	}
	t = max(t, time.Second)
	hi, lo := bits.Mul64(uint64(rate), uint64(t))
	unit := uint64(time.Second) * den
	if hi >= unit {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, unit)
	hi, q = bits.Mul64(q, num)
	if hi > 0 || q > math.MaxInt64 {
		return math.MaxInt64
	}
	return units.Bytes(q)
}

func saturatingSub(a, b units.Bytes) units.Bytes {
	switch d := a - b; {
	case b > 0 && d > a:
		return math.MinInt64
	case b < 0 && d < a:
		return math.MaxInt64
	default:
		return d
	}
}
