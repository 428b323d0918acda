package pay

import (
	"fmt"
	"time"

	"paygate/proxy/wire"
	"paygate/units"
)

const (
	maxFinalCLTV = 144 // blocks; what a payment may be tied up for at its last hop
	minExpiry    = 60 * time.Second
)

// bargain is what we asked of whom; an invoice is paid only if it says just that.
type bargain struct {
	buyer, seller units.PeerKey
	node, ownNode units.NodeKey
	network       string
	amt           units.Msat
	price         units.Price
	purpose       string
}

// refusal says why an invoice is not paid.
type refusal struct{ reason string }

func (r *refusal) Error() string { return "invoice not paid: " + r.reason }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// check holds an invoice against the bargain (protocol: invoice binding). Nothing has been reserved before it passes.
func (g bargain) check(inv wire.Invoice, r Request, now time.Time) error {
	switch {
	case inv.For != g.purpose:
		return refuse("it is for %q", inv.For)
	case r.Network != g.network:
		return refuse("it is for network %s, we are on %s", r.Network, g.network)
	case r.Payee != g.node:
		return refuse("it pays another node than the seller named")
	case r.Payee == g.ownNode:
		return refuse("it pays our own node")
	case !r.Plain:
		return refuse("it is not a plain BOLT 11 invoice")
	case r.Msat != g.amt:
		return refuse("it asks %d msat, we agreed on %d", r.Msat, g.amt)
	case inv.Buys <= 0 || g.price.Charge(inv.Buys) != g.amt:
		return refuse("%d bytes are not what %d msat buy at the agreed price", inv.Buys, g.amt)
	case !r.HasBinding || r.Binding != wire.Binding(g.buyer, g.seller, inv.Buys, g.price):
		return refuse("it is not bound to this bargain")
	case r.Expires.Before(now.Add(minExpiry)):
		return refuse("it expires too soon")
	case r.FinalCLTV > maxFinalCLTV:
		return refuse("it would tie the money up for %d blocks", r.FinalCLTV)
	}
	return nil
}
