package sandbox

import (
	"reflect"
	"testing"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"

	"paygate/units"
)

// chart is a network without listeners, for routes alone.
func chart(t *testing.T, cfg Config, channels ...channelRecord) *Network {
	t.Helper()
	n, err := New(cfg)
	check(t, err)
	t.Cleanup(func() { check(t, n.Close()) })
	for i, c := range channels {
		for _, alias := range []string{c.A, c.B} {
			if n.state.accounts[alias] == nil {
				r, err := newRecord(alias, "127.0.0.1:0")
				check(t, err)
				check(t, n.commit(event{Node: &r}))
				server, err := (&Node{net: n, account: n.state.accounts[alias], alias: alias}).newServer()
				check(t, err)
				n.nodes[alias] = &Node{net: n, alias: alias, server: server, served: closed()}
			}
		}
		c.ID = uint64(i + 1)
		check(t, n.commit(event{Channel: &c}))
	}
	return n
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func TestRoute(t *testing.T) {
	const sat = units.Sat
	diamond := []channelRecord{
		{A: "a", B: "b", Capacity: 1000 * sat, ABalance: 500 * sat}, // 1
		{A: "b", B: "d", Capacity: 1000 * sat, ABalance: 200 * sat}, // 2
		{A: "a", B: "c", Capacity: 1000 * sat, ABalance: 900 * sat}, // 3
		{A: "c", B: "x", Capacity: 1000 * sat, ABalance: 900 * sat}, // 4
		{A: "x", B: "d", Capacity: 1000 * sat, ABalance: 900 * sat}, // 5
	}
	for _, tt := range []struct {
		name   string
		j      journey
		down   string
		want   []hop
		reason lnrpc.PaymentFailureReason
	}{
		{"direct", journey{from: "a", to: "b", msat: 10 * sat}, "", []hop{{1, "a", 10 * sat}}, 0},
		{"cheapest", journey{from: "a", to: "d", msat: 100 * sat, feeLimit: 3 * sat}, "", []hop{{1, "a", 102 * sat}, {2, "b", 100 * sat}}, 0},
		{
			"around a dry channel",
			journey{from: "a", to: "d", msat: 300 * sat, feeLimit: 9 * sat},
			"",
			[]hop{{3, "a", 308*sat + 40}, {4, "c", 304 * sat}, {5, "x", 300 * sat}},
			0,
		},
		{
			"around a node that is down",
			journey{from: "a", to: "d", msat: 100 * sat, feeLimit: 9 * sat},
			"b",
			[]hop{{3, "a", 104*sat + 20}, {4, "c", 102 * sat}, {5, "x", 100 * sat}},
			0,
		},
		{"fee just in the limit", journey{from: "a", to: "d", msat: 100 * sat, feeLimit: 2 * sat}, "", []hop{{1, "a", 102 * sat}, {2, "b", 100 * sat}}, 0},
		{"fee above the limit", journey{from: "a", to: "d", msat: 100 * sat, feeLimit: 2*sat - 1}, "", nil, noRoute},
		{"smallest", journey{from: "a", to: "b", msat: 1000}, "", []hop{{1, "a", 1000}}, 0},
		{"too small", journey{from: "a", to: "b", msat: 999}, "", nil, noRoute},
		{"all of a balance", journey{from: "a", to: "b", msat: 500 * sat}, "", []hop{{1, "a", 500 * sat}}, 0},
		{"more than a balance", journey{from: "a", to: "b", msat: 901 * sat}, "", nil, noBalance},
		{"the other way", journey{from: "d", to: "b", msat: 800 * sat}, "", []hop{{2, "d", 800 * sat}}, 0},
		{"unknown payee", journey{from: "a", to: "", msat: 10 * sat}, "", nil, noRoute},
		{"payee down", journey{from: "a", to: "d", msat: 10 * sat}, "d", nil, noRoute},
		{
			"lock in the limit",
			journey{from: "a", to: "d", msat: 10 * sat, feeLimit: 9 * sat, cltvLimit: 163},
			"",
			[]hop{{1, "a", 11*sat + 100}, {2, "b", 10 * sat}},
			0,
		},
		{"lock above the limit", journey{from: "a", to: "d", msat: 10 * sat, feeLimit: 9 * sat, cltvLimit: 162}, "", nil, noRoute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := chart(t, Config{FeeBase: 1000, FeePPM: 10_000}, diamond...)
			if tt.down != "" {
				check(t, n.nodes[tt.down].Stop())
			}
			if tt.j.cltvLimit == 0 {
				tt.j.cltvLimit = longestLock
			}
			tt.j.finalCLTV = 80
			hops, fee, reason := n.route(tt.j)
			if !reflect.DeepEqual(hops, tt.want) || reason != tt.reason {
				t.Fatalf("got %v (%s), want %v (%s)", hops, reason, tt.want, tt.reason)
			}
			if hops != nil && fee != hops[0].Msat-tt.j.msat {
				t.Errorf("fee %s", fee)
			}
		})
	}
}

