package lnd_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"paygate/lnclient"
	"paygate/test/lnd"
	"paygate/units"
)

// TestMacaroons shows that the macaroons that paygate asks for are exactly enough: that they suffice is part of the
// contract; here, that lnd then denies each of its other calls, and that none of theirs can be left out.
func TestMacaroons(t *testing.T) {
	n := start(t, []string{"node"})
	node := n.Node("node")
	every := everyCall(t, node)
	for _, tt := range []struct {
		name string
		uris []string
		uses map[string]func(context.Context, *lnclient.Client) error
	}{
		{"selling", lnclient.SellPermissions(), sellingCalls},
		{"buying", lnclient.BuyPermissions(), buyingCalls(t, node)},
	} {
		t.Run(tt.name+" grants nothing else", func(t *testing.T) {
			denied := grantsOnly(t, node, tt.uris, every)
			t.Logf("%d of lnd's %d calls are granted, and %d denied", len(tt.uris), len(every), denied)
			if len(tt.uris)+denied != len(every) {
				t.Error("that is not all")
			}
		})
		for _, uri := range tt.uris {
			if uri == listing {
				continue
			}
			t.Run(tt.name+" needs "+uri, func(t *testing.T) { needs(t, node, tt.uris, uri, tt.uses[uri]) })
		}
	}
	t.Run("paygate reads rights as lnd does", func(t *testing.T) { readsRights(t, node, every) })
}

// listing is the one right without which nothing is denied: settlements that came before the first subscription are
// then not heard of.
const listing = "/lnrpc.Lightning/ListInvoices"

// everyCall lists the calls that need a macaroon, and the rights that they need, as lnd tells.
func everyCall(t *testing.T, n *lnd.Node) map[string][]*lnrpc.MacaroonPermission {
	ctx := metadata.AppendToOutgoingContext(bounded(t), "macaroon", n.Macaroon().Reveal())
	r, err := lnrpc.NewLightningClient(dial(t, n)).ListPermissions(ctx, &lnrpc.ListPermissionsRequest{})
	check(t, err)
	every := map[string][]*lnrpc.MacaroonPermission{}
	for uri, list := range r.MethodPermissions {
		every[uri] = list.Permissions
	}
	return every
}

// readsRights bakes a macaroon for each of paygate's calls from the rights that lnd asks for, instead of by its name.
func readsRights(t *testing.T, n *lnd.Node, every map[string][]*lnrpc.MacaroonPermission) {
	ctx := metadata.AppendToOutgoingContext(bounded(t), "macaroon", n.Macaroon().Reveal())
	node := lnrpc.NewLightningClient(dial(t, n))
	all := lnclient.Permissions(true, true)
	for _, uri := range all {
		baked, err := node.BakeMacaroon(ctx, &lnrpc.BakeMacaroonRequest{Permissions: every[uri]})
		check(t, err)
		rights, err := lnclient.InspectMacaroon(units.Secret(baked.Macaroon))
		check(t, err)
		if missing := rights.Missing([]string{uri}); len(missing) > 0 || len(rights.Missing(all)) == 0 {
			t.Errorf("%s is allowed by %v: missing %v", uri, rights.List, missing)
		}
	}
	m, err := n.Bake(bounded(t), all...)
	check(t, err)
	rights, err := lnclient.InspectMacaroon(m)
	check(t, err)
	harmful, harmless := rights.Beyond(all)
	if missing := rights.Missing(all); len(missing)+len(harmful)+len(harmless) > 0 {
		t.Errorf("baked by name: missing %v, beyond %v and %v", missing, harmful, harmless)
	}
	rights, err = lnclient.InspectMacaroon(n.Macaroon())
	check(t, err)
	if harmful, _ := rights.Beyond(all); len(harmful) == 0 {
		t.Error("an admin macaroon counts as harmless")
	}
}

// grantsOnly makes every call that the macaroon should not allow, and counts the denials.
func grantsOnly(t *testing.T, n *lnd.Node, uris []string, every map[string][]*lnrpc.MacaroonPermission) int {
	m, err := n.Bake(bounded(t), uris...)
	check(t, err)
	conn := dial(t, n)
	denied := 0
	for uri := range every {
		if slices.Contains(uris, uri) {
			continue
		}
		if err := bare(t, conn, m, uri); isDenied(err) {
			denied++
		} else {
			t.Errorf("%s: got %v, want a denial", uri, err)
		}
	}
	for _, uri := range uris {
		if every[uri] == nil {
			t.Errorf("lnd knows no %s", uri)
		}
	}
	return denied
}

