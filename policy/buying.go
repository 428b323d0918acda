package policy

import (
	"math"
	"math/bits"
	"time"

	"paygate/config"
	"paygate/units"
)

// Buying answers what is bought.
type Buying struct {
	buy    config.Buy
	scopes []scope
	engine *engine
}

// NewBuying returns the decisions that the rules and caps make. It keeps the slices of buy, which must not change.
func NewBuying(buy config.Buy) *Buying {
	b := &Buying{buy: buy, scopes: make([]scope, len(buy.Rules))}
	for i := range buy.Rules {
		r := &buy.Rules[i]
		b.scopes[i] = scope{r.Any, r.InfoHash, &r.Match}
	}
	b.engine = newEngine(b.scopes)
	return b
}

// BuyDecision is whether, and at most how dear, a peer may be paid.
type BuyDecision struct {
	Rule   *config.BuyRule // the first that matches; nil: none does. It must not be changed
	Index  int             // of Rule; -1
	Pay    bool
	Max    units.Price // the most that may be paid; the zero Price unless Pay
	Reason string      // why Rule has a price and nothing is paid; ""
	Why    []Step      // one for each rule up to the one that matches; by Explain alone
}

// ReasonRatio says that the client's own ratio on a torrent has come to the rule's stop_at.
const ReasonRatio = "stop-at-ratio"

// Decide applies the first rule that matches. It allocates nothing.
func (b *Buying) Decide(f Facts) BuyDecision { return b.apply(b.engine.first(&f), &f) }

// Explain decides as Decide does, and says how.
func (b *Buying) Explain(f Facts) BuyDecision {
	var steps []Step
	for i, r := range b.buy.Rules {
		steps = append(steps, explain(r.Name, i, r.Line, b.scopes[i], &f))
		if steps[i].Matches {
			d := b.apply(i, &f)
			d.Why = steps
			return d
		}
	}
	return BuyDecision{Index: -1, Why: steps}
}

func (b *Buying) apply(i int, f *Facts) BuyDecision {
	if i < 0 {
		return BuyDecision{Index: -1}
	}
	r := &b.buy.Rules[i]
	d := BuyDecision{Rule: r, Index: i, Max: r.MaxPrice}
	if n, known := f.ratio(); r.StopAt > 0 && known && n >= int64(r.StopAt) && !r.MaxPrice.Free() {
		d.Max, d.Reason = units.Price{}, ReasonRatio
	}
	d.Pay = !d.Max.Free()
	return d
}

// MightPay reports whether a peer may come to be paid, now or when it has said who it is or the time or the torrent's
// ratio has changed.
func (b *Buying) MightPay(f Facts) (might bool) {
	if min(b.buy.PerTorrent, b.buy.PerDay, b.buy.Total) <= 0 {
		return false
	}
	b.engine.possible(&f, func(i int, forGood bool) bool {
		might = !b.buy.Rules[i].MaxPrice.Free()
		return might || forGood
	})
	return might
}

// Want is what a buyer knows when it asks whether to buy now.
type Want struct {
	Credit      units.Bytes   // bytes paid for and not yet received, by our own count; negative is a debt
	Outstanding units.Bytes   // bytes that our client has asked for and not yet received
	Rate        int64         // bytes per second, measured outside stalls; 0 while it is not known
	T90         time.Duration // the slow end of the measured payment times; below 2 s counts as 2 s
	Last        units.Msat    // the purchase before this one from this seller; 0 for none
	LastFailed  bool          // the purchase before this one failed
	Proven      bool          // the seller has delivered a whole purchase before
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
	WhyProving    = "proving"     // once the credit is used up, in a moment, more may be bought at once
	WhyNoSize     = "no-size"     // the smallest purchase is larger than the largest
	WhyOverBudget = "over-budget" // the smallest purchase does not fit under a cap
)

// block is the usual size of a request (BEP 3); a purchase that does not buy one moves nothing.
const block = 16 * units.KiB

// Purchase decides whether to buy now and, if so, for how much; why tells the reason if not.
//
// It buys when the credit beyond what was asked for would not last 1.5 payment times at the measured rate, enough
// for two payment times. The first purchase from a seller is the smallest one. Each next one grows to at most four times
// the one before, and once the seller has proven itself to sixteen times; after a failure it is at most half. Where the
// credit with a seller that has not proven itself will be used up in a small part of a payment time, it is used up
// first. The amount is never below Smallest, which wins over those rules and over what is left to buy, and never above
// Max, SellerMax or Room. It is the price of a whole number of bytes. If room is short, an amount is chosen that leaves
// the usual fee limit as far as that can be; so buying stops only when Room is below Smallest.
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
	case w.proves():
		return 0, false, WhyProving
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

// lasts reports whether the credit that is not spoken for is above the reserve.
func (w Want) lasts() bool {
	return saturatingSub(w.Credit, w.Outstanding) >= Reserve(w)
}

// Reserve is the credit, beyond what was asked for, below which the next purchase is due: 1.5 payment times at the
// measured rate, and one block at least.
func Reserve(w Want) units.Bytes { return max(during(w.Rate, w.T90, 3, 2), block) }

const (
	strangerGrowth = 4  // how many times the purchase before the next one may be
	provenGrowth   = 16 // the same, of a seller that has delivered
	provingPart    = 5  // of a payment time: the rest of a purchase that is used up sooner than that is waited for
)

// proves reports whether the seller is about to prove itself, so soon that it is worth waiting for: a payment takes so
// much longer that the larger purchase that is possible then makes up for it.
func (w Want) proves() bool {
	if w.Proven || w.Credit < block {
		return false
	}
	return w.Rate <= 0 || float64(w.Credit) < float64(w.Rate)*w.T90.Seconds()/provingPart
}

// target is how much one would like to buy, were there no limits.
func (w Want) target(smallest units.Msat) units.Msat {
	if (w.Last <= 0 || w.Rate <= 0) && !w.Proven {
		return smallest
	}
	before := min(max(w.Last, smallest), units.MaxMsat)
	step := strangerGrowth * before
	switch {
	case w.Rate <= 0:
	case w.Proven:
		step = min(w.Price.Charge(during(w.Rate, w.T90, 2, 1)), provenGrowth*before)
	default:
		step = min(w.Price.Charge(during(w.Rate, w.T90, 2, 1)), step)
	}
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

// leastT90 is what a payment time counts as at least. Payments that take less are made a few seconds ahead all the same:
// that is what bridges one that fails and one that takes ten times as long as usual, and it keeps them few.
const leastT90 = 2 * time.Second

// during returns how many bytes come in t × num / den at rate bytes per second; t counts as leastT90 at least. It
// saturates.
func during(rate int64, t time.Duration, num, den uint64) units.Bytes {
	if rate <= 0 {
		return 0
	}
	t = max(t, leastT90)
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
