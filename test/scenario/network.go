package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"paygate/lnclient"
	"paygate/lnclient/sandbox"
	"paygate/test/lnd"
	"paygate/units"
)

// Lightning is which kind of Lightning network a scenario runs on.
type Lightning string

// The kinds of network.
const (
	Sandbox   Lightning = "sandbox"    // simulated, with a routing node between buyer and seller
	LND       Lightning = "lnd"        // btcd and two lnd nodes with a channel
	LNDRouted Lightning = "lnd-routed" // the same with a routing node between them
)

// ParseLightning reads the name of a kind; empty is Sandbox.
func ParseLightning(s string) (Lightning, error) {
	switch kind := Lightning(s); kind {
	case "":
		return Sandbox, nil
	case Sandbox, LND, LNDRouted:
		return kind, nil
	}
	return "", fmt.Errorf("%q is not a Lightning network: sandbox, lnd or lnd-routed", s)
}

const (
	channelCapacity = 10_000_000 * units.Sat // all of it is the buyer's at first
	feeBase         = units.Sat / 2          // of a routing node, for each payment
	feePPM          = 100
	lndPatience     = 3 * time.Minute
	askPatience     = 20 * time.Second
)

// Network is a buyer's and a seller's Lightning node that can pay each other.
type Network struct {
	Seller, Buyer *Node
	close         func() error
}

// Node is one of them.
type Node struct {
	backend
	network string // as paygate's configuration names it
	dir     string
	alias   string
	stats   func(context.Context) (sandbox.Stats, error)
	bake    func(context.Context, ...string) (units.Secret, error)
	base    sandbox.Stats // what it had done before the scenario began
}

// backend is what a simulated and a real node have in common.
type backend interface {
	Address() string
	TLSCert() []byte
	Stop() error
	Start() error
}

// NewNetwork starts a sandboxed network. Each payment takes latency and costs 0.5 sat and 0.01 % in fees.
func NewNetwork(dir string, latency time.Duration) (*Network, error) {
	return StartNetwork(context.Background(), Sandbox, dir, latency, nil)
}

// StartNetwork starts a network of a kind below dir. The latency counts for the sandbox only: a real network takes
// what it takes. progress, unless nil, is told what it is waiting for.
func StartNetwork(ctx context.Context, kind Lightning, dir string, latency time.Duration, progress func(string)) (*Network, error) {
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o700); err != nil {
		return nil, fmt.Errorf("make directory for the Lightning network: %w", err)
	}
	if kind == Sandbox {
		return startSandbox(dir, latency)
	}
	return startLND(ctx, kind, dir, progress)
}

func startSandbox(dir string, latency time.Duration) (*Network, error) {
	inner, err := sandbox.New(sandbox.Config{
		Dir: filepath.Join(dir, "state"), Latency: latency, FeeBase: feeBase, FeePPM: feePPM,
	})
	if err != nil {
		return nil, fmt.Errorf("start Lightning network: %w", err)
	}
	n := &Network{close: inner.Close}
	var between *sandbox.Node
	seller, err := inner.AddNode("seller", "127.0.0.1:0")
	buyer, err2 := inner.AddNode("buyer", "127.0.0.1:0")
	between, err3 := inner.AddNode("between", "127.0.0.1:0")
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, errors.Join(fmt.Errorf("start Lightning network: %w", err), inner.Close())
	}
	err = errors.Join(inner.OpenChannel(buyer, between, channelCapacity, channelCapacity),
		inner.OpenChannel(between, seller, channelCapacity, channelCapacity))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start Lightning network: %w", err), inner.Close())
	}
	n.Seller, n.Buyer = sandboxNode(seller, dir), sandboxNode(buyer, dir)
	return n, nil
}

func sandboxNode(node *sandbox.Node, dir string) *Node {
	return &Node{
		backend: node, network: "regtest", dir: dir, alias: node.Alias(),
		stats: func(context.Context) (sandbox.Stats, error) { return node.Stats(), nil },
		bake:  func(_ context.Context, uris ...string) (units.Secret, error) { return node.Bake(uris...) },
	}
}

