package doctor

import (
	"testing"
	"time"

	"paygate/config"
	"paygate/lnclient"
	"paygate/lnclient/sandbox"
	"paygate/units"
)

// TestReady breaks one thing at a time and reads the line that names it.
func TestReady(t *testing.T) {
	network, err := sandbox.New(sandbox.Config{})
	must(t, err)
	t.Cleanup(func() { must(t, network.Close()) })
	alice, err := network.AddNode("alice", "127.0.0.1:0")
	must(t, err)
	bob, err := network.AddNode("bob", "127.0.0.1:0")
	must(t, err)
	must(t, network.OpenChannel(alice, bob, 10_000*units.Sat, 5000*units.Sat))
	fault := func(k sandbox.FaultKind) func() {
		return func() { network.SetFault(sandbox.Fault{Kind: k, Node: "alice"}) }
	}
	c := selling()
	c.Lightning = config.Lightning{Address: "ALICE", Macaroon: baked(t, alice, lnclient.SellPermissions()...), Network: "regtest"}
	node, err := lnclient.New(lnclient.Config{Address: alice.Address(), TLSCert: alice.TLSCert(), Macaroon: c.Lightning.Macaroon, Network: "regtest"})
	must(t, err)
	t.Cleanup(func() { must(t, node.Close()) })
	room := diskWarn
	m := Machine{Now: time.Now, Free: func(string) (units.Bytes, error) { return room, nil }}
	for _, tt := range []struct {
		name string
		make func()
		undo func()
		want string
	}{
		{"well", func() {}, func() {}, ""},
		{"only warned", func() { c.Sell.Rules[0].Max = 9000 * units.Sat }, func() { c.Sell.Rules[0].Max = 1000 * units.Sat }, ""},
		{"locked", fault(sandbox.RefuseAll), network.ClearFaults, "lnd at ALICE waits for the password of its wallet; unlock the wallet: lncli unlock"},
		{"starting", fault(sandbox.Starting), network.ClearFaults, "lnd at ALICE is starting; wait until lnd has started"},
		{"unsynced", fault(sandbox.Unsynced), network.ClearFaults, "lnd at ALICE has not caught up with the chain; wait until lnd has caught up with the chain"},
		{
			"away", func() { must(t, alice.Stop()) }, func() { must(t, alice.Start()) },
			"lnd at ALICE does not answer; check that lnd runs and that lightning.address is its gRPC address (rpclisten)",
		},
		{
			"out of liquidity", func() { must(t, bob.Stop()) }, func() { must(t, bob.Start()) },
			"none of the node's channels is active (1); see that the node's peers are online: lncli listpeers",
		},
		{
			"another network", func() { c.Lightning.Network = "signet" }, func() { c.Lightning.Network = "regtest" },
			"the node is on regtest, and lightning.network is signet; set lightning.network to regtest, or connect to a node on signet",
		},
		{"full disk", func() { room = units.MiB }, func() { room = diskWarn }, "only 1 MiB free at ; make room: nothing is bought or sold that cannot be written down"},
	} {
		tt.make()
		err := Ready(t.Context(), c, m, node)
		if got := text(err); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		tt.undo()
		await(t, func() bool { return node.Ready(t.Context()) == nil })
	}
	if err := Ready(t.Context(), &config.Config{}, m, nil); err != nil {
		t.Errorf("without Lightning: %v", err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// await waits for what comes by itself; it measures nothing.
func await(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}
