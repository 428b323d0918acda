package crash

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"paygate/lnclient"
	"paygate/test/lnd"
	"paygate/units"
)

// TestLND kills paygates and real nodes.
func TestLND(t *testing.T) {
	if testing.Short() {
		t.Skip("real Lightning takes minutes, and -short is given")
	}
	programs, err := lnd.Find()
	if errors.Is(err, lnd.ErrNotBuilt) {
		t.Skipf("not tested on real Lightning: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Kills: 20, Lanes: 1, Seed: number(t, "PAYGATE_CRASH_SEED", rand.Uint64N(1_000_000)), Patience: time.Minute, Log: t.Logf}
	o.Kills = int(number(t, "PAYGATE_CRASH_KILLS", uint64(o.Kills)))
	o.Dir = directory(t)
	o.Program = build(t, o.Dir)
	o.Lightning = func(ctx context.Context, _ int) (*Lightning, error) {
		return realLightning(ctx, programs, filepath.Join(o.Dir, "ln"))
	}
	report, err := Run(t.Context(), o)
	t.Log(report)
	if err != nil {
		t.Error(err)
	}
	judge(t, report, o.Kills)
}

// realLightning is a buyer and a seller with a channel between them.
func realLightning(ctx context.Context, programs lnd.Programs, dir string) (*Lightning, error) {
	net, err := lnd.New(ctx, lnd.Config{
		Programs: programs, Dir: dir, Nodes: []string{"buyer", "seller"},
		Channels: []lnd.Channel{{From: "buyer", To: "seller", Capacity: 16_000_000 * units.Sat, Balance: 11_000_000 * units.Sat}},
		FeeBase:  units.Sat,
	})
	if err != nil {
		return nil, err
	}
	return &Lightning{Buyer: realNode{net.Node("buyer")}, Seller: realNode{net.Node("seller")}, Close: net.Close}, nil
}

// realNode makes a Node of lnd's.
type realNode struct{ *lnd.Node }

func (n realNode) Access() lnclient.Config {
	return lnclient.Config{Address: n.Address(), TLSCert: n.TLSCert(), Macaroon: n.Macaroon(), Network: "simnet"}
}

func (n realNode) Kill() error {
	n.Node.Kill()
	return nil
}

func (n realNode) Start(context.Context) error { return n.Node.Start() }

func (n realNode) Balance(ctx context.Context) (units.Msat, error) {
	local, _, err := n.Node.Balance(ctx)
	return local, err
}
