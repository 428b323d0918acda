package sandbox

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"paygate/units"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// wire is a plain gRPC client of a node, so that what is tested is what goes over the wire.
type wire struct {
	node    lnrpc.LightningClient
	state   lnrpc.StateClient
	invoice invoicesrpc.InvoicesClient
	router  routerrpc.RouterClient
	mac     units.Secret
}

func connect(t testing.TB, address string, cert []byte, mac units.Secret) *wire {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(cert) {
		t.Fatal("no certificate")
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "")))
	check(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	return &wire{lnrpc.NewLightningClient(conn), lnrpc.NewStateClient(conn), invoicesrpc.NewInvoicesClient(conn), routerrpc.NewRouterClient(conn), mac}
}

func wired(t testing.TB, n *Node) *wire {
	t.Helper()
	return connect(t, n.Address(), n.TLSCert(), n.Macaroon())
}

func (w *wire) ctx(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "macaroon", w.mac.Reveal())
}

func (w *wire) ask(t testing.TB, msat int64) *lnrpc.AddInvoiceResponse {
	t.Helper()
	r, err := w.node.AddInvoice(w.ctx(t.Context()), &lnrpc.Invoice{ValueMsat: msat})
	check(t, err)
	return r
}

// pay returns the last update, or the error before any.
func (w *wire) pay(ctx context.Context, req *routerrpc.SendPaymentRequest) (*lnrpc.Payment, error) {
	stream, err := w.router.SendPaymentV2(w.ctx(ctx), req)
	if err != nil {
		return nil, err
	}
	var last *lnrpc.Payment
	for {
		p, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		last = p
	}
}

func (w *wire) paid(t testing.TB, request string) *lnrpc.Payment {
	t.Helper()
	p, err := w.pay(t.Context(), &routerrpc.SendPaymentRequest{PaymentRequest: request, FeeLimitMsat: 1e9})
	check(t, err)
	if p.Status != lnrpc.Payment_SUCCEEDED {
		t.Fatalf("payment %s (%s)", p.Status, p.FailureReason)
	}
	return p
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// line is a network of nodes in a row, each with a channel to the next that has all its money on the near side.
func line(t testing.TB, cfg Config, aliases ...string) (*Network, []*Node) {
	t.Helper()
	n, err := New(cfg)
	check(t, err)
	t.Cleanup(func() { check(t, n.Close()) })
	return n, raise(t, n, aliases...)
}

func raise(t testing.TB, n *Network, aliases ...string) []*Node {
	t.Helper()
	nodes := make([]*Node, len(aliases))
	for i, alias := range aliases {
		var err error
		nodes[i], err = n.AddNode(alias, "127.0.0.1:0")
		check(t, err)
		if i > 0 {
			check(t, n.OpenChannel(nodes[i-1], nodes[i], 100_000*units.Sat, 100_000*units.Sat))
		}
	}
	return nodes
}
