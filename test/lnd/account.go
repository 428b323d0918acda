package lnd

import (
	"context"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"

	"paygate/lnclient/sandbox"
	"paygate/units"
)

// Bake makes a macaroon, in hexadecimal, that allows the given calls only, each as /package.Service/Method.
func (n *Node) Bake(ctx context.Context, uris ...string) (units.Secret, error) {
	req := &lnrpc.BakeMacaroonRequest{}
	for _, u := range uris {
		req.Permissions = append(req.Permissions, &lnrpc.MacaroonPermission{Entity: "uri", Action: u})
	}
	r, err := n.lightning.BakeMacaroon(ctx, req)
	if err != nil {
		return "", fmt.Errorf("bake macaroon of node %s: %w", n.alias, err)
	}
	return units.Secret(r.Macaroon), nil
}

// Balance is what the node owns in its channels, and what its peers own there. Amounts in flight belong to neither,
// nor does what the channels' own transactions hold back.
func (n *Node) Balance(ctx context.Context) (local, remote units.Msat, err error) {
	r, err := n.lightning.ChannelBalance(ctx, &lnrpc.ChannelBalanceRequest{})
	if err != nil {
		return 0, 0, fmt.Errorf("read balance of node %s: %w", n.alias, err)
	}
	return units.Msat(r.LocalBalance.GetMsat()), units.Msat(r.RemoteBalance.GetMsat()), nil
}

// listAll is more than any node of a test has of anything.
const listAll = 1_000_000

// Stats counts what the node has done since it was made, as lnd's own lists tell. Payments and invoices are read one
// after the other.
func (n *Node) Stats(ctx context.Context) (sandbox.Stats, error) {
	var s sandbox.Stats
	payments, err := n.lightning.ListPayments(ctx, &lnrpc.ListPaymentsRequest{IncludeIncomplete: true, MaxPayments: listAll})
	if err != nil {
		return s, fmt.Errorf("list payments of node %s: %w", n.alias, err)
	}
	for _, p := range payments.Payments {
		switch p.Status {
		case lnrpc.Payment_SUCCEEDED:
			s.Payments++
			s.SentMsat += units.Msat(p.ValueMsat)
			s.FeesMsat += units.Msat(p.FeeMsat)
		case lnrpc.Payment_IN_FLIGHT, lnrpc.Payment_INITIATED:
			s.InFlight++
		}
	}
	invoices, err := n.lightning.ListInvoices(ctx, &lnrpc.ListInvoiceRequest{NumMaxInvoices: listAll})
	if err != nil {
		return s, fmt.Errorf("list invoices of node %s: %w", n.alias, err)
	}
	now := time.Now().Unix()
	for _, i := range invoices.Invoices {
		switch {
		case i.State == lnrpc.Invoice_SETTLED:
			s.Settled++
			s.ReceivedMsat += units.Msat(i.AmtPaidMsat)
		case i.State == lnrpc.Invoice_OPEN && now < i.CreationDate+i.Expiry:
			s.OpenInvoices++
		}
	}
	return s, nil
}
