package pay

import (
	"net/netip"
	"time"

	"paygate/client"
	"paygate/config"
	"paygate/policy"
	"paygate/proxy"
	"paygate/units"
)

// Torrents tells what the owner's client knows of a torrent; a client.View is one. It must not block.
type Torrents interface {
	Torrent(units.InfoHash) (client.Torrent, bool)
}

// known is where to learn what rules ask about.
type known struct {
	torrents Torrents
	country  func(netip.Addr) string
}

// facts gathers what is known of a connection while its peer has said nothing.
func (d *Desk) facts(a proxy.Arrival) policy.Facts {
	f := policy.Facts{InfoHashes: []units.InfoHash{a.InfoHash}, Remote: a.Remote.Addr(), Initiator: a.Initiator, Now: time.Now()}
	if d.known.torrents != nil {
		if t, ok := d.known.torrents.Torrent(a.InfoHash); ok {
			f.Torrent = &t
			f.InfoHashes = append(f.InfoHashes, t.Hashes...)
		}
	}
	if d.known.country != nil && a.Remote.IsValid() {
		f.Country = d.known.country(a.Remote.Addr())
	}
	return f
}

// known gathers what is known of a conversation's connection by now.
func (c *conversation) known() policy.Facts {
	f := c.desk.facts(proxy.Arrival{InfoHash: c.link.InfoHash(), Remote: c.link.Remote(), Initiator: c.link.Initiator()})
	if c.seller != nil {
		f.Identity = c.seller.stock.buyer
	}
	return f
}

// pays tells the most that is paid on a connection, if there is any money for it.
func (r *rules) pays(f policy.Facts) (units.Price, bool) {
	buy := r.buying.Decide(f)
	return buy.Max, buy.Pay && min(r.caps.Torrent, r.caps.Day, r.caps.Total) > 0
}

// priced is the rule that was decided on, at the price that holds here; the zero rule if there is none.
func priced(sale policy.Decision) config.SellRule {
	if sale.Rule == nil {
		return config.SellRule{}
	}
	r := *sale.Rule
	r.Price = sale.Price
	return r
}
