package lnd_test

import (
	"testing"

	"paygate/lnclient"
	"paygate/lnclient/contract"
	"paygate/test/lnd"
	"paygate/units"
)

// TestContract holds real lnd to what lnclient expects of it, and so the sandbox to real lnd.
func TestContract(t *testing.T) {
	buyer, seller, far := string(contract.Buyer), string(contract.Seller), string(contract.Far)
	n := start(t, []string{buyer, seller, far, string(contract.Stranger)},
		lnd.Channel{From: buyer, To: seller, Capacity: capacity, Balance: buyers},
		lnd.Channel{From: seller, To: far, Capacity: capacity, Balance: buyers},
	)
	node := func(r contract.Role) *lnd.Node { return n.Node(string(r)) }
	contract.Run(t, contract.Env{
		Network: "simnet",
		Config:  func(r contract.Role) lnclient.Config { return config(node(r)) },
		Bake: func(t *testing.T, r contract.Role, uris ...string) units.Secret {
			m, err := node(r).Bake(bounded(t), uris...)
			check(t, err)
			return m
		},
		Stop:  func(_ *testing.T, r contract.Role) { node(r).Kill() },
		Start: func(t *testing.T, r contract.Role) { check(t, node(r).Start()) },
		Hold: func(t *testing.T, msat units.Msat) (string, func(bool)) {
			return hold(t, node(contract.Seller), msat)
		},
		TooMuch:    15_000_000 * units.Sat,
		ForwardFee: func(m units.Msat) units.Msat { return feeBase + m*feePPM/1_000_000 },
	})
}

// hold returns a request whose payment waits for release.
func hold(t testing.TB, seller *lnd.Node, msat units.Msat) (string, func(settle bool)) {
	h, err := seller.Hold(bounded(t), msat)
	check(t, err)
	return h.Request, func(settle bool) {
		check(t, h.Accepted(bounded(t)))
		if settle {
			check(t, h.Settle(bounded(t)))
		} else {
			check(t, h.Cancel(bounded(t)))
		}
	}
}
