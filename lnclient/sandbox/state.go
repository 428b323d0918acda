package sandbox

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/lnrpc"

	"paygate/units"
)

// state is the whole network as a function of its events. It changes through apply alone, live and when it is read
// back, so that both always agree. It has no lock, no clock and no I/O of its own.
type state struct {
	accounts map[string]*account // by alias
	byKey    map[units.NodeKey]*account
	channels []*channel
}

// account is what the network knows of one node.
type account struct {
	nodeRecord
	priv     *btcec.PrivateKey
	key      units.NodeKey
	invoices map[units.PaymentHash]*invoice
	added    []*invoice // by add index - 1
	settled  []*invoice // by settle index - 1
	payments map[units.PaymentHash]*payment
	attempts uint64 // payments taken, the index of the last
	stats    Stats
}

// channel holds its capacity in four parts, whose sum never changes: two balances and what each side has in flight.
type channel struct {
	channelRecord
	balance [2]units.Msat // of A, of B
	held    [2]units.Msat // sent by A, by B, and not settled
	pending int           // parts in flight
}

// side is 0 for the channel's A, 1 for its B.
func (c *channel) side(alias string) int {
	if c.A == alias {
		return 0
	}
	return 1
}

func (c *channel) has(alias string) bool { return c.A == alias || c.B == alias }

func (c *channel) peer(alias string) string {
	if c.A == alias {
		return c.B
	}
	return c.A
}

type invoice struct {
	invoiceRecord
	addIndex, settleIndex uint64
	state                 lnrpc.Invoice_InvoiceState
	paid                  units.Msat
	settledAt             int64 // Unix seconds
}

type payment struct {
	paymentRecord
	index    uint64
	status   lnrpc.Payment_PaymentStatus
	preimage hexBytes
	changed  chan struct{} // closed at the terminal state
	released *bool         // a stuck payment was told how to end
}

func newState() *state {
	return &state{accounts: map[string]*account{}, byKey: map[units.NodeKey]*account{}}
}

var errCorrupt = errors.New("the state contradicts itself")

// apply makes one change. It fails, without a trace, on an event that does not fit.
func (s *state) apply(e event) error {
	switch {
	case e.Node != nil:
		return s.addNode(*e.Node)
	case e.Channel != nil:
		return s.addChannel(*e.Channel)
	case e.Invoice != nil:
		return s.addInvoice(*e.Invoice)
	case e.Cancel != nil:
		return s.cancel(*e.Cancel)
	case e.Send != nil:
		return s.send(*e.Send)
	case e.Settle != nil:
		return s.settle(*e.Settle)
	case e.Fail != nil:
		return s.fail(*e.Fail)
	}
	return fmt.Errorf("empty event: %w", errCorrupt)
}

// addNode adds a node, or notes its new address.
func (s *state) addNode(r nodeRecord) error {
	if a := s.accounts[r.Alias]; a != nil {
		a.Address = r.Address
		return nil
	}
	if len(r.Key) != btcec.PrivKeyBytesLen {
		return fmt.Errorf("key of node %s: %w", r.Alias, errCorrupt)
	}
	priv, pub := btcec.PrivKeyFromBytes(r.Key)
	a := &account{
		nodeRecord: r,
		priv:       priv,
		key:        units.NodeKey(pub.SerializeCompressed()),
		invoices:   map[units.PaymentHash]*invoice{},
		payments:   map[units.PaymentHash]*payment{},
	}
	s.accounts[r.Alias], s.byKey[a.key] = a, a
	return nil
}

func (s *state) addChannel(r channelRecord) error {
	if s.accounts[r.A] == nil || s.accounts[r.B] == nil || r.ID != uint64(len(s.channels)+1) {
		return fmt.Errorf("channel %d: %w", r.ID, errCorrupt)
	}
	c := &channel{channelRecord: r, balance: [2]units.Msat{r.ABalance, r.Capacity - r.ABalance}}
	s.channels = append(s.channels, c)
	return nil
}

func (s *state) addInvoice(r invoiceRecord) error {
	a, hash, err := s.find(r.Node, r.Hash)
	if err != nil || a.invoices[hash] != nil {
		return fmt.Errorf("invoice %x: %w", []byte(r.Hash), errCorrupt)
	}
	i := &invoice{invoiceRecord: r, addIndex: uint64(len(a.added) + 1), state: lnrpc.Invoice_OPEN}
	a.invoices[hash] = i
	a.added = append(a.added, i)
	return nil
}

