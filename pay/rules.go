package pay

import (
	"paygate/config"
	"paygate/ledger"
	"paygate/policy"
)

// rules are what the owner has decided about money, as it stands at a moment. They never change: SetRules puts others in
// their place.
type rules struct {
	sell    config.Sell
	buy     config.Buy
	selling *policy.Selling
	buying  *policy.Buying
	caps    ledger.Caps
	offers  offers
}

func newRules(sell config.Sell, buy config.Buy) *rules {
	return &rules{
		sell: sell, buy: buy,
		selling: policy.NewSelling(sell), buying: policy.NewBuying(buy),
		caps: ledger.Caps{
			Torrent: buy.PerTorrent, Peer: buy.PerPeer, Category: buy.PerCategory,
			Day: buy.PerDay, Week: buy.PerWeek, Month: buy.PerMonth, Total: buy.Total, Zone: buy.Zone,
		},
	}
}

// rules returns what holds now. Take it once for all that one decision needs.
func (d *Desk) rules() *rules { return d.ruling.Load() }

// SetRules lets other rules and caps hold from now on. What a buyer has paid for keeps its price; conversations that are
// under way learn of it at once.
func (d *Desk) SetRules(sell config.Sell, buy config.Buy) {
	d.ruling.Store(newRules(sell, buy))
	select {
	case d.ruled <- struct{}{}:
	default:
	}
	d.wakeAll()
}
