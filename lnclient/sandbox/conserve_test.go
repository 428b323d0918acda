package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"pgregory.net/rapid"

	"paygate/units"
)

// TestConservation: whatever is paid, fails, sticks or is cut off, no millisatoshi appears or is lost, nothing goes
// below zero, what was sent was received, and the state file says the same as memory.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		check(t, err)
		w := newWorld(t, rt, dir)
		defer func() { check(t, w.net.Close()) }()
		rt.Repeat(map[string]func(*rapid.T){
			"pay":     w.pay,
			"fault":   w.fault,
			"clear":   func(*rapid.T) { w.net.ClearFaults() },
			"unstick": func(rt *rapid.T) { w.net.Unstick(rapid.Bool().Draw(rt, "settle")) },
			"down":    func(rt *rapid.T) { check(t, w.pick(rt, "down").Stop()) },
			"up":      func(rt *rapid.T) { check(t, w.pick(rt, "up").Start()) },
			"reopen":  w.reopen,
			"":        w.invariant,
		})
		w.finish(rt)
	})
}

type world struct {
	t     *testing.T
	dir   string
	net   *Network
	nodes []*Node
	total units.Msat
}

var worldConfig = Config{Latency: 200 * time.Microsecond, FeeBase: 7, FeePPM: 1234}

func newWorld(t *testing.T, rt *rapid.T, dir string) *world {
	w := &world{t: t, dir: dir}
	w.start()
	for i := range w.nodes {
		for j := range i {
			if capacity := rapid.Int64Range(0, 60_000).Draw(rt, "capacity"); capacity > 0 {
				share := rapid.Int64Range(0, capacity).Draw(rt, "share")
				check(t, w.net.OpenChannel(w.nodes[i], w.nodes[j], units.Msat(capacity), units.Msat(share)))
			}
		}
	}
	w.total = w.net.Total()
	return w
}

func (w *world) start() {
	cfg := worldConfig
	cfg.Dir = w.dir
	var err error
	w.net, err = New(cfg)
	check(w.t, err)
	w.nodes = nil
	for i := range 4 {
		n, err := w.net.AddNode(fmt.Sprint("n", i), "127.0.0.1:0")
		check(w.t, err)
		w.nodes = append(w.nodes, n)
	}
}

func (w *world) pick(rt *rapid.T, label string) *Node {
	return rapid.SampledFrom(w.nodes).Draw(rt, label)
}

// pay starts a few payments at once and leaves them to themselves.
func (w *world) pay(rt *rapid.T) {
	var all sync.WaitGroup
	for range rapid.IntRange(1, 5).Draw(rt, "payments") {
		from, to := w.pick(rt, "from"), w.pick(rt, "to")
		msat := rapid.Int64Range(1, 30_000).Draw(rt, "msat")
		if from == to {
			continue
		}
		all.Go(func() { w.send(from, to, units.Msat(msat)) })
	}
	all.Wait()
}

// send does what the calls of both nodes do, without their sockets.
func (w *world) send(from, to *Node, msat units.Msat) {
	r, err := to.newInvoice(&lnrpc.Invoice{ValueMsat: int64(msat)})
	check(w.t, err)
	_, err = to.enter(r)
	check(w.t, err)
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	in := intent{
		from: from.account, hash: units.PaymentHash(r.Hash), addr: r.PaymentAddr, request: r.Request, payee: to.Key(),
		journey: journey{from: from.alias, msat: msat, feeLimit: 1000, cltvLimit: longestLock, finalCLTV: 80},
	}
	p, err := w.net.begin(in)
	check(w.t, err)
	if _, again := w.net.begin(in); again == nil && p.status != lnrpc.Payment_FAILED {
		w.t.Error("a hash was sent twice")
	}
}

func (w *world) fault(rt *rapid.T) {
	kind := rapid.SampledFrom([]FaultKind{NoRoute, InsufficientBalance, IncorrectDetails, Slow, StuckInFlight}).Draw(rt, "kind")
	w.net.SetFault(Fault{Kind: kind, Times: rapid.IntRange(0, 3).Draw(rt, "times"), Delay: time.Millisecond})
}

// reopen closes the network in the middle of whatever goes on, reads it back and compares.
func (w *world) reopen(*rapid.T) {
	check(w.t, w.net.Close())
	before := w.dump()
	again := newState()
	s, err := openStore(w.dir, again.apply)
	check(w.t, err)
	check(w.t, s.close())
	if after := dump(again); !bytes.Equal(before, after) {
		w.t.Fatalf("the state file says\n%s\nmemory said\n%s", after, before)
	}
	w.start()
}

func (w *world) dump() []byte {
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	return dump(w.net.state)
}

// dump writes everything about a state that matters.
func dump(s *state) []byte {
	type view struct {
		Channels []string
		Nodes    map[string]any
	}
	v := view{Nodes: map[string]any{}}
	for _, c := range s.channels {
		v.Channels = append(v.Channels, fmt.Sprint(c.channelRecord, c.balance, c.held, c.pending))
	}
	for alias, a := range s.accounts {
		lines := []string{fmt.Sprint(a.key, a.Address, a.stats, a.attempts)}
		for _, i := range a.added {
			lines = append(lines, fmt.Sprint(i.Hash, i.addIndex, i.settleIndex, i.state, i.paid, i.settledAt, i.Created.UnixNano()))
			if p := findPayment(s, i.Hash); p != nil {
				lines = append(lines, fmt.Sprint(p.Node, p.index, p.status, p.Reason, p.Fee, p.Hops, p.preimage))
			}
		}
		for _, i := range a.settled {
			lines = append(lines, i.Hash.String())
		}
		v.Nodes[alias] = lines
	}
	b, _ := json.MarshalIndent(v, "", " ")
	return b
}

