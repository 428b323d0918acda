package pay

import (
	"net/netip"
	"sync"
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
	f := policy.Facts{InfoHashes: []units.InfoHash{a.InfoHash}, Remote: a.Remote.Addr(), Initiator: a.Initiator}
	d.look(&f)
	return f
}

// look adds what others know: the clock, the client and the file of countries.
func (d *Desk) look(f *policy.Facts) {
	f.Now = time.Now()
	if d.known.torrents != nil {
		if t, ok := d.known.torrents.Torrent(f.InfoHashes[0]); ok {
			f.Torrent = &t
			f.InfoHashes = append(f.InfoHashes, t.Hashes...)
		}
	}
	if d.known.country != nil && f.Remote.IsValid() {
		f.Country = d.known.country(f.Remote)
	}
}

// known gathers what the conversation itself knows of its connection by now.
func (c *conversation) known() policy.Facts {
	return policy.Facts{
		InfoHashes: []units.InfoHash{c.link.InfoHash()}, Remote: c.link.Remote().Addr(), Initiator: c.link.Initiator(),
		ClientID: c.link.RemoteID(), Identity: c.peer(), Volume: c.volume(),
	}
}

// volume is what the peer has been charged for, at the last look at its account.
func (c *conversation) volume() units.Bytes {
	if c.seller == nil {
		return 0
	}
	return c.seller.stock.volume
}

// peer is who the peer has proven to be as a buyer; zero while it has not.
func (c *conversation) peer() units.PeerKey {
	if c.seller == nil {
		return units.PeerKey{}
	}
	return c.seller.stock.buyer
}

// pays tells the most that is paid on a connection, if there is any money for it.
func (r *rules) pays(f policy.Facts) (units.Price, bool) {
	buy := r.buying.Decide(f)
	return buy.Max, buy.Pay && min(r.caps.Torrent, r.caps.Day, r.caps.Total) > 0
}

// manner tells what is offered on a connection to a seller that auctions, the zero price being its floor, and when
// anything is paid at all.
func (r *rules) manner(f policy.Facts) (units.Price, config.BuyWhen) {
	if buy := r.buying.Decide(f); buy.Rule != nil {
		return buy.Rule.Bid, buy.Rule.When
	}
	return units.Price{}, config.BuyWhen{}
}

// offer is a rule at a price.
type offer struct {
	rule  *config.SellRule
	price units.Price
}

// offers are the rules at the prices at which they were found to hold, each once however many peers it is for.
type offers struct {
	mu  sync.Mutex
	all map[offer]*config.SellRule
}

// mostOffers is how many are remembered; there are as many as the tiers and the hours of the rules name.
const mostOffers = 1024

// sale is what the rules make of a connection. Without a rail nothing is charged, and those who are refused are refused all
// the same.
func (d *Desk) sale(r *rules, f policy.Facts) policy.Decision {
	sale := r.selling.Decide(f)
	if d.rail == nil && !sale.Deny {
		sale.Free = true
	}
	return sale
}

// priced is the rule that was decided on, at the price that holds here; the zero rule if there is none. It must not be changed.
func (o *offers) priced(sale policy.Decision) *config.SellRule {
	key := offer{sale.Rule, sale.Price}
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := o.all[key]; r != nil {
		return r
	}
	var r config.SellRule
	if sale.Rule != nil {
		r = *sale.Rule
		r.Price, r.Max = sale.Price, policy.Largest(sale.Rule, sale.Price)
	}
	if r.When == "always" {
		r.Sample = max(r.Sample, advance)
	}
	if o.all == nil || len(o.all) >= mostOffers {
		o.all = map[offer]*config.SellRule{}
	}
	o.all[key] = &r
	return &r
}
