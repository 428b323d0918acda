package contract

import (
	"testing"

	"paygate/lnclient"
	"paygate/units"
)

// Role is a node's part in the scenarios.
type Role string

// The network is Buyer – Seller – Far, with one public channel for each dash and money on every side. Stranger has
// no channel.
const (
	Buyer    Role = "buyer"
	Seller   Role = "seller"
	Far      Role = "far"
	Stranger Role = "stranger"
)

// Env is a running network.
type Env struct {
	Network string // as in lnclient.Config
	// Config reaches a node with all rights.
	Config func(Role) lnclient.Config
	// Bake returns a macaroon of a node that allows the given calls only, by lnd's own BakeMacaroon.
	Bake func(t *testing.T, r Role, uris ...string) units.Secret
	// Stop takes a node down without warning, Start brings it back and returns when it can pay and be paid again.
	Stop, Start func(t *testing.T, r Role)
	// Hold returns a request of the seller whose payment by the buyer stays in flight until release is called, which
	// settles it or gives it back.
	Hold func(t *testing.T, msat units.Msat) (request string, release func(settle bool))
	// TooMuch is more than the buyer has, and less than an invoice may ask.
	TooMuch units.Msat
	// ForwardFee is what the seller takes for forwarding an amount to Far; above 0.
	ForwardFee func(units.Msat) units.Msat
}

// Run runs every scenario, one after the other.
func Run(t *testing.T, env Env) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) { s.run(&scene{T: t, env: env}) })
	}
}

var scenarios = []struct {
	name string
	run  func(*scene)
}{
	{"info", info},
	{"ready", ready},
	{"liquidity follows the money", liquidity},
	{"invoice says what was asked", invoiceSays},
	{"invoice is looked up", invoiceLookedUp},
	{"invoice is cancelled", invoiceCancelled},
	{"payment succeeds", paymentSucceeds},
	{"payment over a hop pays its fee", paymentOverHop},
	{"payment twice is tracked", paymentTwice},
	{"payment fails for lnd's reasons", paymentFails},
	{"payment is refused before it is sent", paymentRefused},
	{"payment may be sent again after it failed", paymentAgain},
	{"payment held settles later", heldSettles},
	{"payment held is given back", heldReturns},
	{"payment outlives its payer", heldOverRestart},
	{"payment held is seen in its channel", heldSeen},
	{"track of an unknown hash", trackUnknown},
	{"node down refuses a payment", downRefuses},
	{"node down and back", downAndBack},
	{"settlements come live", settlementsLive},
	{"settlements resume", settlementsResume},
	{"settlements from the first", settlementsFromFirst},
	{"settlements while nobody listened", settlementsMissed},
	{"settlements stop when told", settlementsStop},
	{"macaroon for selling", macaroonSelling},
	{"macaroon for buying", macaroonBuying},
	{"macaroon says what it allows", macaroonSays},
	{"macaroon wrong", macaroonWrong},
	{"certificate wrong", certificateWrong},
	{"nobody there", nobodyThere},
}
