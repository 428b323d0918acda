package sandbox

import "github.com/lightningnetwork/lnd/lnrpc"

// feeds are the subscribers to one node's invoices. The network's lock guards them and every feed's queue.
type feeds map[*feed]struct{}

// feed is one subscriber. As in lnd, its two indexes start at what it asked for, and an event at or below them is not
// sent: so a subscriber that asks for settle index 1 before anything has settled never hears of the first settlement.
type feed struct {
	added, settled uint64
	queue          []*lnrpc.Invoice
	wake           chan struct{} // buffered, 1
}

func (f feeds) added(i *lnrpc.Invoice, index uint64) {
	for s := range f {
		if index > s.added {
			s.added = index
			s.push(i)
		}
	}
}

func (f feeds) settled(i *lnrpc.Invoice, index uint64) {
	for s := range f {
		if index > s.settled {
			s.settled = index
			s.push(i)
		}
	}
}

func (s *feed) push(i ...*lnrpc.Invoice) {
	s.queue = append(s.queue, i...)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// subscribe adds a feed and queues what it has missed: first invoices added after an add index above 0, as they are
// now, then those settled after a settle index above 0. Without indexes nothing is replayed.
func (n *Network) subscribe(node *Node, added, settled uint64) *feed {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.state.accounts[node.alias]
	f := &feed{added: added, settled: settled, wake: make(chan struct{}, 1)}
	if added > 0 {
		for _, i := range a.added[min(added, uint64(len(a.added))):] {
			if s := n.invoiceState(i); s == lnrpc.Invoice_OPEN || s == lnrpc.Invoice_SETTLED {
				f.push(n.rpcInvoice(i))
			}
		}
	}
	if settled > 0 {
		for _, i := range a.settled[min(settled, uint64(len(a.settled))):] {
			f.push(n.rpcInvoice(i))
		}
	}
	node.feeds[f] = struct{}{}
	return f
}

func (n *Network) unsubscribe(node *Node, f *feed) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(node.feeds, f)
}

// drain takes everything queued.
func (n *Network) drain(f *feed) []*lnrpc.Invoice {
	n.mu.Lock()
	defer n.mu.Unlock()
	q := f.queue
	f.queue = nil
	return q
}
