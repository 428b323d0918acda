package sandbox

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/zpay32"
)

const defaultPage = 100

// ListInvoices shows invoices by the page, in the order of their add index, or from the end.
func (l *lightning) ListInvoices(_ context.Context, req *lnrpc.ListInvoiceRequest) (*lnrpc.ListInvoiceResponse, error) {
	if req.CreationDateStart != 0 && req.CreationDateEnd != 0 && req.CreationDateStart >= req.CreationDateEnd {
		return nil, fmt.Errorf("start date(%v) must be before end date(%v)", req.CreationDateStart, req.CreationDateEnd)
	}
	n := l.node.net
	n.mu.Lock()
	defer n.mu.Unlock()
	r := &lnrpc.ListInvoiceResponse{}
	for _, i := range n.page(l.node.account, req) {
		r.Invoices = append(r.Invoices, n.rpcInvoice(i))
	}
	if len(r.Invoices) > 0 {
		r.FirstIndexOffset = r.Invoices[0].AddIndex
		r.LastIndexOffset = r.Invoices[len(r.Invoices)-1].AddIndex
	}
	return r, nil
}

// page picks what a request asks for, always in rising order.
func (n *Network) page(a *account, req *lnrpc.ListInvoiceRequest) []*invoice {
	size := uint64(len(a.added))
	limit := req.NumMaxInvoices
	if limit == 0 {
		limit = defaultPage
	}
	var out []*invoice
	if req.Reversed {
		end := size
		if req.IndexOffset > 0 {
			end = min(req.IndexOffset-1, size)
		}
		for i := end; i > 0 && uint64(len(out)) < limit; i-- {
			if n.listed(a.added[i-1], req) {
				out = append(out, a.added[i-1])
			}
		}
		slices.Reverse(out)
		return out
	}
	for i := min(req.IndexOffset, size); i < size && uint64(len(out)) < limit; i++ {
		if n.listed(a.added[i], req) {
			out = append(out, a.added[i])
		}
	}
	return out
}

func (n *Network) listed(i *invoice, req *lnrpc.ListInvoiceRequest) bool {
	created := uint64(max(i.Created.Unix(), 0))
	return (!req.PendingOnly || n.isOpen(i)) && created >= req.CreationDateStart &&
		(req.CreationDateEnd == 0 || created <= req.CreationDateEnd)
}

// SubscribeInvoices sends what the subscriber has missed and then what comes.
func (l *lightning) SubscribeInvoices(req *lnrpc.InvoiceSubscription, stream lnrpc.Lightning_SubscribeInvoicesServer) error {
	ctx := stream.Context()
	if err := l.node.blocked(ctx); err != nil {
		return err
	}
	n := l.node.net
	f := n.subscribe(l.node, req.AddIndex, req.SettleIndex)
	defer n.unsubscribe(l.node, f)
	for {
		for _, i := range n.drain(f) {
			if err := stream.Send(i); err != nil {
				return err
			}
		}
		select {
		case <-f.wake:
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return nil
			}
			return ctx.Err()
		}
	}
}

// DecodePayReq reads a request for regtest.
func (l *lightning) DecodePayReq(_ context.Context, req *lnrpc.PayReqString) (*lnrpc.PayReq, error) {
	inv, err := zpay32.Decode(req.PayReq, &chaincfg.RegressionNetParams)
	if err != nil {
		return nil, err
	}
	addr := inv.PaymentAddr.UnwrapOr([32]byte{})
	r := &lnrpc.PayReq{
		Destination: hex.EncodeToString(inv.Destination.SerializeCompressed()),
		PaymentHash: hex.EncodeToString(inv.PaymentHash[:]),
		Timestamp:   inv.Timestamp.Unix(),
		Expiry:      int64(inv.Expiry().Seconds()),
		CltvExpiry:  int64(inv.MinFinalCLTVExpiry()),
		RouteHints:  invoicesrpc.CreateRPCRouteHints(inv.RouteHints),
		PaymentAddr: addr[:],
		Features:    invoicesrpc.CreateRPCFeatures(inv.Features),
	}
	if inv.MilliSat != nil {
		r.NumSatoshis, r.NumMsat = int64(inv.MilliSat.ToSatoshis()), int64(*inv.MilliSat)
	}
	if inv.Description != nil {
		r.Description = *inv.Description
	}
	if inv.DescriptionHash != nil {
		r.DescriptionHash = hex.EncodeToString(inv.DescriptionHash[:])
	}
	return r, nil
}