func (s *state) cancel(r reference) error {
	a, hash, err := s.find(r.Node, r.Hash)
	if err != nil || a.invoices[hash] == nil || a.invoices[hash].state != lnrpc.Invoice_OPEN {
		return fmt.Errorf("cancelled invoice %x: %w", []byte(r.Hash), errCorrupt)
	}
	a.invoices[hash].state = lnrpc.Invoice_CANCELED
	return nil
}

// send records a payment and locks its amount on every channel of its route.
func (s *state) send(r paymentRecord) error {
	a, hash, err := s.find(r.Node, r.Hash)
	if err != nil || !s.canHold(r.Hops) || r.Reason == "" && len(r.Hops) == 0 {
		return fmt.Errorf("payment %x: %w", []byte(r.Hash), errCorrupt)
	}
	for _, h := range r.Hops {
		c := s.channels[h.Channel-1]
		c.balance[c.side(h.From)] -= h.Msat
		c.held[c.side(h.From)] += h.Msat
		c.pending++
	}
	a.attempts++
	p := &payment{paymentRecord: r, index: a.attempts, status: lnrpc.Payment_IN_FLIGHT, changed: make(chan struct{})}
	a.payments[hash] = p
	if r.Reason != "" {
		p.end(lnrpc.Payment_FAILED)
	}
	return nil
}

func (s *state) canHold(hops []hop) bool {
	for _, h := range hops {
		if h.Channel == 0 || h.Channel > uint64(len(s.channels)) {
			return false
		}
		c := s.channels[h.Channel-1]
		if !c.has(h.From) || h.Msat <= 0 || c.balance[c.side(h.From)] < h.Msat {
			return false
		}
	}
	return true
}

// settle moves what a payment has locked, and settles its invoice with it: both or neither.
func (s *state) settle(r reference) error {
	a, p, err := s.inFlight(r)
	if err != nil {
		return err
	}
	payee := s.accounts[p.Payee]
	if payee == nil || payee.invoices[units.PaymentHash(r.Hash)] == nil {
		return fmt.Errorf("settled payment %x: %w", []byte(r.Hash), errCorrupt)
	}
	for _, h := range p.Hops {
		c := s.channels[h.Channel-1]
		c.held[c.side(h.From)] -= h.Msat
		c.balance[1-c.side(h.From)] += h.Msat
		c.pending--
	}
	i := payee.invoices[units.PaymentHash(r.Hash)]
	payee.settled = append(payee.settled, i)
	i.state, i.paid, i.settledAt = lnrpc.Invoice_SETTLED, p.Msat, r.At.Unix()
	i.settleIndex = uint64(len(payee.settled))
	payee.stats.ReceivedMsat += p.Msat
	payee.stats.Settled++
	a.stats.SentMsat += p.Msat
	a.stats.FeesMsat += p.Fee
	a.stats.Payments++
	p.preimage = i.Preimage
	p.end(lnrpc.Payment_SUCCEEDED)
	return nil
}

// fail gives back what a payment has locked.
func (s *state) fail(r reference) error {
	_, p, err := s.inFlight(r)
	if err != nil {
		return err
	}
	for _, h := range p.Hops {
		c := s.channels[h.Channel-1]
		c.held[c.side(h.From)] -= h.Msat
		c.balance[c.side(h.From)] += h.Msat
		c.pending--
	}
	p.Reason = r.Reason
	p.end(lnrpc.Payment_FAILED)
	return nil
}

func (p *payment) end(status lnrpc.Payment_PaymentStatus) {
	p.status = status
	close(p.changed)
}

func (s *state) inFlight(r reference) (*account, *payment, error) {
	a, hash, err := s.find(r.Node, r.Hash)
	if err != nil || a.payments[hash] == nil || a.payments[hash].status != lnrpc.Payment_IN_FLIGHT {
		return nil, nil, fmt.Errorf("end of payment %x: %w", []byte(r.Hash), errCorrupt)
	}
	return a, a.payments[hash], nil
}

func (s *state) find(alias string, hash hexBytes) (*account, units.PaymentHash, error) {
	a := s.accounts[alias]
	if a == nil || len(hash) != 32 {
		return nil, units.PaymentHash{}, errCorrupt
	}
	return a, units.PaymentHash(hash), nil
}
