package sandbox

import (
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"

	"paygate/units"
)

// intent is a payment that has passed every check which needs no state.
type intent struct {
	from    *account
	hash    units.PaymentHash
	addr    hexBytes
	request string
	payee   units.NodeKey
	journey journey
}

// begin takes a payment, as lnd does: a hash that is paid or under way is refused, anything else is recorded and
// either sets out on its route or has failed. The lock is held.
func (n *Network) begin(in intent) (*payment, error) {
	if old := in.from.payments[in.hash]; old != nil {
		switch old.status {
		case lnrpc.Payment_SUCCEEDED:
			return nil, errAlreadyPaid()
		case lnrpc.Payment_IN_FLIGHT:
			return nil, errInTransition()
		}
	}
	r := paymentRecord{
		Node: in.from.Alias, Hash: in.hash[:], Addr: in.addr, Msat: in.journey.msat, Request: in.request, Created: n.now(),
	}
	n.plan(&r, in)
	if err := n.commit(event{Send: &r}); err != nil {
		return nil, err
	}
	p := in.from.payments[in.hash]
	if !p.ended() {
		n.launch(p, n.delay(r.Node))
	}
	return p, nil
}

// plan fills in the route of a payment, or why it fails. The lock is held.
func (n *Network) plan(r *paymentRecord, in intent) {
	if reason, ok := n.failure(r.Node); ok {
		r.Reason = reason.String()
		return
	}
	j := in.journey
	if payee := n.state.byKey[in.payee]; payee != nil {
		j.to = payee.Alias
	}
	hops, fee, reason := n.route(j)
	if hops == nil {
		r.Reason = reason.String()
		return
	}
	r.Payee, r.Hops, r.Fee = j.to, hops, fee
	_, r.Stuck = n.take(StuckInFlight, r.Node)
}

// failure is the reason that a fault prescribes.
func (n *Network) failure(alias string) (lnrpc.PaymentFailureReason, bool) {
	for _, f := range []struct {
		kind   FaultKind
		reason lnrpc.PaymentFailureReason
	}{
		{NoRoute, lnrpc.PaymentFailureReason_FAILURE_REASON_NO_ROUTE},
		{InsufficientBalance, lnrpc.PaymentFailureReason_FAILURE_REASON_INSUFFICIENT_BALANCE},
		{Unsynced, lnrpc.PaymentFailureReason_FAILURE_REASON_INSUFFICIENT_BALANCE},
		{IncorrectDetails, lnrpc.PaymentFailureReason_FAILURE_REASON_INCORRECT_PAYMENT_DETAILS},
	} {
		if _, ok := n.take(f.kind, alias); ok {
			return f.reason, true
		}
	}
	return 0, false
}

func (n *Network) delay(alias string) time.Duration {
	f, _ := n.take(Slow, alias)
	return n.latency + f.Delay
}

func (p *payment) ended() bool { return p.status != lnrpc.Payment_IN_FLIGHT }

// launch carries a payment on its own goroutine, which Close waits for. The lock is held.
func (n *Network) launch(p *payment, delay time.Duration) {
	n.flying[p] = struct{}{}
	n.tasks.Add(1)
	go n.carry(p, delay)
}

// carry waits out the latency, then until the payment may end, and ends it.
func (n *Network) carry(p *payment, delay time.Duration) {
	defer n.tasks.Done()
	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-n.ctx.Done():
			return
		}
	}
	for {
		wait, ended := n.arrive(p)
		if ended {
			return
		}
		select {
		case <-wait:
		case <-n.ctx.Done():
			return
		}
	}
}

// arrive ends the payment if nothing holds it up, and otherwise returns what to wait for.
func (n *Network) arrive(p *payment) (<-chan struct{}, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, true
	}
	if !n.passable(p) || p.Stuck && p.released == nil {
		return n.changed, false
	}
	ref := reference{Node: p.Node, Hash: p.Hash, At: n.now()}
	if err := n.finish(p, ref); err != nil {
		return n.changed, false
	}
	delete(n.flying, p)
	return nil, true
}

// finish settles a payment if its invoice takes it, or fails it as lnd's payee does. The lock is held.
func (n *Network) finish(p *payment, ref reference) error {
	payee := n.state.accounts[p.Payee]
	inv := payee.invoices[units.PaymentHash(p.Hash)]
	if p.released != nil && !*p.released || inv == nil || !n.takes(inv, p) {
		ref.Reason = lnrpc.PaymentFailureReason_FAILURE_REASON_INCORRECT_PAYMENT_DETAILS.String()
		return n.commit(event{Fail: &ref})
	}
	if err := n.commit(event{Settle: &ref}); err != nil {
		return err
	}
	n.nodes[p.Payee].feeds.settled(n.rpcInvoice(inv), inv.settleIndex)
	return nil
}

// takes reports whether an invoice accepts a payment now.
func (n *Network) takes(i *invoice, p *payment) bool {
	return n.invoiceState(i) == lnrpc.Invoice_OPEN && p.Msat >= i.Msat && string(p.Addr) == string(i.PaymentAddr)
}

// passable reports whether every node beyond the sender is up: what a sender has handed on goes on without it.
func (n *Network) passable(p *payment) bool {
	for _, h := range p.Hops[1:] {
		if !n.up(h.From) {
			return false
		}
	}
	return n.up(p.Payee)
}

// up reports whether a node is running. The lock is held.
func (n *Network) up(alias string) bool {
	node := n.nodes[alias]
	return node != nil && node.server != nil
}

// invoiceState is what lnd would show: an invoice whose time has passed is cancelled. The lock is held.
func (n *Network) invoiceState(i *invoice) lnrpc.Invoice_InvoiceState {
	if i.state == lnrpc.Invoice_OPEN && n.now().After(i.Created.Add(i.Expiry)) {
		return lnrpc.Invoice_CANCELED
	}
	return i.state
}