func findPayment(s *state, hash hexBytes) *payment {
	for _, a := range s.accounts {
		if p := a.payments[units.PaymentHash(hash)]; p != nil {
			return p
		}
	}
	return nil
}

func (w *world) invariant(*rapid.T) {
	if got := w.net.Total(); got != w.total {
		w.t.Fatalf("%s became %s", w.total, got)
	}
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	for _, c := range w.net.state.channels {
		if min(c.balance[0], c.balance[1], c.held[0], c.held[1]) < 0 || c.pending < 0 {
			w.t.Fatalf("channel %d has %v and %v in flight in %d parts", c.ID, c.balance, c.held, c.pending)
		}
		if sum := c.balance[0] + c.balance[1] + c.held[0] + c.held[1]; sum != c.Capacity {
			w.t.Fatalf("channel %d of %s holds %s", c.ID, c.Capacity, sum)
		}
	}
}

// finish lets everything end, and then nothing is in flight and the books agree.
func (w *world) finish(rt *rapid.T) {
	for _, n := range w.nodes {
		check(w.t, n.Start())
	}
	w.net.ClearFaults()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	for w.flying() > 0 {
		if ctx.Err() != nil {
			rt.Fatal("payments are still in flight")
		}
		w.net.Unstick(true)
		time.Sleep(100 * time.Microsecond)
	}
	w.invariant(rt)
	var sent, received, local, remote units.Msat
	for _, n := range w.nodes {
		s := n.Stats()
		l, r := n.Balance()
		sent, received, local, remote = sent+s.SentMsat, received+s.ReceivedMsat, local+l, remote+r
	}
	if sent != received {
		rt.Fatalf("%s was sent, %s received", sent, received)
	}
	if local != w.total || remote != w.total {
		rt.Fatalf("balances add up to %s and %s, not to %s", local, remote, w.total)
	}
}

func (w *world) flying() int {
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	return len(w.net.flying)
}

// TestStoreTorn: a line that a crash has torn is cut off, wherever it was torn.
func TestStoreTorn(t *testing.T) {
	dir := t.TempDir()
	n, _ := line(t, Config{Dir: dir}, "a", "b")
	check(t, n.Close())
	path := filepath.Join(dir, "state.jsonl")
	whole, err := os.ReadFile(path)
	check(t, err)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	lines = lines[:len(lines)-1]
	last := lines[len(lines)-1]
	kept := whole[:len(whole)-len(last)]
	for _, cut := range []int{1, len(last) / 2, len(last) - 1} {
		check(t, os.WriteFile(path, append(bytes.Clone(kept), last[:cut]...), 0o600))
		count := 0
		s, err := openStore(dir, func(event) error { count++; return nil })
		check(t, err)
		check(t, s.append(event{Cancel: &reference{Node: "later"}}))
		check(t, s.close())
		if count != len(lines)-2 {
			t.Errorf("cut at %d: %d events, want %d", cut, count, len(lines)-2)
		}
		after, err := os.ReadFile(path)
		check(t, err)
		if !bytes.HasPrefix(after, kept) || !bytes.Contains(after[len(kept):], []byte(`"later"`)) || bytes.Count(after, []byte("\n")) != len(lines) {
			t.Errorf("cut at %d: the file goes on with %q", cut, after[len(kept):])
		}
	}
}

func TestStoreRefuses(t *testing.T) {
	for name, content := range map[string]string{
		"newer version":   `{"version":2}` + "\n",
		"no version":      `{}` + "\n",
		"not JSON":        "hello\n",
		"contradiction":   `{"version":1}` + "\n" + `{"settle":{"node":"x","hash":"00"}}` + "\n",
		"empty event":     `{"version":1}` + "\n{}\n",
		"payment nowhere": `{"version":1}` + "\n" + `{"send":{"node":"x","hash":"00"}}` + "\n",
	} {
		dir := t.TempDir()
		check(t, os.WriteFile(filepath.Join(dir, "state.jsonl"), []byte(content), 0o600))
		if n, err := New(Config{Dir: dir}); err == nil {
			t.Errorf("%s: is read", name)
			check(t, n.Close())
		}
	}
	dir := t.TempDir()
	n, err := New(Config{Dir: dir})
	check(t, err)
	defer func() { check(t, n.Close()) }()
	if _, err := New(Config{Dir: dir}); err == nil {
		t.Error("two networks share a state file")
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"version":1}` + "\n" + `{"cancel":{"node":"a","hash":"00"}}` + "\n"))
	f.Add([]byte(`{"version":1}` + "\n" + `{"channel":{"id":1,"a":"a","b":"b","capacity":5,"a_balance":9}}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newState()
		good, err := replay(bytes.NewReader(b), s.apply)
		if good < 0 || good > int64(len(b)) || err != nil && good != 0 {
			t.Fatalf("%d bytes of %d, %v", good, len(b), err)
		}
		again := newState()
		if _, err2 := replay(bytes.NewReader(b), again.apply); (err2 == nil) != (err == nil) || err == nil && !reflect.DeepEqual(dump(s), dump(again)) {
			t.Fatal("a second reading differs")
		}
	})
}
