package lnd_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paygate/lnclient"
	"paygate/lnclient/sandbox"
	"paygate/test/lnd"
	"paygate/test/process"
	"paygate/units"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds one wait of a test; it is no measure of speed.
const patience = 2 * time.Minute

const (
	capacity = 16_000_000 * units.Sat
	buyers   = 11_000_000 * units.Sat // the first node's part of a channel
	feeBase  = 1000
	feePPM   = 1
)

// start brings a network up, or skips the test if it is to be short or if lnd has not been built.
func start(t testing.TB, nodes []string, channels ...lnd.Channel) *lnd.Network {
	t.Helper()
	if testing.Short() {
		t.Skip("real Lightning takes minutes, and -short is given")
	}
	programs, err := lnd.Find()
	if errors.Is(err, lnd.ErrNotBuilt) {
		t.Skipf("not tested on real Lightning: %v", err)
	}
	check(t, err)
	begin := time.Now()
	n, err := lnd.New(bounded(t), lnd.Config{
		Programs: programs, Dir: t.TempDir(), Nodes: nodes, Channels: channels, FeeBase: feeBase, FeePPM: feePPM,
		Progress: func(doing string) { t.Logf("%6.2f s: %s", time.Since(begin).Seconds(), doing) },
	})
	check(t, err)
	t.Cleanup(func() { check(t, n.Close()) })
	t.Logf("%6.2f s: %d nodes and %d channels are ready", time.Since(begin).Seconds(), len(nodes), len(channels))
	return n
}

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func config(n *lnd.Node) lnclient.Config {
	return lnclient.Config{Address: n.Address(), TLSCert: n.TLSCert(), Macaroon: n.Macaroon(), Network: "simnet"}
}

// client opens a client of a node with all rights.
func client(t testing.TB, n *lnd.Node) *lnclient.Client { return open(t, config(n)) }

// limited opens a client of a node that allows the given calls only.
func limited(t testing.TB, n *lnd.Node, uris ...string) *lnclient.Client {
	t.Helper()
	cfg := config(n)
	var err error
	cfg.Macaroon, err = n.Bake(bounded(t), uris...)
	check(t, err)
	return open(t, cfg)
}

func open(t testing.TB, cfg lnclient.Config) *lnclient.Client {
	t.Helper()
	c, err := lnclient.New(cfg)
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func payment(request string, hash units.PaymentHash) lnclient.Payment {
	return lnclient.Payment{
		Request: request, Hash: hash, FeeLimit: 10 * units.Sat, Timeout: 30 * time.Second, CLTVLimit: 288, MaxParts: 1,
	}
}

// paid issues an invoice, pays it and returns what that cost.
func paid(t testing.TB, from, to *lnclient.Client, msat units.Msat) lnclient.Outcome {
	t.Helper()
	inv, err := to.AddInvoice(bounded(t), lnclient.NewInvoice{Msat: msat, Expiry: time.Hour})
	check(t, err)
	out, err := from.Pay(bounded(t), payment(inv.Request, inv.Hash))
	check(t, err)
	if out.State != lnclient.Succeeded {
		t.Fatalf("payment of %s is %s (%s)", msat, out.State, out.Reason)
	}
	return out
}

// balance is what a node owns in its channels.
func balance(t testing.TB, n *lnd.Node) units.Msat {
	t.Helper()
	local, _, err := n.Balance(bounded(t))
	check(t, err)
	return local
}

// owns waits until a node owns an amount: a payment that has succeeded for the payer may still be on its way into the
// other balances.
func owns(t testing.TB, n *lnd.Node, want units.Msat) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience/4)
	defer cancel()
	err := process.Poll(ctx, 50*time.Millisecond, func() error {
		has, _, err := n.Balance(t.Context())
		if err == nil && has != want {
			err = fmt.Errorf("it owns %s, want %s", has, want)
		}
		return err
	})
	if err != nil {
		t.Errorf("node %s: %v", n.Alias(), err)
	}
}

// stats is what a node has done.
func stats(t testing.TB, n *lnd.Node) sandbox.Stats {
	t.Helper()
	s, err := n.Stats(bounded(t))
	check(t, err)
	return s
}
