package lnd_test

import (
	"testing"
	"time"

	"paygate/lnclient/sandbox"
	"paygate/test/lnd"
	"paygate/units"
)

// TestRouted checks the harness itself on a network with a node between: fees, books, and nodes that go and come.
func TestRouted(t *testing.T) {
	n := start(t, []string{"buyer", "between", "seller"},
		lnd.Channel{From: "buyer", To: "between", Capacity: capacity, Balance: buyers},
		lnd.Channel{From: "between", To: "seller", Capacity: capacity, Balance: capacity},
	)
	buyer, between, seller := n.Node("buyer"), n.Node("between"), n.Node("seller")
	from, to := client(t, buyer), client(t, seller)
	t.Run("books", func(t *testing.T) {
		had := balance(t, between)
		if got := stats(t, between); got != (sandbox.Stats{}) {
			t.Errorf("a new node has %+v", got)
		}
		for range 3 {
			if out := paid(t, from, to, 50_000); out.Fee != feeBase {
				t.Errorf("one hop cost %s", out.Fee)
			}
		}
		owns(t, between, had+3*feeBase)
		owns(t, seller, 150_000)
		if got, want := stats(t, buyer), (sandbox.Stats{Payments: 3, SentMsat: 150_000, FeesMsat: 3 * feeBase}); got != want {
			t.Errorf("the buyer has %+v, want %+v", got, want)
		}
		if got, want := stats(t, seller), (sandbox.Stats{Settled: 3, ReceivedMsat: 150_000}); got != want {
			t.Errorf("the seller has %+v, want %+v", got, want)
		}
	})
	for _, tt := range []struct {
		name string
		end  func(*lnd.Node) error
	}{{"stop", (*lnd.Node).Stop}, {"kill", func(n *lnd.Node) error { n.Kill(); return nil }}} {
		for _, node := range n.Nodes() {
			t.Run(tt.name+" and start "+node.Alias(), func(t *testing.T) {
				pid := node.PID()
				check(t, tt.end(node))
				begin := time.Now()
				check(t, node.Start())
				t.Logf("ready again after %.2f s", time.Since(begin).Seconds())
				if node.PID() == pid {
					t.Error("it has not ended")
				}
				paid(t, from, to, 2000)
			})
		}
	}
	t.Run("one more node", func(t *testing.T) {
		guest, err := n.AddNode(bounded(t), "guest")
		check(t, err)
		check(t, n.OpenChannel(bounded(t), guest, between, 1_000_000*units.Sat, 900_000*units.Sat))
		paid(t, client(t, guest), to, 2000)
		check(t, n.Mine(bounded(t), 150))
		paid(t, client(t, guest), to, 2000)
		if _, err := n.AddNode(bounded(t), "guest"); err == nil {
			t.Error("two nodes of one name")
		}
	})
}
