package policy

import (
	"slices"

	"paygate/config"
	"paygate/units"
)

// Selling answers what is sold.
type Selling struct{ sell config.Sell }

// NewSelling returns the decisions that the rules make. It keeps the slices of sell, which must not change.
func NewSelling(sell config.Sell) *Selling { return &Selling{sell} }

// Rule returns the first rule that matches the torrent, and false if none does. A torrent without a rule, or whose
// rule's price is free, is not sold.
func (s *Selling) Rule(ih units.InfoHash) (config.SellRule, bool) {
	i := slices.IndexFunc(s.sell.Rules, func(r config.SellRule) bool { return r.Any || slices.Contains(r.InfoHash, ih) })
	if i < 0 {
		return config.SellRule{}, false
	}
	return s.sell.Rules[i], true
}

// Sells reports whether the torrent is charged for.
func (s *Selling) Sells(ih units.InfoHash) bool {
	r, ok := s.Rule(ih)
	return ok && !r.Price.Free()
}

// MayCharge reports whether there is any torrent that is charged for. A rule behind one that matches everything
// does not count.
func (s *Selling) MayCharge() bool {
	for _, r := range s.sell.Rules {
		if !r.Price.Free() && (r.Any || len(r.InfoHash) > 0) {
			return true
		}
		if r.Any {
			return false
		}
	}
	return false
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
