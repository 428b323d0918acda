package pay

import (
	"net/netip"

	"paygate/policy"
	"paygate/proxy"
	"paygate/units"
)

// Facts gathers what is known of a peer on a torrent, and whether it is connected: then that is what its connection has
// told, too. A peer of which only the address is known is any of that address.
func (d *Desk) Facts(ih units.InfoHash, remote netip.Addr) (f policy.Facts, connected bool) {
	f = d.facts(proxy.Arrival{InfoHash: ih, Remote: netip.AddrPortFrom(remote, 0)})
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.talks {
		if !remote.IsValid() || c.link.Remote().Addr() != remote || c.link.InfoHash() != ih {
			continue
		}
		f.ClientID, f.Initiator, connected = c.link.RemoteID(), c.link.Initiator(), true
		if t := c.shown.p.Load(); t != nil {
			f.Identity = t.Buyer
		}
	}
	return f, connected
}

// NotNow tells why nothing is bought at the moment of a peer that is connected; "" if something is, or nobody has asked.
func (d *Desk) NotNow(ih units.InfoHash, remote netip.Addr) (why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.talks {
		if t := c.shown.p.Load(); t != nil && t.Why != "" && c.link.Remote().Addr() == remote && c.link.InfoHash() == ih {
			why = t.Why
		}
	}
	return why
}

// Explain holds a peer against the rules as they stand, and tells whether the torrent is blocked.
func (d *Desk) Explain(f policy.Facts) (sell policy.Decision, buy policy.BuyDecision, blocked bool) {
	r := d.rules()
	for _, h := range f.InfoHashes {
		blocked = blocked || d.blocks.has(h)
	}
	return r.selling.Explain(f), r.buying.Explain(f), blocked
}
