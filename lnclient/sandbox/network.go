package sandbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"paygate/units"
)

// Config says how the simulated network behaves.
type Config struct {
	Dir     string        // state file, and per node tls.cert and admin.macaroon; empty: in memory only
	Latency time.Duration // per payment, from sending to settlement
	FeeBase units.Msat    // per forwarded part
	FeePPM  int64         // of the amount forwarded, in millionths
}

// Network is a set of nodes and the channels between them. It is safe for concurrent use.
type Network struct {
	cfg   Config
	store *store
	ctx   context.Context // ends with Close; carries payments on
	stop  context.CancelFunc
	tasks sync.WaitGroup // payments under way
	now   func() time.Time

	mu      sync.Mutex // guards everything below
	state   *state
	nodes   map[string]*Node
	latency time.Duration
	faults  []Fault
	flying  map[*payment]struct{}
	claimed map[uint64]bool // channels that OpenChannel has returned since New
	changed chan struct{}   // closed and replaced at every change that a payment may wait for
	closed  bool
}

// New makes a network, or reads one back from cfg.Dir: keys, certificates, macaroons, channels, invoices and payments
// are as they were, and payments that were in flight go on. Its nodes come up with AddNode.
func New(cfg Config) (*Network, error) {
	if cfg.FeeBase < 0 || cfg.FeePPM < 0 || cfg.FeePPM > 1_000_000 || cfg.Latency < 0 {
		return nil, errors.New("sandbox: fees and latency cannot be negative, nor fees above the amount")
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &Network{
		cfg: cfg, ctx: ctx, stop: stop, now: time.Now, state: newState(), latency: cfg.Latency,
		nodes: map[string]*Node{}, flying: map[*payment]struct{}{}, claimed: map[uint64]bool{}, changed: make(chan struct{}),
	}
	if cfg.Dir != "" {
		s, err := openStore(cfg.Dir, n.state.apply)
		if err != nil {
			stop()
			return nil, err
		}
		n.store = s
	}
	n.resume()
	return n, nil
}

// resume carries on the payments that were in flight when the state was written.
func (n *Network) resume() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range n.state.accounts {
		for _, p := range a.payments {
			if !p.ended() {
				n.launch(p, 0)
			}
		}
	}
}

// Close stops every node and every payment under way, and waits for them. Payments in flight stay in the state file.
func (n *Network) Close() error {
	n.mu.Lock()
	nodes := make([]*Node, 0, len(n.nodes))
	for _, node := range n.nodes {
		nodes = append(nodes, node)
	}
	again := n.closed
	n.closed = true
	n.mu.Unlock()
	if again {
		return nil
	}
	var errs []error
	for _, node := range nodes {
		errs = append(errs, node.Stop())
	}
	n.stop()
	n.tasks.Wait()
	return errors.Join(append(errs, n.store.close())...)
}

// commit makes one change: into the state file first, then in memory. The lock is held.
func (n *Network) commit(e event) error {
	if n.closed {
		return errors.New("the sandbox is closed")
	}
	if n.store != nil {
		if err := n.store.append(e); err != nil {
			return err
		}
	}
	return n.state.apply(e)
}

// broadcast wakes everything that waits for a change. The lock is held.
func (n *Network) broadcast() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// SetLatency changes how long payments take that are sent from now on.
func (n *Network) SetLatency(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latency = max(d, 0)
}

// OpenChannel opens a channel in which a owns aBalance of capacity and b the rest. A network that was read back from
// its state has its channels already: the first call for two nodes returns the first channel between them, as it is
// now, and so on, so that the same setting-up code serves both.
func (n *Network) OpenChannel(a, b *Node, capacity, aBalance units.Msat) error {
	if a == b || capacity <= 0 || aBalance < 0 || aBalance > capacity {
		return fmt.Errorf("open channel: %s of %s between %s and %s makes no sense", aBalance, capacity, a.alias, b.alias)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.state.channels {
		if c.has(a.alias) && c.has(b.alias) && !n.claimed[c.ID] {
			n.claimed[c.ID] = true
			return nil
		}
	}
	id := uint64(len(n.state.channels) + 1)
	n.claimed[id] = true
	r := channelRecord{ID: id, A: a.alias, B: b.alias, Capacity: capacity, ABalance: aBalance}
	if err := n.commit(event{Channel: &r}); err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	n.broadcast()
	return nil
}

// Total is the sum of all channels' parts, in flight or not. Only OpenChannel changes it.
func (n *Network) Total() units.Msat {
	n.mu.Lock()
	defer n.mu.Unlock()
	var sum units.Msat
	for _, c := range n.state.channels {
		sum += c.balance[0] + c.balance[1] + c.held[0] + c.held[1]
	}
	return sum
}
