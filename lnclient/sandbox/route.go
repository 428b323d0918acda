package sandbox

import (
	"github.com/lightningnetwork/lnd/lnrpc"

	"paygate/units"
)

// What every channel of the network allows, as lnd's defaults do.
const (
	minHTLC      = units.Sat // smallest part
	maxPending   = 483       // parts in flight per channel (BOLT 2)
	hopCLTV      = 80        // blocks per forwarding hop
	finalPadding = 3         // blocks that lnd adds for the payee
)

// journey is a payment looking for its route.
type journey struct {
	from, to  string
	msat      units.Msat
	feeLimit  units.Msat
	cltvLimit uint32
	finalCLTV uint32
}

// reach is what must arrive at a node for the payment to go on from it, and how it goes on.
type reach struct {
	msat units.Msat
	hops int
	via  *channel
	next string
	done bool
}

func (r reach) cheaper(o reach) bool {
	return r.msat < o.msat || r.msat == o.msat && r.hops < o.hops
}

// route finds the cheapest route that every channel can carry now. The sandbox sends in one part. With no route it
// gives lnd's reason.
func (n *Network) route(j journey) ([]hop, units.Msat, lnrpc.PaymentFailureReason) {
	if !n.affords(j.from, j.msat) {
		return nil, 0, lnrpc.PaymentFailureReason_FAILURE_REASON_INSUFFICIENT_BALANCE
	}
	hops := n.explore(j)
	if hops == nil || hops[0].Msat-j.msat > j.feeLimit || j.cltv(len(hops)) > j.cltvLimit {
		return nil, 0, lnrpc.PaymentFailureReason_FAILURE_REASON_NO_ROUTE
	}
	return hops, hops[0].Msat - j.msat, lnrpc.PaymentFailureReason_FAILURE_REASON_NONE
}

func (j journey) cltv(hops int) uint32 {
	return j.finalCLTV + finalPadding + hopCLTV*uint32(hops-1)
}

// affords reports whether a channel of the sender could carry the amount at all.
func (n *Network) affords(alias string, msat units.Msat) bool {
	for _, c := range n.state.channels {
		if c.has(alias) && n.carries(c, alias, msat) {
			return true
		}
	}
	return false
}

// carries reports whether from can send msat over c now.
func (n *Network) carries(c *channel, from string, msat units.Msat) bool {
	return n.up(c.peer(from)) && c.pending < maxPending && c.balance[c.side(from)] >= msat
}

// explore is Dijkstra's search from the payee backwards, since fees depend on what is forwarded.
func (n *Network) explore(j journey) []hop {
	if j.msat < minHTLC || !n.up(j.to) {
		return nil
	}
	seen := map[string]*reach{j.to: {msat: j.msat}}
	for {
		at, r := nearest(seen)
		if r == nil {
			return nil
		}
		if at == j.from {
			return trace(seen, j.from, j.to)
		}
		r.done = true
		n.relax(seen, at, *r, j.from)
	}
}

// nearest picks the cheapest node that is not done; of equals the first by name, so that routes repeat.
func nearest(seen map[string]*reach) (at string, best *reach) {
	for alias, r := range seen {
		if r.done {
			continue
		}
		if best == nil || r.cheaper(*best) || !best.cheaper(*r) && alias < at {
			at, best = alias, r
		}
	}
	return at, best
}

// relax offers every neighbour of a node the way through it.
func (n *Network) relax(seen map[string]*reach, at string, r reach, sender string) {
	for _, c := range n.state.channels {
		if !c.has(at) {
			continue
		}
		from := c.peer(at)
		if from != sender && !n.up(from) || !n.carries(c, from, r.msat) {
			continue
		}
		offer := reach{msat: r.msat, hops: r.hops + 1, via: c, next: at}
		if from != sender {
			offer.msat += n.fee(r.msat)
		}
		if old := seen[from]; old == nil || !old.done && offer.cheaper(*old) {
			seen[from] = &offer
		}
	}
}

// fee is what a node takes for forwarding msat, rounded down as lnd does. Divided first, it cannot overflow.
func (n *Network) fee(msat units.Msat) units.Msat {
	const million = 1_000_000
	ppm := units.Msat(n.cfg.FeePPM)
	return n.cfg.FeeBase + msat/million*ppm + msat%million*ppm/million
}

func trace(seen map[string]*reach, from, to string) []hop {
	var hops []hop
	for at := from; at != to; at = seen[at].next {
		r := seen[at]
		hops = append(hops, hop{Channel: r.via.ID, From: at, Msat: seen[r.next].msat})
	}
	return hops
}
