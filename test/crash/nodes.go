package crash

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"paygate/lnclient/sandbox"
	"paygate/units"
)

// payment is what the buyer's node says of a hash; a node that has never heard of it says the zero payment.
type payment struct {
	status    lnrpc.Payment_PaymentStatus
	msat, fee units.Msat
}

// invoice is a settled invoice of the seller's node.
type invoice struct {
	msat  units.Msat
	index uint64
}

// accounts are what a node says of itself.
type accounts struct {
	stats   sandbox.Stats
	balance units.Msat
}

// witness asks nodes over lnd's own gRPC, without paygate's client.
type witness struct {
	node Node
	conn *grpc.ClientConn
	past map[string]payment // those that have succeeded, which never changes
}

func newWitness(n Node) (*witness, error) {
	access := n.Access()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(access.TLSCert) {
		return nil, errors.New("the node's certificate cannot be read")
	}
	conn, err := grpc.NewClient("passthrough:///"+access.Address,
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "")),
		grpc.WithPerRPCCredentials(allRights(access.Macaroon)), grpc.WithNoProxy())
	return &witness{node: n, conn: conn, past: map[string]payment{}}, err
}

// allRights sends a macaroon with every call.
type allRights units.Secret

// GetRequestMetadata hands gRPC the macaroon.
func (m allRights) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"macaroon": units.Secret(m).Reveal()}, nil
}

// RequireTransportSecurity keeps the macaroon off plain connections.
func (allRights) RequireTransportSecurity() bool { return true }

// callTimeout bounds one call; a node that was killed a moment ago is waited for as long.
const callTimeout = 15 * time.Second

func (w *witness) accounts(ctx context.Context) (a accounts, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if a.stats, err = w.node.Stats(ctx); err != nil {
		return a, err
	}
	a.balance, err = w.node.Balance(ctx)
	return a, err
}

// payment asks what has become of a hash, without waiting for the end.
func (w *witness) payment(ctx context.Context, hash units.PaymentHash) (payment, error) {
	if p, ok := w.past[hash.String()]; ok {
		return p, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	stream, err := routerrpc.NewRouterClient(w.conn).TrackPaymentV2(ctx,
		&routerrpc.TrackPaymentRequest{PaymentHash: hash[:]}, grpc.WaitForReady(true))
	if err != nil {
		return payment{}, fmt.Errorf("track payment %s: %w", hash, err)
	}
	r, err := stream.Recv()
	if status.Code(err) == codes.NotFound {
		return payment{}, nil
	}
	if err != nil {
		return payment{}, fmt.Errorf("track payment %s: %w", hash, err)
	}
	p := payment{r.Status, units.Msat(r.ValueMsat), units.Msat(r.FeeMsat)}
	if p.status == lnrpc.Payment_SUCCEEDED {
		w.past[hash.String()] = p
	}
	return p, nil
}

// page is how many invoices are asked for at once.
const page = 1000

// settled lists the settled invoices by hash, and counts all that there are.
func (w *witness) settled(ctx context.Context) (list map[string]invoice, all int, err error) {
	list = map[string]invoice{}
	for offset := uint64(0); ; {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		r, err := lnrpc.NewLightningClient(w.conn).ListInvoices(call,
			&lnrpc.ListInvoiceRequest{IndexOffset: offset, NumMaxInvoices: page}, grpc.WaitForReady(true))
		cancel()
		if err != nil {
			return nil, 0, fmt.Errorf("list invoices: %w", err)
		}
		for _, i := range r.Invoices {
			if i.State == lnrpc.Invoice_SETTLED {
				list[hex.EncodeToString(i.RHash)] = invoice{units.Msat(i.AmtPaidMsat), i.SettleIndex}
			}
		}
		all += len(r.Invoices)
		if len(r.Invoices) < page {
			return list, all, nil
		}
		offset = r.LastIndexOffset
	}
}

func (w *witness) close() error { return w.conn.Close() }
