package policy

import (
	"paygate/config"
	"paygate/units"
)

// Selling answers what is sold.
type Selling struct {
	sell   config.Sell
	scopes []scope
	engine *engine
}

// NewSelling returns the decisions that the rules make. It keeps the slices of sell, which must not change.
func NewSelling(sell config.Sell) *Selling {
	s := &Selling{sell: sell, scopes: make([]scope, len(sell.Rules))}
	for i := range sell.Rules {
		r := &sell.Rules[i]
		s.scopes[i] = scope{r.Any, r.InfoHash, &r.Match}
	}
	s.engine = newEngine(s.scopes)
	return s
}

// Decision is what becomes of a connection.
type Decision struct {
	Rule   *config.SellRule // the first that matches; nil: none does. It must not be changed
	Index  int              // of Rule; -1
	Price  units.Price      // what is charged; the zero Price: nothing
	Free   bool             // nothing is charged
	Deny   bool             // nothing is given either
	Reason string           // why Rule has a price and nothing is charged; ""
	Why    []Step           // one for each rule up to the one that matches; by Explain alone
}

// Why a rule's price is not charged, as Decide says it.
const (
	ReasonPrivate        = "private-torrent"      // no tracker of it has agreed, as far as is known
	ReasonPrivateUnknown = "private-flag-unknown" // it may be, and the rule does not name the very torrent
	ReasonNoRights       = "no-rights"
	ReasonSizeUnknown    = "size-unknown" // the price is one per torrent
)

// Decide applies the first rule that matches. It allocates nothing.
func (s *Selling) Decide(f Facts) Decision { return s.apply(s.engine.first(&f), &f) }

// Explain decides as Decide does, and says how: it holds the connection against the rules one by one.
func (s *Selling) Explain(f Facts) Decision {
	var steps []Step
	for i, r := range s.sell.Rules {
		steps = append(steps, explain(r.Name, i, r.Line, s.scopes[i], &f))
		if steps[i].Matches {
			d := s.apply(i, &f)
			d.Why = steps
			return d
		}
	}
	return Decision{Index: -1, Free: true, Why: steps}
}

func (s *Selling) apply(i int, f *Facts) Decision {
	if i < 0 {
		return Decision{Index: -1, Free: true}
	}
	d := Decision{Rule: &s.sell.Rules[i], Index: i}
	d.Price, d.Reason = s.charged(i, f)
	d.Deny = d.Rule.Deny
	d.Free = d.Price.Free() && !d.Deny
	return d
}

// charged returns what a rule charges here: its price, unless nobody has the right to that.
//
// A torrent whose private flag is unknown, because the client was not asked or did not say, is charged for only by a rule
// that lists its info-hash: whoever does that has looked at this very torrent.
func (s *Selling) charged(i int, f *Facts) (price units.Price, reason string) {
	r := &s.sell.Rules[i]
	if !r.Charges() {
		return units.Price{}, ""
	}
	private, known := f.private()
	switch {
	case r.Rights == "":
		return units.Price{}, ReasonNoRights
	case private && !agreed(f.Torrent, r.TrackerAgreed):
		return units.Price{}, ReasonPrivate
	case !known && !s.engine.lists(i, f.InfoHashes):
		return units.Price{}, ReasonPrivateUnknown
	case r.PerTorrent == 0:
		return tier(r, f.Volume), ""
	}
	size, known := f.size()
	if !known {
		return units.Price{}, ReasonSizeUnknown
	}
	return units.Price{Msat: r.PerTorrent, Per: units.Bytes(size)}, ""
}

// tier returns the price that a rule has for a buyer of some volume.
func tier(r *config.SellRule, volume units.Bytes) units.Price {
	price := r.Price
	for _, t := range r.Tiers {
		if volume < t.After {
			break
		}
		price = t.Price
	}
	return price
}

// Concerns reports whether a rule may charge or refuse a connection, now or when its peer has said who it is or the
// time has changed. One of which that is false is free until its torrent changes.
func (s *Selling) Concerns(f Facts) (yes bool) {
	s.engine.possible(&f, func(i int, forGood bool) bool {
		price, _ := s.charged(i, &f)
		yes = !price.Free() || s.sell.Rules[i].Deny
		return yes || forGood
	})
	return yes
}

// MayRefuse reports whether a rule may refuse a connection, now or when its peer has said who it is or the time has
// changed.
func (s *Selling) MayRefuse(f Facts) (yes bool) {
	s.engine.possible(&f, func(i int, forGood bool) bool {
		yes = s.sell.Rules[i].Deny
		return yes || forGood
	})
	return yes
}

// MayCharge reports whether there is anything that may be charged for. A rule behind one that matches everything does
// not count.
func (s *Selling) MayCharge() bool {
	for i, r := range s.sell.Rules {
		if s.scopes[i].selects() && r.Charges() {
			return true
		}
		if r.Any && r.Match.Empty() {
			return false
		}
	}
	return false
}

// MayDeny reports whether there is anybody who may be refused, with the same exception as MayCharge.
func (s *Selling) MayDeny() bool {
	for i, r := range s.sell.Rules {
		if s.scopes[i].selects() && r.Deny {
			return true
		}
		if r.Any && r.Match.Empty() {
			return false
		}
	}
	return false
}

// Largest returns the largest purchase that a rule allows at a price: what its interval costs, rounded up, if that is
// less than its max; never less than its min.
func Largest(r *config.SellRule, price units.Price) units.Msat {
	if r.Interval <= 0 {
		return r.Max
	}
	return max(r.Min, min(r.Max, price.Charge(r.Interval)))
}

// Used is how much has been given away free so far.
type Used struct {
	Subnet     units.Bytes // to this subnet on this torrent, ever
	TorrentDay units.Bytes // on this torrent today
	Day        units.Bytes // in all today
}

// SampleLeft returns how many bytes may still be given to a subnet free: what is left of the rule's sample, of the
// torrent's day and of the whole day, whichever is least. It is never negative.
func (s *Selling) SampleLeft(rule config.SellRule, used Used) units.Bytes {
	return max(0, min(rule.Sample-used.Subnet, s.sell.SampleTorrentDay-used.TorrentDay, s.sell.SampleDay-used.Day))
}

// Lease returns how much of a buyer's balance one connection may serve on before it must ask again: at most one
// purchase, which is the latest one or, before the first, the largest that is sold. It is never negative and never
// above the balance or the largest purchase.
func Lease(balance, lastPurchase, largest units.Msat) units.Msat {
	if lastPurchase <= 0 || lastPurchase > largest {
		lastPurchase = largest
	}
	return clamp(balance, 0, lastPurchase)
}

// clamp returns the amount nearest to m between low and high; low wins if they cross.
func clamp(m, low, high units.Msat) units.Msat { return max(low, min(m, high)) }
