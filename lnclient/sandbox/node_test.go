package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"paygate/units"
)

func TestAddNodeRefuses(t *testing.T) {
	n, _ := line(t, Config{}, "a")
	for _, tt := range []struct{ alias, listen string }{
		{"a", "127.0.0.1:0"},
		{"", "127.0.0.1:0"},
		{"../x", "127.0.0.1:0"},
		{".x", "127.0.0.1:0"},
		{strings.Repeat("x", 33), "127.0.0.1:0"},
		{"b", "0.0.0.0:0"},
		{"b", "192.0.2.1:9000"},
		{"b", ":0"},
		{"b", "127.0.0.1"},
	} {
		if _, err := n.AddNode(tt.alias, tt.listen); err == nil {
			t.Errorf("node %q on %q is added", tt.alias, tt.listen)
		}
	}
	if _, err := n.AddNode("b", "127.0.0.1:0"); err != nil {
		t.Errorf("a name that was refused an address is lost: %v", err)
	}
	if _, err := New(Config{FeeBase: -1}); err == nil {
		t.Error("a negative fee is taken")
	}
}

func TestAddNodeOnce(t *testing.T) {
	n, err := New(Config{})
	check(t, err)
	defer func() { check(t, n.Close()) }()
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() { _, errs[i] = n.AddNode("same", "127.0.0.1:0") })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d nodes of one name", won)
	}
}

func TestStopStart(t *testing.T) {
	_, nodes := line(t, Config{}, "a", "b")
	b := wired(t, nodes[1])
	inv := b.ask(t, 1000)
	for range 3 {
		check(t, nodes[1].Stop())
		check(t, nodes[1].Stop())
		_, err := b.node.LookupInvoice(b.ctx(t.Context()), &lnrpc.PaymentHash{RHash: inv.RHash})
		if status.Code(err) != codes.Unavailable {
			t.Errorf("a stopped node answers %v", err)
		}
		check(t, nodes[1].Start())
		check(t, nodes[1].Start())
	}
	b = wired(t, nodes[1])
	if got, err := b.node.LookupInvoice(b.ctx(t.Context()), &lnrpc.PaymentHash{RHash: inv.RHash}); err != nil || got.State != lnrpc.Invoice_OPEN {
		t.Errorf("back again: %v, %v", got, err)
	}
}

// TestRestore: the same set-up code on a directory that has a network gives the same network.
func TestRestore(t *testing.T) {
	dir := t.TempDir()
	n, nodes := line(t, Config{Dir: dir}, "a", "b")
	wired(t, nodes[0]).paid(t, wired(t, nodes[1]).ask(t, 7000).PaymentRequest)
	stuck := wired(t, nodes[1]).ask(t, 9000)
	n.SetFault(Fault{Kind: StuckInFlight})
	a := wired(t, nodes[0])
	stream, err := a.router.SendPaymentV2(a.ctx(t.Context()), &routerrpc.SendPaymentRequest{PaymentRequest: stuck.PaymentRequest})
	check(t, err)
	_, err = stream.Recv()
	check(t, err)
	address, key, stats := nodes[0].Address(), nodes[0].Key(), nodes[0].Stats()
	check(t, n.Close())
	check(t, n.Close())

	m, nodes := line(t, Config{Dir: dir}, "a", "b")
	if nodes[0].Address() != address || nodes[0].Key() != key || nodes[0].Stats() != stats {
		t.Errorf("came back as %s %s %+v", nodes[0].Address(), nodes[0].Key(), nodes[0].Stats())
	}
	if m.Total() != 100_000*units.Sat || stats.InFlight != 1 {
		t.Errorf("%s in all, %+v", m.Total(), stats)
	}
	check(t, m.OpenChannel(nodes[0], nodes[1], 5*units.Sat, 0))
	if m.Total() != 100_005*units.Sat {
		t.Errorf("a second channel makes it %s", m.Total())
	}
	for _, name := range []string{"state.jsonl", "a/tls.cert", "a/admin.macaroon", "b/tls.cert"} {
		st, err := os.Stat(filepath.Join(dir, name))
		check(t, err)
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s is %s", name, st.Mode())
		}
	}
	if m.Unstick(true) != 1 {
		t.Error("the stuck payment was lost")
	}
	if got := wired(t, nodes[0]).ending(t, stuck.RHash); got != lnrpc.Payment_SUCCEEDED {
		t.Errorf("it ends %s", got)
	}
}

func TestFaultTimes(t *testing.T) {
	n, err := New(Config{})
	check(t, err)
	defer func() { check(t, n.Close()) }()
	n.SetFault(Fault{Kind: NoRoute, Node: "a", Times: 5})
	n.SetFault(Fault{Kind: NoRoute, Node: "a", Times: 2})
	n.SetFault(Fault{Kind: Slow, Delay: time.Second})
	for _, tt := range []struct {
		kind FaultKind
		node string
		want bool
	}{
		{NoRoute, "b", false},
		{NoRoute, "a", true},
		{NoRoute, "a", true},
		{NoRoute, "a", false},
		{Slow, "a", true},
		{Slow, "b", true},
		{StuckInFlight, "a", false},
	} {
		if got := n.hit(tt.kind, tt.node); got != tt.want {
			t.Errorf("%s on %s: %v", tt.kind, tt.node, got)
		}
	}
	if got := n.Faults(); len(got) != 1 || got[0].Kind != Slow {
		t.Errorf("left: %v", got)
	}
	n.ClearFaults()
	if n.hit(Slow, "a") || len(FaultKinds()) < 11 {
		t.Error("a cleared fault strikes")
	}
}

// TestSlow: latency and delay are real time, and add up.
func TestSlow(t *testing.T) {
	n, nodes := line(t, Config{Latency: 30 * time.Millisecond}, "a", "b")
	n.SetFault(Fault{Kind: Slow, Delay: 20 * time.Millisecond, Times: 1})
	a, b := wired(t, nodes[0]), wired(t, nodes[1])
	for _, least := range []time.Duration{50 * time.Millisecond, 30 * time.Millisecond} {
		req := b.ask(t, 1000).PaymentRequest
		start := time.Now()
		a.paid(t, req)
		if took := time.Since(start); took < least {
			t.Errorf("took %s, less than %s", took, least)
		}
	}
}

// BenchmarkPay is what the sandbox itself costs: invoice, payment and settlement over gRPC, kept on disk.
func BenchmarkPay(b *testing.B) {
	for _, workers := range []int{1, 16} {
		b.Run(map[int]string{1: "one at a time", 16: "16 at once"}[workers], func(b *testing.B) {
			_, nodes := line(b, Config{Dir: b.TempDir()}, "a", "b")
			payer, payee := wired(b, nodes[0]), wired(b, nodes[1])
			var all sync.WaitGroup
			jobs := make(chan struct{})
			for range workers {
				all.Go(func() {
					for range jobs {
						payer.paid(b, payee.ask(b, 1000).PaymentRequest)
					}
				})
			}
			b.ResetTimer()
			for range b.N {
				jobs <- struct{}{}
			}
			close(jobs)
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pay/s")
		})
	}
}
