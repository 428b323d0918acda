package lnd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"

	"paygate/test/process"
	"paygate/units"
)

// channel is one that was opened.
type channel struct {
	a, b  *Node
	point string // funding transaction and output
}

func (c *channel) has(n *Node) bool { return c.a == n || c.b == n }

func (c *channel) peer(n *Node) *Node {
	if c.a == n {
		return c.b
	}
	return c.a
}

// announceBlocks are what a channel needs above it before it is told to the rest of the network (BOLT 7).
const announceBlocks = 6

// openChannel has a channel's funding transaction wait for the next block.
func (n *Network) openChannel(ctx context.Context, c Channel) (*channel, error) {
	from, to := n.Node(c.From), n.Node(c.To)
	if from == nil || to == nil || from == to {
		return nil, fmt.Errorf("open channel from %q to %q: there must be two such nodes", c.From, c.To)
	}
	if err := from.connect(ctx, to); err != nil {
		return nil, fmt.Errorf("open channel: %w", err)
	}
	point, err := from.lightning.OpenChannelSync(ctx, &lnrpc.OpenChannelRequest{
		NodePubkey:         to.key[:],
		LocalFundingAmount: int64(c.Capacity / units.Sat),
		PushSat:            int64((c.Capacity - c.Balance) / units.Sat),
		SatPerVbyte:        5,
	})
	if err != nil {
		return nil, from.explain("open channel from", err)
	}
	hash, err := chainhash.NewHash(point.GetFundingTxidBytes())
	if err != nil {
		return nil, from.explain("open channel from", err)
	}
	ch := &channel{a: from, b: to, point: fmt.Sprintf("%s:%d", hash, point.OutputIndex)}
	err = process.Poll(ctx, pollEvery, func() error { return n.funded(ctx, hash.String()) })
	if err != nil {
		return nil, from.explain("open channel from", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.channels = append(n.channels, ch)
	return ch, nil
}

func (n *Network) funded(ctx context.Context, id string) error {
	waiting, err := n.chain.waiting(ctx, id)
	if err == nil && !waiting {
		err = errors.New("the funding transaction has not reached btcd")
	}
	return err
}

// connect has a node connect to another, unless they are connected.
func (n *Node) connect(ctx context.Context, to *Node) error {
	err := process.Poll(ctx, 4*pollEvery, func() error {
		peers, err := n.lightning.ListPeers(ctx, &lnrpc.ListPeersRequest{})
		if err != nil {
			return err
		}
		for _, p := range peers.Peers {
			if p.PubKey == to.key.String() {
				return nil
			}
		}
		at := &lnrpc.LightningAddress{Pubkey: to.key.String(), Host: to.peerAddress}
		_, err = n.lightning.ConnectPeer(ctx, &lnrpc.ConnectPeerRequest{Addr: at, Timeout: 5})
		return err
	})
	if err != nil {
		return n.explain("connect to "+to.alias+" from", err)
	}
	return nil
}

// confirm mines what new channels need and waits until every node that has a way to them knows them.
func (n *Network) confirm(ctx context.Context, channels []*channel) error {
	if len(channels) == 0 {
		return nil
	}
	if err := n.Mine(ctx, announceBlocks); err != nil {
		return err
	}
	for _, c := range channels {
		if err := c.ready(ctx); err != nil {
			return err
		}
	}
	for _, node := range n.Nodes() {
		want := n.reach(node)
		if err := process.Poll(ctx, pollEvery, func() error { return node.knows(ctx, want) }); err != nil {
			return node.explain("wait for the graph of", err)
		}
	}
	return nil
}

// rejoin connects a node that has come back to its peers that are up.
func (n *Network) rejoin(ctx context.Context, node *Node) error {
	for _, c := range n.channelsOf(node) {
		if !c.peer(node).Running() {
			continue
		}
		if err := node.connect(ctx, c.peer(node)); err != nil {
			return err
		}
		if err := c.ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (n *Network) channelsOf(node *Node) (found []*channel) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.channels {
		if c.has(node) {
			found = append(found, c)
		}
	}
	return found
}

// reach counts the channels that a node has a way to.
func (n *Network) reach(node *Node) int {
	seen := map[*channel]bool{}
	for todo := []*Node{node}; len(todo) > 0; todo = todo[1:] {
		for _, c := range n.channelsOf(todo[0]) {
			if !seen[c] {
				seen[c] = true
				todo = append(todo, c.peer(todo[0]))
			}
		}
	}
	return len(seen)
}

// knows fails unless the node's graph has so many channels with both sides' terms.
func (n *Node) knows(ctx context.Context, channels int) error {
	if !n.Running() {
		return nil
	}
	r, err := n.lightning.DescribeGraph(ctx, &lnrpc.ChannelGraphRequest{})
	if err != nil {
		return err
	}
	known := 0
	for _, e := range r.Edges {
		if e.Node1Policy != nil && e.Node2Policy != nil {
			known++
		}
	}
	if known < channels {
		return fmt.Errorf("it knows %d of %d channels", known, channels)
	}
	return nil
}

// ready waits until payments get through, in each direction in which there is money. lnd says that a channel is active
// about a second before that.
func (c *channel) ready(ctx context.Context) error {
	for _, n := range []*Node{c.a, c.b} {
		if err := process.Poll(ctx, pollEvery, func() error { return n.probe(ctx, c) }); err != nil {
			return n.explain("wait for a channel of", err)
		}
	}
	return nil
}

// find returns a channel as one of its nodes sees it, if it is active.
func (n *Node) find(ctx context.Context, c *channel) (*lnrpc.Channel, error) {
	r, err := n.lightning.ListChannels(ctx, &lnrpc.ListChannelsRequest{ActiveOnly: true})
	if err != nil {
		return nil, err
	}
	for _, found := range r.Channels {
		if found.ChannelPoint == c.point {
			return found, nil
		}
	}
	return nil, errors.New("the channel is not active")
}

const (
	probeAmount   = 1000   // msat; the least that lnd lets through by default
	probeSpare    = 20_000 // satoshi above the reserve: with less, a direction counts as empty
	probePatience = 5      // seconds
	finalDelta    = 80     // blocks
)

// probe sends a payment through a channel whose hash nobody has the preimage of. That the other side turns it down
// shows that it would have arrived, and no money moves.
func (n *Node) probe(ctx context.Context, c *channel) error {
	here, err := n.find(ctx, c)
	if err != nil || here.LocalBalance < int64(here.LocalConstraints.GetChanReserveSat())+probeSpare {
		return err
	}
	hash, secret := make([]byte, 32), make([]byte, 32)
	_, _ = rand.Read(hash) // it never fails
	_, _ = rand.Read(secret)
	peer := c.peer(n)
	stream, err := n.router.SendPaymentV2(ctx, &routerrpc.SendPaymentRequest{
		Dest: peer.key[:], AmtMsat: probeAmount, PaymentHash: hash, PaymentAddr: secret, FinalCltvDelta: finalDelta,
		DestFeatures:    []lnrpc.FeatureBit{lnrpc.FeatureBit_TLV_ONION_OPT, lnrpc.FeatureBit_PAYMENT_ADDR_OPT},
		OutgoingChanIds: []uint64{here.ChanId}, TimeoutSeconds: probePatience, NoInflightUpdates: true,
	})
	if err != nil {
		return err
	}
	p, err := stream.Recv()
	if err != nil {
		return err
	}
	if p.FailureReason != lnrpc.PaymentFailureReason_FAILURE_REASON_INCORRECT_PAYMENT_DETAILS {
		return fmt.Errorf("a payment to %s: %s (%s)", peer.alias, p.Status, p.FailureReason)
	}
	return nil
}
