package lnclient

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paygate/lnclient/sandbox"
	"paygate/units"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is a buyer and a seller with one channel.
type pair struct {
	net           *sandbox.Network
	buyer, seller *Client
	nodes         [2]*sandbox.Node
}

func newPair(t *testing.T) *pair {
	t.Helper()
	n, err := sandbox.New(sandbox.Config{})
	check(t, err)
	t.Cleanup(func() { check(t, n.Close()) })
	p := &pair{net: n}
	for i, alias := range []string{"buyer", "seller"} {
		p.nodes[i], err = n.AddNode(alias, "127.0.0.1:0")
		check(t, err)
	}
	check(t, n.OpenChannel(p.nodes[0], p.nodes[1], 1_000_000*units.Sat, 1_000_000*units.Sat))
	p.buyer, p.seller = connect(t, p.nodes[0]), connect(t, p.nodes[1])
	return p
}

func connect(t *testing.T, n *sandbox.Node) *Client {
	t.Helper()
	c, err := New(Config{Address: n.Address(), TLSCert: n.TLSCert(), Macaroon: n.Macaroon(), Network: "regtest"})
	check(t, err)
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}

func (p *pair) ask(t *testing.T) Payment {
	t.Helper()
	inv, err := p.seller.AddInvoice(t.Context(), NewInvoice{Msat: 5000, Expiry: time.Hour})
	check(t, err)
	return Payment{Request: inv.Request, Hash: inv.Hash, FeeLimit: 1000, Timeout: 20 * time.Second, MaxParts: 1}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func kindOf(err error) ProblemKind {
	var p *Problem
	if !errors.As(err, &p) {
		return ProblemKind(255)
	}
	return p.Kind
}

func refusedFor(err error) string {
	var r *Refused
	if !errors.As(err, &r) {
		return ""
	}
	return r.Reason
}

// TestPayBrokenConnection: a payment whose answer is lost is unknown, and tracking tells the truth either way.
func TestPayBrokenConnection(t *testing.T) {
	for _, tt := range []struct {
		fault sandbox.FaultKind
		want  PayState
		state InvoiceState
	}{
		{sandbox.DropConnection, Succeeded, Settled},
		{sandbox.DropUnheard, NeverSent, Open},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			p := newPair(t)
			p.net.SetLatency(30 * time.Millisecond)
			p.net.SetFault(sandbox.Fault{Kind: tt.fault, Node: "buyer", Times: 1})
			pay := p.ask(t)
			out, err := p.buyer.Pay(t.Context(), pay)
			if err == nil || out != (Outcome{}) || refusedFor(err) != "" || kindOf(err) != Unreachable {
				t.Fatalf("got %+v, %v; want an unknown outcome", out, err)
			}
			out, err = p.buyer.Track(t.Context(), pay.Hash)
			check(t, err)
			if out.State != tt.want {
				t.Errorf("tracked: %s, want %s", out.State, tt.want)
			}
			st, err := p.seller.LookupInvoice(t.Context(), pay.Hash)
			check(t, err)
			if st.State != tt.state {
				t.Errorf("invoice %s, want %s", st.State, tt.state)
			}
		})
	}
}

// TestNodeStates: what a node refuses in each state is told by its kind, and a payment then is refused, not unknown.
func TestNodeStates(t *testing.T) {
	for _, tt := range []struct {
		fault sandbox.FaultKind
		want  ProblemKind
	}{
		{sandbox.RefuseAll, Locked}, {sandbox.Starting, Starting}, {sandbox.NoWallet, NoWallet},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			p := newPair(t)
			pay := p.ask(t)
			p.net.SetFault(sandbox.Fault{Kind: tt.fault})
			_, err := p.buyer.Info(t.Context())
			if kindOf(err) != tt.want {
				t.Errorf("info: %v", err)
			}
			if err := p.buyer.Ready(t.Context()); kindOf(err) != tt.want {
				t.Errorf("ready: %v", err)
			}
			if _, err := p.buyer.Pay(t.Context(), pay); refusedFor(err) != RefusedNode || kindOf(err) != tt.want {
				t.Errorf("pay: %v", err)
			}
			if err := p.seller.Settlements(t.Context(), 0, nil); kindOf(err) != tt.want {
				t.Errorf("settlements: %v", err)
			}
			p.net.ClearFaults()
			out, err := p.buyer.Track(t.Context(), pay.Hash)
			check(t, err)
			if out.State != NeverSent {
				t.Errorf("track: %s", out.State)
			}
		})
	}
}

// TestUnsynced: a node that has never synced blocks; the client gives up and says why.
func TestUnsynced(t *testing.T) {
	p := newPair(t)
	pay := p.ask(t)
	p.net.SetFault(sandbox.Fault{Kind: sandbox.Unsynced})
	p.seller.timeout = 100 * time.Millisecond
	if _, err := p.seller.AddInvoice(t.Context(), NewInvoice{Msat: 1000, Expiry: time.Hour}); kindOf(err) != Unsynced {
		t.Errorf("add invoice: %v", err)
	}
	if err := p.seller.Settlements(t.Context(), 3, nil); kindOf(err) != Unsynced {
		t.Errorf("settlements: %v", err)
	}
	if info, err := p.buyer.Info(t.Context()); err != nil || info.Synced {
		t.Errorf("info: %+v, %v", info, err)
	}
	out, err := p.buyer.Pay(t.Context(), pay)
	check(t, err)
	if out.State != Failed || out.Reason != ReasonInsufficient {
		t.Errorf("pay: %s (%s)", out.State, out.Reason)
	}
}