const (
	noRoute   = lnrpc.PaymentFailureReason_FAILURE_REASON_NO_ROUTE
	noBalance = lnrpc.PaymentFailureReason_FAILURE_REASON_INSUFFICIENT_BALANCE
)

// TestPendingLimit: the 484th part in flight finds no room, as with lnd.
func TestPendingLimit(t *testing.T) {
	n := chart(t, Config{}, channelRecord{A: "a", B: "b", Capacity: units.BTC, ABalance: units.BTC})
	n.state.channels[0].pending = maxPending - 1
	j := journey{from: "a", to: "b", msat: 1000, cltvLimit: longestLock, finalCLTV: 80}
	if _, _, reason := n.route(j); reason != 0 {
		t.Errorf("part 483: %s", reason)
	}
	n.state.channels[0].pending++
	if _, _, reason := n.route(j); reason != noBalance {
		t.Errorf("part 484: %s", reason)
	}
}

// TestHops: a payment over two forwarding nodes leaves each with its fee.
func TestHops(t *testing.T) {
	n, nodes := line(t, Config{FeeBase: 1000, FeePPM: 1000}, "a", "b", "c", "d")
	a, d := wired(t, nodes[0]), wired(t, nodes[3])
	total := n.Total()
	p := a.paid(t, d.ask(t, 1_000_000).PaymentRequest)
	if p.FeeMsat != 2000+2002 {
		t.Errorf("fee %d msat", p.FeeMsat)
	}
	start := 100_000 * units.Sat
	for i, want := range []units.Msat{start - 1_004_002, start + 2002, start + 2000, 1_000_000} {
		if local, _ := nodes[i].Balance(); local != want {
			t.Errorf("node %d has %s, want %s", i, local, want)
		}
	}
	if n.Total() != total {
		t.Errorf("%s became %s", total, n.Total())
	}
	want := Stats{SentMsat: 1_000_000, FeesMsat: 4002, Payments: 1}
	if got := nodes[0].Stats(); got != want {
		t.Errorf("payer's stats %+v", got)
	}
	if got := nodes[3].Stats(); got != (Stats{ReceivedMsat: 1_000_000, Settled: 1}) {
		t.Errorf("payee's stats %+v", got)
	}
}

// TestDownHop: what has been sent waits for a node that is down.
func TestDownHop(t *testing.T) {
	n, nodes := line(t, Config{}, "a", "b", "c")
	a, c := wired(t, nodes[0]), wired(t, nodes[2])
	n.SetFault(Fault{Kind: StuckInFlight, Times: 1})
	req := c.ask(t, 5000)
	stream, err := a.router.SendPaymentV2(a.ctx(t.Context()), &routerrpc.SendPaymentRequest{PaymentRequest: req.PaymentRequest})
	check(t, err)
	p, err := stream.Recv()
	check(t, err)
	if p.Status != lnrpc.Payment_IN_FLIGHT {
		t.Fatalf("payment %s", p.Status)
	}
	check(t, nodes[1].Stop())
	n.Unstick(true)
	if s := nodes[0].Stats(); s.InFlight != 1 || s.Payments != 0 {
		t.Errorf("with the hop down: %+v", s)
	}
	check(t, nodes[1].Start())
	p, err = stream.Recv()
	check(t, err)
	if p.Status != lnrpc.Payment_SUCCEEDED {
		t.Errorf("with the hop back: %s", p.Status)
	}
}
