package lnd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"github.com/lightningnetwork/lnd/lnrpc"

	"paygate/test/process"
	"paygate/units"
)

// Config says what the network consists of.
type Config struct {
	Programs Programs // zero: what Find finds
	Dir      string   // for this network alone
	Nodes    []string // aliases
	Channels []Channel
	FeeBase  units.Msat         // that every node takes per forwarded part
	FeePPM   int64              // of the amount forwarded, in millionths
	Progress func(doing string) // told what New is doing; nil: nobody is
}

// Channel is a public channel that From opens to To. Capacity is in whole satoshis, at most 16,777,215; Balance is
// From's part of it, out of which come the fees that the channel's own transactions hold back.
type Channel struct {
	From, To          string
	Capacity, Balance units.Msat
}

// Network is a running chain and its nodes. It is safe for concurrent use.
type Network struct {
	cfg      Config
	programs Programs
	chain    *chain

	mu       sync.Mutex // guards what follows
	nodes    []*Node
	channels []*channel
}

// New starts the network, funds every node, opens the channels, and returns when a payment has got through each of
// them, in each direction in which there is money. ctx bounds New, not the network. On an error everything is ended
// again; what the processes have printed stays in Dir.
func New(ctx context.Context, cfg Config) (*Network, error) {
	n := &Network{cfg: cfg, programs: cfg.Programs}
	if n.programs == (Programs{}) {
		var err error
		if n.programs, err = Find(); err != nil {
			return nil, err
		}
	}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start Lightning network: %w", err), n.Close())
	}
	return n, nil
}

func (n *Network) open(ctx context.Context) (err error) {
	n.progress("starting btcd")
	if n.chain, err = startChain(ctx, n.programs.BTCD, filepath.Join(n.cfg.Dir, "btcd")); err != nil {
		return err
	}
	n.progress(fmt.Sprintf("starting %d lnd nodes", len(n.cfg.Nodes)))
	if err := n.addNodes(ctx, n.cfg.Nodes...); err != nil {
		return err
	}
	n.progress("opening channels")
	var opened []*channel
	for _, c := range n.cfg.Channels {
		ch, err := n.openChannel(ctx, c)
		if err != nil {
			return err
		}
		opened = append(opened, ch)
	}
	n.progress("waiting for the first payments")
	return n.confirm(ctx, opened)
}

func (n *Network) progress(doing string) {
	if n.cfg.Progress != nil {
		n.cfg.Progress(doing)
	}
}

// Node returns the node of that name, or nil.
func (n *Network) Node(alias string) *Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.nodes, func(node *Node) bool { return node.alias == alias })
	if i < 0 {
		return nil
	}
	return n.nodes[i]
}

// Nodes returns every node, in the order in which they were added.
func (n *Network) Nodes() []*Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.nodes)
}

// AddNode starts one more node, with money in its wallet and no channel.
func (n *Network) AddNode(ctx context.Context, alias string) (*Node, error) {
	if err := n.addNodes(ctx, alias); err != nil {
		return nil, fmt.Errorf("add node: %w", err)
	}
	return n.Node(alias), nil
}

// OpenChannel opens a public channel in which a owns aBalance of capacity and b the rest, see Channel, and returns
// when a payment gets through.
func (n *Network) OpenChannel(ctx context.Context, a, b *Node, capacity, aBalance units.Msat) error {
	ch, err := n.openChannel(ctx, Channel{From: a.alias, To: b.alias, Capacity: capacity, Balance: aBalance})
	if err != nil {
		return err
	}
	return n.confirm(ctx, []*channel{ch})
}

// addNodes starts nodes side by side and funds them with one transaction.
func (n *Network) addNodes(ctx context.Context, aliases ...string) error {
	nodes := make([]*Node, len(aliases))
	for i, alias := range aliases {
		var err error
		if nodes[i], err = n.newNode(alias); err != nil {
			return err
		}
	}
	errs := make([]error, len(nodes))
	var starting sync.WaitGroup
	for i, node := range nodes {
		starting.Go(func() { errs[i] = node.launch(ctx) })
	}
	starting.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return n.fundWallets(ctx, nodes)
}

// newNode registers a node, so that Close ends it whatever happens.
func (n *Network) newNode(alias string) (*Node, error) {
	node := &Node{net: n, alias: alias, dir: filepath.Join(n.cfg.Dir, alias)}
	var err error
	if node.address, err = freeAddress(); err != nil {
		return nil, err
	}
	if node.peerAddress, err = freeAddress(); err != nil {
		return nil, err
	}
	if alias == "" || n.Node(alias) != nil {
		return nil, fmt.Errorf("node %q: every node needs a name of its own", alias)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes = append(n.nodes, node)
	return node, nil
}

func (n *Network) fundWallets(ctx context.Context, nodes []*Node) error {
	addresses := make([]string, len(nodes))
	for i, node := range nodes {
		r, err := node.lightning.NewAddress(ctx, &lnrpc.NewAddressRequest{Type: lnrpc.AddressType_WITNESS_PUBKEY_HASH})
		if err != nil {
			return node.explain("fund", err)
		}
		addresses[i] = r.Address
	}
	if err := n.chain.fund(ctx, addresses); err != nil {
		return fmt.Errorf("fund nodes: %w", err)
	}
	if err := n.Mine(ctx, 1); err != nil {
		return err
	}
	for _, node := range nodes {
		if err := process.Poll(ctx, pollEvery, func() error { return node.rich(ctx) }); err != nil {
			return node.explain("fund", err)
		}
	}
	return nil
}

func (n *Node) rich(ctx context.Context) error {
	r, err := n.lightning.WalletBalance(ctx, &lnrpc.WalletBalanceRequest{})
	if err != nil {
		return err
	}
	if r.ConfirmedBalance < coinCount*coinsEach {
		return fmt.Errorf("its wallet holds %d satoshi", r.ConfirmedBalance)
	}
	return nil
}

// Mine mines blocks and returns when every node that is up has seen them.
func (n *Network) Mine(ctx context.Context, blocks int) error {
	if err := n.chain.mine(ctx, blocks); err != nil {
		return fmt.Errorf("mine: %w", err)
	}
	height, err := n.chain.height(ctx)
	if err != nil {
		return fmt.Errorf("mine: %w", err)
	}
	for _, node := range n.Nodes() {
		if err := process.Poll(ctx, pollEvery, func() error { return node.reached(ctx, height) }); err != nil {
			return node.explain("wait for blocks at", err)
		}
	}
	return nil
}

func (n *Node) reached(ctx context.Context, height int64) error {
	if !n.Running() {
		return nil
	}
	r, err := n.lightning.GetInfo(ctx, &lnrpc.GetInfoRequest{})
	if err != nil {
		return err
	}
	if int64(r.BlockHeight) < height || !r.SyncedToChain {
		return fmt.Errorf("it is at block %d of %d", r.BlockHeight, height)
	}
	return nil
}

// Close ends every process and waits for them. The directory stays.
func (n *Network) Close() error {
	for _, node := range n.Nodes() {
		node.close()
	}
	if n.chain != nil {
		n.chain.close()
	}
	return nil
}