// TestPayFaults: reasons that only a fault brings about.
func TestPayFaults(t *testing.T) {
	p := newPair(t)
	for kind, want := range map[sandbox.FaultKind]string{
		sandbox.NoRoute: ReasonNoRoute, sandbox.InsufficientBalance: ReasonInsufficient, sandbox.IncorrectDetails: ReasonIncorrect,
	} {
		p.net.SetFault(sandbox.Fault{Kind: kind, Times: 1})
		pay := p.ask(t)
		out, err := p.buyer.Pay(t.Context(), pay)
		check(t, err)
		if out.State != Failed || out.Reason != want {
			t.Errorf("%s: %s (%s)", kind, out.State, out.Reason)
		}
		out, err = p.buyer.Pay(t.Context(), pay)
		check(t, err)
		if out.State != Succeeded {
			t.Errorf("%s used up: %s", kind, out.State)
		}
	}
}

// TestPayExpiredInFlight: lnd refuses a request that has expired even if it is paying it; the client must not believe
// that nothing was sent.
func TestPayExpiredInFlight(t *testing.T) {
	p := newPair(t)
	inv, err := p.seller.AddInvoice(t.Context(), NewInvoice{Msat: 5000, Expiry: 2 * time.Second})
	check(t, err)
	pay := Payment{Request: inv.Request, Hash: inv.Hash, Timeout: 20 * time.Second}
	p.net.SetFault(sandbox.Fault{Kind: sandbox.StuckInFlight, Times: 1})
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		out, err := p.buyer.Pay(ctx, pay)
		cancel()
		if out.State != InFlight || refusedFor(err) != "" || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %s, %v", out.State, err)
		}
		time.Sleep(time.Until(inv.Expires.Add(time.Second)))
	}
	p.net.Unstick(false)
	out, err := p.buyer.Pay(t.Context(), pay)
	check(t, err)
	if out.State != Failed {
		t.Errorf("given back: %s", out.State)
	}
}

// TestTrackCancelled: tracking ends with its context and says so.
func TestTrackCancelled(t *testing.T) {
	p := newPair(t)
	pay := p.ask(t)
	p.net.SetFault(sandbox.Fault{Kind: sandbox.StuckInFlight, Times: 1})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		out, err := p.buyer.Pay(ctx, pay)
		if out.State != InFlight {
			err = errors.New(out.State.String())
		}
		done <- err
	}()
	for p.nodes[0].Stats().InFlight == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || kindOf(err) != Other {
		t.Errorf("pay: %v", err)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	if out, err := p.buyer.Track(ended, pay.Hash); out.State != InFlight || !errors.Is(err, context.Canceled) {
		t.Errorf("track: %s, %v", out.State, err)
	}
}

// TestSettlementsWithoutList: without the right to list, live settlements still come.
func TestSettlementsWithoutList(t *testing.T) {
	p := newPair(t)
	mac, err := p.nodes[1].Bake("/lnrpc.Lightning/SubscribeInvoices")
	check(t, err)
	c, err := New(Config{Address: p.nodes[1].Address(), TLSCert: p.nodes[1].TLSCert(), Macaroon: mac, Network: "regtest"})
	check(t, err)
	defer func() { check(t, c.Close()) }()
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan Settlement, 1)
	done := make(chan error, 1)
	go func() {
		done <- c.Settlements(ctx, 0, func(s Settlement) error {
			got <- s
			return nil
		})
	}()
	time.Sleep(2 * registerPause) // nothing tells when lnd has registered a subscriber
	pay := p.ask(t)
	_, err = p.buyer.Pay(t.Context(), pay)
	check(t, err)
	if s := <-got; s.Hash != pay.Hash || s.SettleIndex != 1 {
		t.Errorf("got %+v", s)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestSettlementsManyPages: the first settlements ever are found behind more invoices than one page holds.
func TestSettlementsManyPages(t *testing.T) {
	p := newPair(t)
	for range listPage + 5 {
		p.ask(t)
	}
	first, second := p.ask(t), p.ask(t)
	for _, pay := range []Payment{second, first} {
		_, err := p.buyer.Pay(t.Context(), pay)
		check(t, err)
	}
	var got []units.PaymentHash
	ctx, cancel := context.WithCancel(t.Context())
	err := p.seller.Settlements(ctx, 0, func(s Settlement) error {
		if got = append(got, s.Hash); len(got) == 2 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || len(got) != 2 || got[0] != second.Hash || got[1] != first.Hash {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestNewRefuses(t *testing.T) {
	p := newPair(t)
	good := Config{Address: p.nodes[0].Address(), TLSCert: p.nodes[0].TLSCert(), Macaroon: p.nodes[0].Macaroon(), Network: "regtest"}
	for name, tt := range map[string]struct {
		change func(*Config)
		want   ProblemKind
	}{
		"network":  {func(c *Config) { c.Network = "moon" }, Other},
		"address":  {func(c *Config) { c.Address = "nowhere" }, Other},
		"cert":     {func(c *Config) { c.TLSCert = []byte("x") }, BadCert},
		"macaroon": {func(c *Config) { c.Macaroon = "x" }, BadMacaroon},
	} {
		cfg := good
		tt.change(&cfg)
		if _, err := New(cfg); kindOf(err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.seller.AddInvoice(t.Context(), NewInvoice{Msat: 0, Expiry: time.Hour}); kindOf(err) != Other {
		t.Errorf("an invoice for nothing: %v", err)
	}
}
