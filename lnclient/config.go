package lnclient

import (
	"context"
	"errors"
	"time"

	"paygate/units"
)

// Config names one lnd node and the right to use it.
type Config struct {
	Address  string       // gRPC host:port
	TLSCert  []byte       // PEM of the node's certificate; empty: the system's roots decide
	Macaroon units.Secret // hexadecimal
	Network  string       // mainnet, testnet, signet, simnet or regtest
}

var errTODO = errors.New("not built yet")
var _ = time.Second

// Client speaks to one lnd node. It is safe for concurrent use and reconnects by itself.
type Client struct{}

// New prepares a client without connecting. It fails only on a configuration that can never work.
func New(cfg Config) (*Client, error) { return nil, errTODO }

// Close ends every call in flight and waits for the connection's goroutines.
func (c *Client) Close() error { return nil }

// Info describes the node.
type Info struct {
	Node                    units.NodeKey
	Alias, Version, Network string
	Synced                  bool
}

func (c *Client) Info(ctx context.Context) (Info, error) { return Info{}, errTODO }

// NewInvoice is what to ask of a payer.
type NewInvoice struct {
	Msat            units.Msat
	DescriptionHash [32]byte
	Expiry          time.Duration
	PrivateHints    bool
}

// Invoice is one that the node has issued.
type Invoice struct {
	Hash     units.PaymentHash
	Request  string
	Expires  time.Time
	AddIndex uint64
}

func (c *Client) AddInvoice(ctx context.Context, in NewInvoice) (Invoice, error) {
	return Invoice{}, errTODO
}
func (c *Client) CancelInvoice(ctx context.Context, hash units.PaymentHash) error { return errTODO }

// InvoiceState is where an invoice of ours stands.
type InvoiceState uint8

const (
	Missing InvoiceState = iota
	Open
	Accepted
	Settled
	Canceled
)

// InvoiceStatus is what the node says of an invoice.
type InvoiceStatus struct {
	State       InvoiceState
	Msat        units.Msat
	SettleIndex uint64
	SettledAt   time.Time
}

func (c *Client) LookupInvoice(ctx context.Context, hash units.PaymentHash) (InvoiceStatus, error) {
	return InvoiceStatus{}, errTODO
}

// Settlement is one payment received.
type Settlement struct {
	Hash        units.PaymentHash
	Msat        units.Msat
	SettleIndex uint64
	At          time.Time
}

func (c *Client) Settlements(ctx context.Context, after uint64, fn func(Settlement) error) error {
	return errTODO
}

// Payment is one to make.
type Payment struct {
	Request   string
	Hash      units.PaymentHash
	FeeLimit  units.Msat
	Timeout   time.Duration
	CLTVLimit int32
	MaxParts  uint32
}

// PayState is what is known of a payment.
type PayState uint8

const (
	InFlight PayState = iota // or unknown
	Succeeded
	Failed
	NeverSent
)

// Outcome is what became of a payment.
type Outcome struct {
	State    PayState
	Fee      units.Msat
	Preimage units.Preimage
	Reason   string
}

func (c *Client) Pay(ctx context.Context, p Payment) (Outcome, error) { return Outcome{}, errTODO }
func (c *Client) Track(ctx context.Context, hash units.PaymentHash) (Outcome, error) {
	return Outcome{}, errTODO
}

// Refused says that nothing was sent.
type Refused struct {
	Reason string
	Err    error
}

func (r *Refused) Error() string { return r.Reason }
func (r *Refused) Unwrap() error { return r.Err }

// Decoded is a BOLT 11 request.
type Decoded struct {
	Network            string
	Payee              units.NodeKey
	Hash               units.PaymentHash
	Msat               units.Msat
	HasMsat            bool
	DescriptionHash    [32]byte
	HasDescriptionHash bool
	Expires            time.Time
	FinalCLTV          uint64
	AMP                bool
}

func Decode(request string, network string) (Decoded, error) { return Decoded{}, errTODO }

// ProblemKind sorts what can be wrong.
type ProblemKind uint8

const (
	Other ProblemKind = iota
	Unreachable
	Locked
	NoWallet
	Starting
	Unsynced
	Denied
	BadMacaroon
	BadCert
)

// Problem is what is wrong with the node, for its owner.
type Problem struct {
	Kind   ProblemKind
	Remedy string
	Err    error
}

func (p *Problem) Error() string { return p.Err.Error() }
func (p *Problem) Unwrap() error { return p.Err }
