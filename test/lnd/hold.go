package lnd

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"

	"paygate/test/process"
	"paygate/units"
)

// Hold is a hold invoice: its payment stays in flight until it is settled or cancelled.
type Hold struct {
	Request string
	Hash    units.PaymentHash

	node     *Node
	preimage units.Preimage
}

// Hold has the node issue a hold invoice.
func (n *Node) Hold(ctx context.Context, msat units.Msat) (*Hold, error) {
	h := &Hold{node: n}
	_, _ = rand.Read(h.preimage[:]) // it never fails
	h.Hash = sha256.Sum256(h.preimage[:])
	r, err := invoicesrpc.NewInvoicesClient(n.conn).AddHoldInvoice(ctx, &invoicesrpc.AddHoldInvoiceRequest{
		Hash: h.Hash[:], ValueMsat: int64(msat), Expiry: 3600,
	})
	if err != nil {
		return nil, fmt.Errorf("add hold invoice at node %s: %w", n.alias, err)
	}
	h.Request = r.PaymentRequest
	return h, nil
}

// Accepted waits until a payment of the invoice has arrived, and is held.
func (h *Hold) Accepted(ctx context.Context) error {
	return process.Poll(ctx, pollEvery, func() error {
		i, err := h.node.lightning.LookupInvoice(ctx, &lnrpc.PaymentHash{RHash: h.Hash[:]})
		if err != nil {
			return err
		}
		if i.State != lnrpc.Invoice_ACCEPTED {
			return fmt.Errorf("hold invoice is %s", i.State)
		}
		return nil
	})
}

// Settle takes the payment that is held.
func (h *Hold) Settle(ctx context.Context) error {
	req := &invoicesrpc.SettleInvoiceMsg{Preimage: h.preimage[:]}
	if _, err := invoicesrpc.NewInvoicesClient(h.node.conn).SettleInvoice(ctx, req); err != nil {
		return fmt.Errorf("settle hold invoice at node %s: %w", h.node.alias, err)
	}
	return nil
}

// Cancel gives the payment back.
func (h *Hold) Cancel(ctx context.Context) error {
	req := &invoicesrpc.CancelInvoiceMsg{PaymentHash: h.Hash[:]}
	if _, err := invoicesrpc.NewInvoicesClient(h.node.conn).CancelInvoice(ctx, req); err != nil {
		return fmt.Errorf("cancel hold invoice at node %s: %w", h.node.alias, err)
	}
	return nil
}
