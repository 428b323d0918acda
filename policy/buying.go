package policy

import (
	"time"

	"paygate/config"
	"paygate/units"
)

// Buying answers what is bought.
type Buying struct{ buy config.Buy }

// NewBuying returns the decisions that the rules and caps make. It keeps the slices of buy, which must not change.
func NewBuying(buy config.Buy) *Buying { return &Buying{buy} }

// Want is what a buyer knows when it asks whether to buy now.
type Want struct {
	Credit      units.Bytes   // bytes paid for and not yet received, by our own count; may be negative
	Outstanding units.Bytes   // bytes that our client has asked for and not yet received
	Rate        int64         // bytes per second, measured outside stalls
	T90         time.Duration // the slow end of the measured payment times
	Last        units.Msat    // the purchase before this one from this seller; 0 for none
	LastFailed  bool          // the purchase before this one failed
	Price       units.Price
	Min, Max    units.Msat  // the owner's smallest and largest purchase
	Room        units.Msat  // left under the tightest cap
	SellerMin   units.Msat  // the seller's smallest purchase
	SellerMax   units.Msat  // the seller's largest; 0: none told
	Left        units.Bytes // bytes still wanted of the torrent; -1: not known
}

func (b *Buying) MaxPrice(ih units.InfoHash) (units.Price, bool)            { return units.Price{}, false }
func (b *Buying) WantsAny() bool                                            { return false }
func (b *Buying) Purchase(w Want) (amt units.Msat, buy bool, why string)    { return 0, false, "" }
func FeeLimit(amt, max units.Msat, percent int, room units.Msat) units.Msat { return 0 }
