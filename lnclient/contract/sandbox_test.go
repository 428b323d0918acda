package contract_test

import (
	"context"
	"crypto/x509"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"paygate/lnclient"
	"paygate/lnclient/contract"
	"paygate/lnclient/sandbox"
	"paygate/units"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSandbox(t *testing.T) {
	for _, tt := range []struct {
		name    string
		latency time.Duration
		dir     bool
	}{{"at once, in memory", 0, false}, {"with latency, on disk", 20 * time.Millisecond, true}} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := sandbox.Config{Latency: tt.latency, FeeBase: 1000, FeePPM: 1}
			if tt.dir {
				cfg.Dir = t.TempDir()
			}
			contract.Run(t, newEnv(t, cfg))
		})
	}
}

// newEnv sets the contract's network up on a sandbox.
func newEnv(t *testing.T, cfg sandbox.Config) contract.Env {
	n, err := sandbox.New(cfg)
	check(t, err)
	t.Cleanup(func() { check(t, n.Close()) })
	nodes := map[contract.Role]*sandbox.Node{}
	for _, r := range []contract.Role{contract.Buyer, contract.Seller, contract.Far, contract.Stranger} {
		nodes[r], err = n.AddNode(string(r), "127.0.0.1:0")
		check(t, err)
	}
	check(t, n.OpenChannel(nodes[contract.Buyer], nodes[contract.Seller], 16_000_000*units.Sat, 11_000_000*units.Sat))
	check(t, n.OpenChannel(nodes[contract.Seller], nodes[contract.Far], 16_000_000*units.Sat, 11_000_000*units.Sat))
	config := func(r contract.Role) lnclient.Config {
		return lnclient.Config{Address: nodes[r].Address(), TLSCert: nodes[r].TLSCert(), Macaroon: nodes[r].Macaroon(), Network: "regtest"}
	}
	return contract.Env{
		Network:    "regtest",
		Config:     config,
		Bake:       func(t *testing.T, r contract.Role, uris ...string) units.Secret { return bake(t, config(r), uris) },
		Stop:       func(t *testing.T, r contract.Role) { check(t, nodes[r].Stop()) },
		Start:      func(t *testing.T, r contract.Role) { check(t, nodes[r].Start()) },
		Hold:       func(t *testing.T, m units.Msat) (string, func(bool)) { return hold(t, n, config(contract.Seller), m) },
		TooMuch:    15_000_000 * units.Sat,
		ForwardFee: func(m units.Msat) units.Msat { return 1000 + m/1_000_000 },
	}
}

// hold makes the buyer's next payment stick.
func hold(t *testing.T, n *sandbox.Network, seller lnclient.Config, msat units.Msat) (string, func(bool)) {
	c, err := lnclient.New(seller)
	check(t, err)
	inv, err := c.AddInvoice(t.Context(), lnclient.NewInvoice{Msat: msat, Expiry: time.Hour})
	check(t, err)
	check(t, c.Close())
	n.SetFault(sandbox.Fault{Kind: sandbox.StuckInFlight, Node: string(contract.Buyer), Times: 1})
	return inv.Request, func(settle bool) {
		if n.Unstick(settle) != 1 {
			t.Error("nothing was stuck")
		}
	}
}

// bake asks the node itself, over its gRPC.
func bake(t *testing.T, cfg lnclient.Config, uris []string) units.Secret {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cfg.TLSCert)
	conn, err := grpc.NewClient(cfg.Address, grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "")))
	check(t, err)
	defer func() { check(t, conn.Close()) }()
	req := &lnrpc.BakeMacaroonRequest{}
	for _, u := range uris {
		req.Permissions = append(req.Permissions, &lnrpc.MacaroonPermission{Entity: "uri", Action: u})
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "macaroon", cfg.Macaroon.Reveal())
	r, err := lnrpc.NewLightningClient(conn).BakeMacaroon(ctx, req)
	check(t, err)
	return units.Secret(r.Macaroon)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