// bare makes any call with an empty request and waits for the first answer.
func bare(t *testing.T, conn *grpc.ClientConn, m units.Secret, uri string) error {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "macaroon", m.Reveal())
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, uri)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&lnrpc.GetInfoRequest{}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(&lnrpc.GetInfoResponse{})
}

// isDenied knows lnd's denial by its words: it comes with the code Unknown.
func isDenied(err error) bool {
	s, ok := status.FromError(err)
	return ok && s.Code() == codes.Unknown && s.Message() == "permission denied"
}

func dial(t *testing.T, n *lnd.Node) *grpc.ClientConn {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(n.TLSCert()) {
		t.Fatal("the node's certificate cannot be read")
	}
	conn, err := grpc.NewClient(n.Address(), grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "")))
	check(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	return conn
}

func liquidity(ctx context.Context, c *lnclient.Client) error {
	_, err := c.Liquidity(ctx)
	return err
}

// sellingCalls are what paygate does with each right.
var sellingCalls = map[string]func(context.Context, *lnclient.Client) error{
	"/lnrpc.Lightning/GetInfo": func(ctx context.Context, c *lnclient.Client) error {
		_, err := c.Info(ctx)
		return err
	},
	"/lnrpc.Lightning/ListChannels":   liquidity,
	"/lnrpc.Lightning/ChannelBalance": liquidity,
	"/lnrpc.Lightning/AddInvoice": func(ctx context.Context, c *lnclient.Client) error {
		_, err := c.AddInvoice(ctx, lnclient.NewInvoice{Msat: 1000, Expiry: time.Minute})
		return err
	},
	"/lnrpc.Lightning/LookupInvoice": func(ctx context.Context, c *lnclient.Client) error {
		_, err := c.LookupInvoice(ctx, units.PaymentHash{1})
		return err
	},
	"/lnrpc.Lightning/SubscribeInvoices": func(ctx context.Context, c *lnclient.Client) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return c.Settlements(ctx, 1, func(lnclient.Settlement) error { return nil })
	},
	"/invoicesrpc.Invoices/CancelInvoice": func(ctx context.Context, c *lnclient.Client) error {
		inv, err := c.AddInvoice(ctx, lnclient.NewInvoice{Msat: 1000, Expiry: time.Minute})
		if err != nil {
			return err
		}
		return c.CancelInvoice(ctx, inv.Hash)
	},
}

// buyingCalls are what paygate does with each right.
func buyingCalls(t *testing.T, n *lnd.Node) map[string]func(context.Context, *lnclient.Client) error {
	inv, err := client(t, n).AddInvoice(bounded(t), lnclient.NewInvoice{Msat: 1000, Expiry: time.Hour})
	check(t, err)
	return map[string]func(context.Context, *lnclient.Client) error{
		"/lnrpc.Lightning/GetInfo":        sellingCalls["/lnrpc.Lightning/GetInfo"],
		"/lnrpc.Lightning/ListChannels":   liquidity,
		"/lnrpc.Lightning/ChannelBalance": liquidity,
		"/routerrpc.Router/SendPaymentV2": func(ctx context.Context, c *lnclient.Client) error {
			_, err := c.Pay(ctx, payment(inv.Request, inv.Hash))
			return err
		},
		"/routerrpc.Router/TrackPaymentV2": func(ctx context.Context, c *lnclient.Client) error {
			_, err := c.Track(ctx, inv.Hash)
			return err
		},
	}
}

// needs shows that a use is denied if its right alone is left out, and only then.
func needs(t *testing.T, n *lnd.Node, uris []string, uri string, use func(context.Context, *lnclient.Client) error) {
	if use == nil {
		t.Fatal("the right is used for nothing")
	}
	if err := use(bounded(t), limited(t, n, uris...)); isProblem(err, lnclient.Denied) {
		t.Errorf("with every right: %v", err)
	}
	without := slices.DeleteFunc(slices.Clone(uris), func(other string) bool { return other == uri })
	if err := use(bounded(t), limited(t, n, without...)); !isProblem(err, lnclient.Denied) {
		t.Errorf("without the right: got %v, want a denial", err)
	}
}

func isProblem(err error, kind lnclient.ProblemKind) bool {
	var p *lnclient.Problem
	return errors.As(err, &p) && p.Kind == kind
}
