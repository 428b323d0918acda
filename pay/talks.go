package pay

import (
	"sync/atomic"

	"paygate/proxy"
	"paygate/units"
)

// Talk is what a conversation shows of itself: Paying is "sell", "buy", "legacy" or "" while that is not known, Balance
// the account with the peer at the last count, and where we sell, Buyer who it has proven to be and Waits
// how long it has waited for payments that are over. Where we buy, Why tells why nothing is bought now; "" if it is, or
// nobody has asked.
type Talk struct {
	Paying  string
	Balance units.Msat
	Buyer   units.PeerKey
	Waits   Waits
	Why     string
}

// shown is the latest Talk; Run writes it, anybody reads it.
type shown struct{ p atomic.Pointer[Talk] }

func (s *shown) set(t Talk) {
	if old := s.p.Load(); old == nil || *old != t {
		s.p.Store(&t)
	}
}

// Talks returns what each live session's conversation shows, by session id.
func (d *Desk) Talks() map[uint64]Talk {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[uint64]Talk, len(d.talks))
	for c := range d.talks {
		if t := c.shown.p.Load(); t != nil {
			out[c.link.ID()] = *t
		}
	}
	return out
}

// Pricing names the rule and the price under which a torrent is sold; both are empty when it is not.
func (d *Desk) Pricing(ih units.InfoHash) (rule, price string) {
	if sale := d.rules().selling.Decide(d.facts(proxy.Arrival{InfoHash: ih})); sale.Rule != nil {
		return sale.Rule.Name, sale.Price.String()
	}
	return "", ""
}