func startLND(ctx context.Context, kind Lightning, dir string, progress func(string)) (*Network, error) {
	ctx, cancel := context.WithTimeout(ctx, lndPatience)
	defer cancel()
	cfg := lnd.Config{Dir: filepath.Join(dir, "state"), Nodes: []string{"buyer", "seller"}, Progress: progress}
	cfg.Channels = []lnd.Channel{{From: "buyer", To: "seller", Capacity: channelCapacity, Balance: channelCapacity}}
	if kind == LNDRouted {
		cfg.Nodes, cfg.FeeBase, cfg.FeePPM = append(cfg.Nodes, "between"), feeBase, feePPM
		cfg.Channels = []lnd.Channel{
			{From: "buyer", To: "between", Capacity: channelCapacity, Balance: channelCapacity},
			{From: "between", To: "seller", Capacity: channelCapacity, Balance: channelCapacity},
		}
	}
	inner, err := lnd.New(ctx, cfg)
	if err != nil {
		return nil, err
	}
	n := &Network{close: inner.Close}
	for alias, node := range map[string]**Node{"seller": &n.Seller, "buyer": &n.Buyer} {
		if *node, err = lndNode(ctx, inner.Node(alias), dir); err != nil {
			return nil, errors.Join(err, inner.Close())
		}
	}
	return n, nil
}

func lndNode(ctx context.Context, node *lnd.Node, dir string) (*Node, error) {
	base, err := node.Stats(ctx)
	return &Node{
		backend: node, network: "simnet", dir: dir, alias: node.Alias(), stats: node.Stats, bake: node.Bake, base: base,
	}, err
}

// Stats is what the node has done since the scenario began.
func (n *Node) Stats(ctx context.Context) (sandbox.Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	s, err := n.stats(ctx)
	s.SentMsat -= n.base.SentMsat
	s.FeesMsat -= n.base.FeesMsat
	s.ReceivedMsat -= n.base.ReceivedMsat
	s.Payments -= n.base.Payments
	s.Settled -= n.base.Settled
	return s, err
}

// Rebase makes Stats count from now on, for the next scenario on the same network.
func (n *Network) Rebase(ctx context.Context) error {
	for _, node := range []*Node{n.Seller, n.Buyer} {
		base, err := node.stats(ctx)
		if err != nil {
			return err
		}
		node.base = base
	}
	return nil
}

// Options is the lightning section of a configuration for the node, with the rights that a paygate needs that sells and
// buys, and no others.
func (n *Node) Options(ctx context.Context) (Options, error) {
	return n.OptionsFor(ctx, lnclient.Permissions(true, true)...)
}

// OptionsFor is Options with these rights, as lnd names them.
func (n *Node) OptionsFor(ctx context.Context, uris ...string) (Options, error) {
	cert := filepath.Join(n.dir, n.alias+".cert")
	if err := os.WriteFile(cert, n.TLSCert(), 0o600); err != nil {
		return nil, fmt.Errorf("write certificate: %w", err)
	}
	rights, err := n.bake(ctx, uris...)
	if err != nil {
		return nil, err
	}
	macaroon := filepath.Join(n.dir, n.alias+".macaroon.hex")
	if err := os.WriteFile(macaroon, []byte(rights.Reveal()), 0o600); err != nil {
		return nil, fmt.Errorf("write macaroon: %w", err)
	}
	return Options{"address": n.Address(), "tls_cert": cert, "macaroon": macaroon, "network": n.network}, nil
}

// Close ends the network.
func (n *Network) Close() error { return n.close() }

// Down takes the seller's and the buyer's nodes away, as when lnd is being restarted.
func (n *Network) Down() error { return errors.Join(n.Seller.Stop(), n.Buyer.Stop()) }

// Up brings them back on their old addresses.
func (n *Network) Up() error { return errors.Join(n.Seller.Start(), n.Buyer.Start()) }
