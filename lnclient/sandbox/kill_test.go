package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"

	"paygate/units"
)

// childDir makes the test binary a sandbox process that keeps its state there.
const childDir = "PAYGATE_TEST_SANDBOX_DIR"

// address tells the parent how to reach a node of the child.
type address struct {
	Address, Cert, Macaroon string
	Key                     string
}

// child runs two nodes until it is killed or its input ends.
func child(dir string) {
	n, err := New(Config{Dir: dir, Latency: 20 * time.Millisecond})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var nodes [2]*Node
	var out []address
	for i, alias := range []string{"a", "b"} {
		if nodes[i], err = n.AddNode(alias, "127.0.0.1:0"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		x := nodes[i]
		out = append(out, address{x.Address(), string(x.TLSCert()), x.Macaroon().Reveal(), x.Key().String()})
	}
	if err := n.OpenChannel(nodes[0], nodes[1], 1_000_000*units.Sat, 1_000_000*units.Sat); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(out)
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
}

type process struct {
	cmd   *exec.Cmd
	nodes []address
}

func spawn(t *testing.T, dir string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	_, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	p := &process{cmd: cmd}
	t.Cleanup(p.kill)
	check(t, json.NewDecoder(out).Decode(&p.nodes))
	return p
}

// kill is SIGKILL: the process gets no chance to tidy up. Killing twice does nothing.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func (p *process) wire(t *testing.T, i int) *wire {
	return connect(t, p.nodes[i].Address, []byte(p.nodes[i].Cert), units.Secret(p.nodes[i].Macaroon))
}

// TestKill: a sandbox that is killed under load comes back with the same nodes, and every payment that it had reported
// as paid is paid, every one that was under way ends, and both sides agree on each.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	p := spawn(t, dir)
	a, b := p.wire(t, 0), p.wire(t, 1)
	const count = 60
	var invoices []*lnrpc.AddInvoiceResponse
	for range count {
		invoices = append(invoices, b.ask(t, 5000))
	}
	reported := a.payUntilKilled(t, p, invoices)
	again := spawn(t, dir)
	if fmt.Sprint(again.nodes) == "" || again.nodes[0].Key != p.nodes[0].Key || again.nodes[1].Cert != p.nodes[1].Cert || again.nodes[0].Address != p.nodes[0].Address {
		t.Fatal("other nodes came back")
	}
	old := p.nodes[0].Macaroon
	again.nodes[0].Macaroon = old // baked before the kill
	a, b = again.wire(t, 0), again.wire(t, 1)
	paid := 0
	for i, inv := range invoices {
		status := a.ending(t, inv.RHash)
		got, err := b.node.LookupInvoice(b.ctx(t.Context()), &lnrpc.PaymentHash{RHash: inv.RHash})
		check(t, err)
		if settled := got.State == lnrpc.Invoice_SETTLED; settled != (status == lnrpc.Payment_SUCCEEDED) {
			t.Errorf("invoice %d is %s, its payment %s", i, got.State, status)
		} else if settled {
			paid++
		}
		if reported[i] && got.State != lnrpc.Invoice_SETTLED {
			t.Errorf("invoice %d was reported paid and is %s", i, got.State)
		}
	}
	balance, err := b.node.ChannelBalance(b.ctx(t.Context()), &lnrpc.ChannelBalanceRequest{})
	check(t, err)
	if want := uint64(paid * 5000); balance.LocalBalance.Msat != want || len(reported) == 0 || paid == count {
		t.Errorf("%d paid of %d, %d reported, balance %d", paid, count, len(reported), balance.LocalBalance.Msat)
	}
	check(t, a.replayed(t, b, paid))
}

// payUntilKilled pays invoices side by side and kills the process when some have been paid. It returns which.
func (w *wire) payUntilKilled(t *testing.T, p *process, invoices []*lnrpc.AddInvoiceResponse) map[int]bool {
	t.Helper()
	results := make(chan int, len(invoices))
	for i, inv := range invoices[:len(invoices)*2/3] {
		go func() {
			got, err := w.pay(t.Context(), &routerrpc.SendPaymentRequest{PaymentRequest: inv.PaymentRequest})
			if err != nil || got == nil || got.Status != lnrpc.Payment_SUCCEEDED {
				i = -1
			}
			results <- i
		}()
	}
	reported := map[int]bool{}
	for n := range len(invoices) * 2 / 3 {
		if i := <-results; i >= 0 {
			reported[i] = true
		}
		if n == 4 {
			p.kill()
		}
	}
	return reported
}

// ending waits for the end of a payment; UNKNOWN if the node never had it.
func (w *wire) ending(t *testing.T, hash []byte) lnrpc.Payment_PaymentStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := w.router.TrackPaymentV2(w.ctx(ctx), &routerrpc.TrackPaymentRequest{PaymentHash: hash, NoInflightUpdates: true})
	check(t, err)
	p, err := stream.Recv()
	if err != nil {
		says(t, "track", err, 5, "payment isn't initiated")
		return lnrpc.Payment_UNKNOWN //nolint:staticcheck // only a marker here
	}
	return p.Status
}

// replayed checks that a subscriber that knows the first settlement is sent all others.
func (w *wire) replayed(t *testing.T, seller *wire, paid int) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := seller.node.SubscribeInvoices(seller.ctx(ctx), &lnrpc.InvoiceSubscription{SettleIndex: 1})
	if err != nil {
		return err
	}
	for want := uint64(2); want <= uint64(paid); want++ {
		i, err := stream.Recv()
		if err != nil {
			return err
		}
		if i.SettleIndex != want {
			return fmt.Errorf("settlement %d, want %d", i.SettleIndex, want)
		}
	}
	return nil
}
