package policy

import (
	"paygate/config"
	"paygate/units"
)

// Selling answers what is sold.
type Selling struct{ sell config.Sell }

// NewSelling returns the decisions that the rules make. It keeps the slices of sell, which must not change.
func NewSelling(sell config.Sell) *Selling { return &Selling{sell} }

// Used is how much has been given away free so far.
type Used struct {
	Subnet     units.Bytes // to this subnet on this torrent, ever
	TorrentDay units.Bytes // on this torrent today
	Day        units.Bytes // in all today
}

func (s *Selling) Rule(ih units.InfoHash) (config.SellRule, bool)         { return config.SellRule{}, false }
func (s *Selling) Sells(ih units.InfoHash) bool                           { return false }
func (s *Selling) MayCharge() bool                                        { return false }
func (s *Selling) SampleLeft(rule config.SellRule, used Used) units.Bytes { return 0 }
func Lease(balance, lastPurchase, max units.Msat) units.Msat              { return 0 }
