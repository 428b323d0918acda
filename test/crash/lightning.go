package crash

import (
	"context"

	"paygate/lnclient"
	"paygate/lnclient/sandbox"
	"paygate/units"
)

// Node is one party's Lightning node, as far as a campaign uses it. *lnd.Node (test/lnd) needs an adapter of a few
// lines, the sandbox's is sandboxNode.
type Node interface {
	// Access reaches the node with all rights. It does not change over restarts.
	Access() lnclient.Config
	// Bake returns a macaroon that allows the given calls only.
	Bake(ctx context.Context, uris ...string) (units.Secret, error)
	// Kill takes the node down without warning.
	Kill() error
	// Start brings it back and returns when it can pay and be paid again.
	Start(ctx context.Context) error
	// Stats counts what the node has done since it was made.
	Stats(ctx context.Context) (sandbox.Stats, error)
	// Balance is what the node owns in its channels, without what is in flight. If it moves for any other reason than
	// payments, the implementation makes up for that.
	Balance(ctx context.Context) (units.Msat, error)
}

// Lightning is the network of one lane. All of its payments go from Buyer to Seller.
type Lightning struct {
	Buyer, Seller Node
	// Troubles are other things than a kill that can befall payments under way.
	Troubles []Trouble
	Close    func() error
}

// Trouble is something that goes wrong from Begin on. End takes it away, and ends what it has held up.
type Trouble struct {
	Name  string
	Begin func()
	// End is told whether payments that were held up are to succeed.
	End func(settle bool)
}
