package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"paygate/test/clients"
	"paygate/test/scenario"
	"paygate/units"
)

// pollEvery is how often a client is asked how far it is: the ratios are of seconds.
const pollEvery = 20 * time.Millisecond

// result is what the pairs of one case have come to.
type result struct {
	trial
	Runs []pairing `json:"pairs"`
}

// pairing is one free download and one paid one. First and Later are what the seller's paygate has counted.
type pairing struct {
	Free     float64 `json:"free_s"`
	Paid     float64 `json:"paid_s"`
	First    float64 `json:"waited_first_s"`
	Later    float64 `json:"waited_later_s"`
	Payments int     `json:"payments"`
}

func (r result) median(of func(pairing) float64) float64 {
	var all []float64
	for _, p := range r.Runs {
		all = append(all, of(p))
	}
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

func (r result) ratio() float64 {
	return r.median(func(p pairing) float64 { return p.Paid / p.Free })
}

// perGiB is how many payments a GiB has taken.
func (r result) perGiB() float64 {
	return r.median(func(p pairing) float64 { return float64(p.Payments) }) * float64(units.GiB) / float64(r.Size)
}

// most is how many payments a GiB may take.
const most = 30

func (r result) holds() bool { return r.ratio() <= r.Bound && r.perGiB() <= most }

// stage is where the downloads of one size take place.
type stage struct {
	site    *scenario.Site
	network *scenario.Network
	trial   trial
}

func measure(ctx context.Context, o options, dir string) (results []result, err error) {
	say("building paygate and the client")
	programs, err := scenario.Build(ctx, filepath.Join(dir, "bin"))
	if err != nil {
		return nil, err
	}
	for i, t := range o.cases {
		r, err := measureCase(ctx, o, filepath.Join(dir, fmt.Sprint("c", i)), programs, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
		results = append(results, r)
	}
	return results, nil
}

func measureCase(ctx context.Context, o options, dir string, programs scenario.Programs, t trial) (r result, err error) {
	say("%s, %s: making the torrent and the Lightning network", t.Name, t.Size)
	s := stage{trial: t}
	if s.site, err = scenario.NewSite(dir, programs, t.Size); err != nil {
		return r, err
	}
	defer func() {
		if err = errors.Join(err, s.site.Close()); err == nil {
			err = os.RemoveAll(dir)
		}
	}()
	s.network, err = scenario.StartNetwork(ctx, t.Lightning, filepath.Join(dir, "ln"), t.Takes, func(step string) { say("  %s", step) })
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.network.Close()) }()
	r.trial = t
	for i := range o.pairs {
		p, err := s.pair(ctx, i)
		if err != nil {
			return r, err
		}
		say("%s, pair %d of %d: free %.2f s, paid %.2f s (%.3f), waited %.2f s + %.2f s, %d payments",
			t.Name, i+1, o.pairs, p.Free, p.Paid, p.Paid/p.Free, p.First, p.Later, p.Payments)
		r.Runs = append(r.Runs, p)
	}
	return r, nil
}

// pair downloads twice. Which comes first takes turns, so that a machine that becomes slower or faster spoils nothing.
func (s *stage) pair(ctx context.Context, number int) (p pairing, err error) {
	free := func() error { return s.free(ctx, fmt.Sprint("f", number), &p) }
	paid := func() error { return s.paid(ctx, fmt.Sprint("p", number), &p) }
	order := []func() error{free, paid}
	if number%2 == 1 {
		slices.Reverse(order)
	}
	for _, download := range order {
		if err := download(); err != nil {
			return p, err
		}
	}
	return p, nil
}

// errSlow says that a download did not come in time.
var errSlow = errors.New("the download is too slow")

// free downloads without payments. One that does not come in time says nothing of payments, so that it is done once more:
// with a client that limits what it reads, Linux now and then drops what waits on loopback, and the sender backs off.
func (s *stage) free(ctx context.Context, name string, p *pairing) error {
	err := s.freely(ctx, name, p)
	if errors.Is(err, errSlow) {
		say("%v; the free download is done once more", err)
		err = s.freely(ctx, name+"b", p)
	}
	return err
}

func (s *stage) freely(ctx context.Context, name string, p *pairing) error {
	return s.between(ctx, name, scenario.Terms{}, func(pair *scenario.Pair) (err error) {
		p.Free, err = s.download(ctx, pair)
		return err
	})
}

func (s *stage) paid(ctx context.Context, name string, p *pairing) error {
	terms := scenario.Terms{Price: units.Price{Msat: 1000 * units.Sat, Per: units.GiB}}
	if err := s.network.Rebase(ctx); err != nil {
		return err
	}
	return s.between(ctx, name, terms, func(pair *scenario.Pair) (err error) {
		if p.Paid, err = s.download(ctx, pair); err != nil {
			return err
		}
		bill, err := pair.Bill(ctx, s.trial.Size)
		if err != nil {
			return fmt.Errorf("the bill: %w", err)
		}
		status, err := pair.SellerGate.Status(ctx)
		p.First, p.Later, p.Payments = status.Waits.First.Seconds(), status.Waits.Later.Seconds(), bill.Payments
		return err
	})
}

// between starts clients and paygates, lets fn use them, and ends them.
func (s *stage) between(ctx context.Context, name string, terms scenario.Terms, fn func(*scenario.Pair) error) error {
	// The limit is the buyer's alone: anacrolix/torrent 1.59 now and then never wakes again from one of its upload.
	plan := scenario.Plan{Seller: clients.Anacrolix, Buyer: clients.Anacrolix, Download: s.trial.Rate, Terms: terms}
	pair, err := scenario.NewPair(ctx, s.site, s.network, name, plan)
	if err != nil {
		return err
	}
	if err = fn(pair); err != nil {
		return errors.Join(err, evidence(ctx, pair), pair.Close())
	}
	return errors.Join(pair.Close(), pair.Discard())
}

// evidence has both paygates write what they are at into their logs, and prints how they see the download.
func evidence(ctx context.Context, pair *scenario.Pair) error {
	for _, g := range []*scenario.Gate{pair.SellerGate, pair.BuyerGate} {
		status, err := g.Status(ctx)
		if err != nil {
			return err
		}
		text, err := json.MarshalIndent(status, "", "  ")
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%s\n%s\n", g.LogFile(), text)
		if err := syscall.Kill(g.Process().PID(), syscall.SIGQUIT); err != nil {
			return err
		}
	}
	return nil
}

// download returns how many seconds one download takes, and verifies what has come.
func (s *stage) download(ctx context.Context, pair *scenario.Pair) (float64, error) {
	start := time.Now()
	if err := pair.Begin(ctx); err != nil {
		return 0, err
	}
	patience := 30*time.Second + 4*time.Duration(float64(s.trial.Size)/float64(s.trial.Rate)*float64(time.Second))
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for done := units.Bytes(0); done < s.trial.Size; {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-limit.C:
			return 0, fmt.Errorf("%w: only %s of %s came in %s", errSlow, done, s.trial.Size, patience)
		case <-tick.C:
		}
		var err error
		if done, err = pair.Progress(ctx); err != nil {
			return 0, err
		}
	}
	took := time.Since(start).Seconds()
	return took, pair.Verify(ctx)
}

// say prints a line of progress.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
