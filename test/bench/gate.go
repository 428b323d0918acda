package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"paygate/config"
	"paygate/ledger"
	"paygate/pay"
	"paygate/proxy"
	"paygate/units"
)

// What the gate costs: one process carries the same gated sessions by two addresses. By one of them the conversation decides
// about every block and counts it, by the other it lets everything pass unseen. All else is the same for both: the gated
// relay, the conversation's own goroutine, the ledger.

const (
	gateRelay = "gate"
	gateBound = 1.03 // CPU seconds per GiB, with the decisions / without
)

// twoWays starts the two ways through one process.
func (b *bench) twoWays(ctx context.Context) (with, without *subject, err error) {
	with, without = &subject{name: "with decisions"}, &subject{name: "without"}
	for _, s := range []*subject{with, without} {
		if s.front, err = freeAddr(); err != nil {
			return nil, nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(self, "-relay", gateRelay, "-listen", with.front+","+without.front, "-to", b.plain.addr())
	if err := with.launch(ctx, b, cmd); err != nil {
		return nil, nil, err
	}
	without.proc = with.proc
	b.subjects = []*subject{with}
	return with, without, without.await(ctx)
}

// gate measures both ways, in turn, round after round, and prints the median of the rounds' ratios. It fails unless that is
// within the bound.
func (b *bench) gate(ctx context.Context) error {
	with, without, err := b.twoWays(ctx)
	if err != nil {
		return err
	}
	worst, home := 0.0, 0
	for _, conns := range b.o.conns {
		var ratios samples
		for round := range b.o.rounds {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			order := []*subject{with, without}
			if round%2 == 1 {
				slices.Reverse(order)
			}
			for _, s := range order {
				s.homes = home // new ones: of the sample of a network, all is reserved for its last connection until that has ended
				home += conns
				if err := b.throughput(s, conns); err != nil {
					return fmt.Errorf("%s: %w%s", s.name, err, b.lastWords(with))
				}
			}
			last := func(s *subject) float64 { return s.cpu[conns].of[round] }
			ratios.add(last(with) / last(without))
		}
		low, high := ratios.interval()
		fmt.Printf("%3d connections: %.4f CPU s/GiB with the gate's decisions, %.4f without; median ratio %.4f of %d rounds (95%% sure: %.4f to %.4f)\n",
			conns, with.cpu[conns].median(), without.cpu[conns].median(), ratios.median(), b.o.rounds, low, high)
		worst = max(worst, ratios.median())
	}
	if worst > gateBound {
		return fmt.Errorf("the gate adds %.1f %% to the relay's CPU time, more than %.0f %%", 100*(worst-1), 100*(gateBound-1))
	}
	fmt.Printf("ok: the gate adds at most %.1f %% to the relay's CPU time (bound: %.0f %%)\n", 100*max(0, worst-1), 100*(gateBound-1))
	return nil
}

// interval is where the median of a population lies with a probability of 95 %, by the ranks of its samples.
func (s *samples) interval() (low, high float64) {
	sorted := slices.Clone(s.of)
	slices.Sort(sorted)
	n := len(sorted)
	off := int(math.Ceil(0.98 * math.Sqrt(float64(n))))
	return sorted[max(0, n/2-off)], sorted[min(n-1, n/2+off)]
}

// beGates is what this program does when it is both ways.
func beGates(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "pgg")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	desk, books, err := giver(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, books.Close()) }()
	run := []func(context.Context) error{desk.Run}
	with, without, _ := strings.Cut(o.listen, ",")
	for front, d := range map[string]proxy.Desk{with: desk, without: blindDesk{desk}} {
		p, err := proxy.New(proxy.Config{
			Peers: front, Client: o.to, PublicPort: 1, Connections: 20000, PerAddress: 20000, Handshakes: 20000,
		}, proxy.Deps{Desk: d})
		if err != nil {
			return err
		}
		run = append(run, p.Run)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	problems := make([]error, len(run))
	var all sync.WaitGroup
	for i, f := range run {
		all.Go(func() {
			defer stop()
			problems[i] = f(ctx)
		})
	}
	all.Wait()
	return errors.Join(problems...)
}

// giver is a desk whose one rule charges for the torrent after a sample that nobody comes to the end of.
func giver(ctx context.Context, dir string) (*pay.Desk, *ledger.Ledger, error) {
	keys, err := pay.LoadKeys(filepath.Join(dir, "key"))
	if err != nil {
		return nil, nil, err
	}
	books, err := ledger.Open(ctx, filepath.Join(dir, "ledger.sqlite"), ledger.Options{})
	if err != nil {
		return nil, nil, err
	}
	const huge = 1 << 20 * units.GiB
	desk, err := pay.New(pay.Config{
		Network: "regtest", InvoiceTTL: time.Hour, UnpaidSlots: 1000, UnpaidPeers: 20000,
		Sell: config.Sell{SampleTorrentDay: huge, SampleDay: huge, Rules: []config.SellRule{{
			Name: "gate", InfoHash: []units.InfoHash{torrent}, Price: units.Price{Msat: 1000 * units.Sat, Per: units.GiB}, Rights: "own",
			Sample: 64 * units.GiB, Legacy: "sample", When: "complete", Min: units.Sat, Max: 1000 * units.Sat,
		}}},
	}, pay.Deps{Ledger: books, Keys: keys, Rail: nobody{}, Log: zap.NewNop()})
	if err != nil {
		return nil, nil, errors.Join(err, books.Close())
	}
	return desk, books, nil
}

// blindDesk opens conversations that have no say about blocks.
type blindDesk struct{ *pay.Desk }

func (d blindDesk) Open(s *proxy.Session) proxy.Conversation { return blindTalk{d.Desk.Open(s)} }

type blindTalk struct{ proxy.Conversation }

func (blindTalk) Request(int) bool      { return true }
func (blindTalk) Release(int)           {}
func (blindTalk) Moved(int, bool, bool) {}

// nobody is a Lightning node that is there and that nobody uses.
type nobody struct{ pay.Rail }

func (nobody) Identity(context.Context) (pay.Identity, error) {
	return pay.Identity{Node: units.NodeKey{2, 1}, Network: "regtest"}, nil
}

func (nobody) Settlements(ctx context.Context, _ uint64, _ func(pay.Settlement) error) error {
	<-ctx.Done()
	return ctx.Err()
}
