package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"paygate/lnclient"
	"paygate/lnclient/sandbox"
	"paygate/units"
)

// channelCapacity is what each channel of a sandbox holds; half of it is on either side.
const channelCapacity = 10_000_000 * units.Sat

// NewSandbox starts a simulated network: buyer and seller with a routing node between them, which takes half a sat for
// each payment. A payment takes latency.
func NewSandbox(latency time.Duration) (*Lightning, error) {
	net, err := sandbox.New(sandbox.Config{Latency: latency, FeeBase: units.Sat / 2})
	if err != nil {
		return nil, fmt.Errorf("start sandbox: %w", err)
	}
	ln, err := connect(net)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start sandbox: %w", err), net.Close())
	}
	return ln, nil
}

func connect(net *sandbox.Network) (*Lightning, error) {
	nodes := map[string]*sandbox.Node{}
	for _, alias := range []string{"buyer", "between", "seller"} {
		var err error
		if nodes[alias], err = net.AddNode(alias, ownHost()); err != nil {
			return nil, err
		}
	}
	err := errors.Join(
		net.OpenChannel(nodes["buyer"], nodes["between"], channelCapacity, channelCapacity/2),
		net.OpenChannel(nodes["between"], nodes["seller"], channelCapacity, channelCapacity/2))
	return &Lightning{
		Buyer: sandboxNode{nodes["buyer"]}, Seller: sandboxNode{nodes["seller"]},
		Troubles: troubles(net), Close: net.Close,
	}, err
}

func troubles(net *sandbox.Network) []Trouble {
	once := func(k sandbox.FaultKind) Trouble {
		return Trouble{
			Name:  string(k),
			Begin: func() { net.SetFault(sandbox.Fault{Kind: k, Node: "buyer", Times: 1}) },
			End: func(settle bool) {
				net.ClearFaults()
				net.Unstick(settle)
			},
		}
	}
	return []Trouble{once(sandbox.DropConnection), once(sandbox.StuckInFlight), once(sandbox.DropUnheard)}
}

// sandboxNode makes a Node of the sandbox's.
type sandboxNode struct{ *sandbox.Node }

func (n sandboxNode) Access() lnclient.Config {
	return lnclient.Config{Address: n.Address(), TLSCert: n.TLSCert(), Macaroon: n.Macaroon(), Network: "regtest"}
}

func (n sandboxNode) Bake(_ context.Context, uris ...string) (units.Secret, error) {
	return n.Node.Bake(uris...)
}

func (n sandboxNode) Kill() error                                  { return n.Stop() }
func (n sandboxNode) Start(context.Context) error                  { return n.Node.Start() }
func (n sandboxNode) Stats(context.Context) (sandbox.Stats, error) { return n.Node.Stats(), nil }
func (n sandboxNode) Balance(context.Context) (m units.Msat, err error) {
	m, _ = n.Node.Balance()
	return m, nil
}

// ownHost is a loopback address that nobody else is likely to use, so that a node finds its port free when it comes
// back.
func ownHost() string {
	return fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(15), rand.IntN(256), 1+rand.IntN(254))
}
