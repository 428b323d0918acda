package lnclient

import (
	"context"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"google.golang.org/grpc/codes"

	"paygate/units"
)

// NewInvoice is what to ask of a payer.
type NewInvoice struct {
	Msat            units.Msat // above 0
	DescriptionHash [32]byte
	Expiry          time.Duration // whole seconds, 1 s to a year
	PrivateHints    bool          // name private channels as routes
}

// Invoice is one that the node has issued.
type Invoice struct {
	Hash     units.PaymentHash
	Request  string
	Expires  time.Time
	AddIndex uint64
}

// AddInvoice has the node issue an invoice. What comes back has been read and belongs to the configured network.
func (c *Client) AddInvoice(ctx context.Context, in NewInvoice) (Invoice, error) {
	if in.Msat <= 0 || in.Expiry < time.Second {
		return Invoice{}, newProblem(Other, fmt.Errorf("add invoice: %s for %s cannot be asked", in.Msat, in.Expiry))
	}
	call, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := c.node.AddInvoice(call, &lnrpc.Invoice{
		ValueMsat:       int64(in.Msat),
		DescriptionHash: in.DescriptionHash[:],
		Expiry:          int64(in.Expiry / time.Second),
		Private:         in.PrivateHints,
	})
	if err != nil {
		return Invoice{}, c.blockedProblem(ctx, call, "add invoice", err)
	}
	d, err := Decode(r.PaymentRequest, c.network)
	if err != nil {
		return Invoice{}, fmt.Errorf("check invoice of own node: %w", err)
	}
	return Invoice{Hash: d.Hash, Request: r.PaymentRequest, Expires: d.Expires, AddIndex: r.AddIndex}, nil
}

// CancelInvoice makes the node turn payments of an open invoice down. Cancelling twice is no error; cancelling a
// settled or an unknown invoice is.
func (c *Client) CancelInvoice(ctx context.Context, hash units.PaymentHash) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if _, err := c.invoice.CancelInvoice(ctx, &invoicesrpc.CancelInvoiceMsg{PaymentHash: hash[:]}); err != nil {
		return c.problem(ctx, "cancel invoice", err)
	}
	return nil
}

// InvoiceState is where an invoice of the node's own stands.
type InvoiceState uint8

// The states of an invoice. Only Settled is money.
const (
	Missing  InvoiceState = iota // the node does not know it
	Open                         // waits for a payment
	Accepted                     // a payment is held, not yet taken
	Settled                      // paid
	Canceled                     // cancelled or expired
)

var invoiceStateNames = [...]string{"missing", "open", "accepted", "settled", "canceled"}

// String names the state in a word.
func (s InvoiceState) String() string {
	if int(s) < len(invoiceStateNames) {
		return invoiceStateNames[s]
	}
	return invoiceStateNames[Missing]
}

// InvoiceStatus is what the node says of an invoice. All but State is set for Settled only.
type InvoiceStatus struct {
	State       InvoiceState
	Msat        units.Msat // received
	SettleIndex uint64
	SettledAt   time.Time
}

// LookupInvoice asks the node for one invoice. One that it does not know is Missing, not an error.
func (c *Client) LookupInvoice(ctx context.Context, hash units.PaymentHash) (InvoiceStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := c.node.LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: hash[:]})
	if hasCode(err, codes.NotFound) {
		return InvoiceStatus{State: Missing}, nil
	}
	if err != nil {
		return InvoiceStatus{}, c.problem(ctx, "look invoice up", err)
	}
	return statusOf(r), nil
}

func statusOf(r *lnrpc.Invoice) InvoiceStatus {
	switch r.State {
	case lnrpc.Invoice_ACCEPTED:
		return InvoiceStatus{State: Accepted}
	case lnrpc.Invoice_CANCELED:
		return InvoiceStatus{State: Canceled}
	case lnrpc.Invoice_SETTLED:
		return InvoiceStatus{
			State:       Settled,
			Msat:        units.Msat(r.AmtPaidMsat),
			SettleIndex: r.SettleIndex,
			SettledAt:   time.Unix(r.SettleDate, 0),
		}
	}
	return InvoiceStatus{State: Open}
}
