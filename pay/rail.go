package pay

import (
	"context"
	"time"

	"paygate/units"
)

// Rail is one way to move money. lnd is the first; nothing in a rule, message or ledger table may assume that it is
// the only one.
type Rail interface {
	Receiver
	Spender
	// Identity returns the key that receives the money and the network it lives on. It fails while the node is away.
	Identity(ctx context.Context) (Identity, error)
}

// Receiver is the earning half of a Rail.
type Receiver interface {
	Issue(ctx context.Context, o Order) (Issued, error)
	// Cancel makes an open invoice unpayable; ErrGone if it is not open.
	Cancel(ctx context.Context, hash units.PaymentHash) error
	// Lookup returns the settlement of one of our own invoices, false while it has none, and ErrGone if it never will.
	Lookup(ctx context.Context, hash units.PaymentHash) (Settlement, bool, error)
	// Settlements calls fn for every invoice settled after the given index, in order, until the stream or fn fails.
	Settlements(ctx context.Context, after uint64, fn func(Settlement) error) error
}

// Spender is the paying half of a Rail.
type Spender interface {
	// Read decodes a payment request without asking anybody.
	Read(request string) (Request, error)
	// Pay pays and tracks. An error leaves the outcome unknown.
	Pay(ctx context.Context, p Payment) (Outcome, error)
	// Track waits for the outcome of a payment that may have been sent before. An error leaves it unknown.
	Track(ctx context.Context, hash units.PaymentHash) (Outcome, error)
}

// Identity names the receiving end of a rail.
type Identity struct {
	Node    units.NodeKey
	Network string
}

// Order asks for one payment request. Binding becomes its description hash (BOLT 11, field h).
type Order struct {
	Msat    units.Msat
	Binding [32]byte
}

// Issued is a payment request that can be handed to the payer.
type Issued struct {
	Hash    units.PaymentHash
	Request string
	Expires time.Time
}

// Settlement is money that has arrived.
type Settlement struct {
	Hash  units.PaymentHash
	Msat  units.Msat
	Index uint64
	At    time.Time
}

// Request is what a payment request says about itself (BOLT 11).
type Request struct {
	Network    string
	Payee      units.NodeKey
	Hash       units.PaymentHash
	Msat       units.Msat // 0: none named
	Binding    [32]byte
	HasBinding bool
	Expires    time.Time
	FinalCLTV  uint64
	Plain      bool // neither AMP nor blinded
}

// Payment is one payment to make: never more than FeeLimit in fees.
type Payment struct {
	Request  string
	Hash     units.PaymentHash
	FeeLimit units.Msat
}

// OutcomeState says what has become of a payment.
type OutcomeState uint8

const (
	// Unresolved payments may still succeed. They count as spent.
	Unresolved OutcomeState = iota
	// Succeeded payments have given up their preimage.
	Succeeded
	// Failed payments will never succeed: the node itself said so.
	Failed
	// NeverSent payments are unknown to the node.
	NeverSent
)

// Outcome is what has become of a payment.
type Outcome struct {
	State    OutcomeState
	Fee      units.Msat
	Preimage units.Preimage
	Reason   string
}
