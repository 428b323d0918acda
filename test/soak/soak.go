package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"paygate/test/light"
	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/units"
)

const (
	buyers   = 4 // paygates that buy; each makes one payment at a time
	each     = 5 // clients behind each of them
	latency  = 20 * time.Millisecond
	upload   = 16 * units.MiB   // a second, of the seller's client
	purchase = 10 * units.Sat   // always
	lasts    = 64 * units.KiB   // that it buys
	life     = 15 * time.Second // of a connection of theirs
	down     = 4 * time.Second
	patience = time.Minute // for anything to come to rest
)

// soak is everything that runs.
type soak struct {
	options
	network  *scenario.Network
	seeder   *light.Seeder
	gates    []*gate // the seller's first
	leechers []*light.Leecher
	roads    []*road
	visitors *visitors
	outages  []window

	reloads atomic.Int64
}

// gate is one paygate.
type gate struct {
	*scenario.Gate
	name string
}

// open starts all but the clients' business.
func open(ctx context.Context, o options, dir string) (s *soak, err error) {
	s = &soak{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	programs, err := scenario.Build(ctx, filepath.Join(dir, "bin"))
	if err != nil {
		return s, err
	}
	if s.network, err = scenario.NewNetwork(filepath.Join(dir, "ln"), latency); err != nil {
		return s, err
	}
	if s.seeder, err = light.NewSeeder("127.0.0.1:0", upload); err != nil {
		return s, err
	}
	sells, err := s.openSeller(ctx, programs.Paygate, dir)
	if err != nil {
		return s, err
	}
	for n := range buyers {
		if err := s.openBuyer(ctx, programs.Paygate, dir, n, sells); err != nil {
			return s, err
		}
	}
	s.visitors = newVisitors(sells)
	return s, nil
}

// close ends what is left.
func (s *soak) close() error {
	for _, g := range s.gates {
		g.Kill()
	}
	for _, r := range s.roads {
		_ = r.lis.Close()
	}
	if s.seeder != nil {
		_ = s.seeder.Close() // closed already if it ran
	}
	if s.network != nil {
		return s.network.Close()
	}
	return nil
}

// run is busy for a tenth of the time, takes the vitals at rest, is busy for the rest of it, and takes them again.
func (s *soak) run(ctx context.Context, show *screen) (r *report, err error) {
	ctx, stop := context.WithCancel(ctx)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop()
	clients.Go(func() { _ = s.seeder.Run(ctx) })
	for i, l := range s.leechers {
		clients.Go(func() { _ = s.roads[i].Run(ctx) })
		clients.Go(func() { _ = l.Run(ctx) })
	}
	r = &report{Options: s.options, began: time.Now()}
	if err := s.busy(ctx, show, 0, 0.1); err != nil {
		return nil, err
	}
	if r.Before, err = s.atRest(ctx); err != nil {
		return nil, err
	}
	show.note("warm; the vitals at rest are taken")
	if err := s.busy(ctx, show, 0.1, 1); err != nil {
		return nil, err
	}
	show.note("waiting until the books agree")
	r.Books, r.Differences = s.settle(ctx)
	if r.After, err = s.atRest(ctx); err != nil {
		return nil, err
	}
	stop()
	s.judge(ctx, r)
	return r, nil
}

// busy runs from one share of the time to another.
func (s *soak) busy(ctx context.Context, show *screen, from, to float64) error {
	for _, l := range s.leechers {
		l.Set(light.Greedy)
	}
	defer s.calm()
	length := time.Duration((to - from) * float64(s.time))
	began := time.Now()
	ctx, stop := context.WithTimeout(ctx, length)
	defer stop()
	share := func() float64 { return min(to, from+time.Since(began).Seconds()/s.time.Seconds()) }
	var wg sync.WaitGroup
	defer wg.Wait()
	var trouble error
	wg.Go(func() { s.visitors.run(ctx, func() int { return int(share()*float64(s.connections)) - s.made() }) })
	wg.Go(func() { trouble = s.trouble(ctx, share) })
	wg.Go(func() { s.show(ctx, show, share) })
	wg.Wait()
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return trouble
}

// calm has every client disconnect.
func (s *soak) calm() {
	for _, l := range s.leechers {
		l.Rest()
	}
}

// made is how many connections there have been.
func (s *soak) made() int {
	n := s.visitors.made.Load()
	for _, l := range s.leechers {
		n += l.Made()
	}
	return int(n)
}

// trouble reloads the paygates and takes the nodes away when it is time for it.
func (s *soak) trouble(ctx context.Context, share func() float64) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if float64(s.reloads.Load())+0.5 < share()*float64(s.options.reloads) {
			if err := s.reload(); err != nil {
				return err
			}
		}
		if float64(len(s.outages))+0.5 < share()*float64(s.options.outages) {
			if err := s.outage(ctx); err != nil {
				return err
			}
		}
	}
}

// outage takes both nodes away for a while. It ends even if the time has come meanwhile.
func (s *soak) outage(ctx context.Context) error {
	w := window{from: time.Now()}
	if err := s.network.Down(); err != nil {
		return fmt.Errorf("take the nodes away: %w", err)
	}
	wait(ctx, down)
	err := s.network.Up()
	w.to = time.Now()
	s.outages = append(s.outages, w)
	if err != nil {
		return fmt.Errorf("bring the nodes back: %w", err)
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// atRest waits until nobody is connected, and takes everybody's vitals.
func (s *soak) atRest(ctx context.Context) ([]vitals, error) {
	s.calm()
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	list := make([]vitals, len(s.gates))
	var all sync.WaitGroup
	var failed failures
	for i, g := range s.gates {
		all.Go(func() {
			v, err := g.vitals(ctx)
			list[i] = v
			failed.add(g.name, err)
		})
	}
	all.Wait()
	return list, failed.err
}

// failures gathers errors of several goroutines.
type failures struct {
	mu  sync.Mutex
	err error
}

func (f *failures) add(name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.err = errors.Join(f.err, fmt.Errorf("%s: %w", name, err))
	}
}

// settle lets everybody finish, with connections on which the two sides can compare their books.
func (s *soak) settle(ctx context.Context) (b books, differences []string) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for _, l := range s.leechers {
		l.Life = patience
		l.Set(light.Greedy)
	}
	wait(ctx, 3*time.Second)
	for _, l := range s.leechers {
		l.Set(light.Sated)
	}
	err := process.Poll(ctx, 200*time.Millisecond, func() (err error) {
		for _, l := range s.leechers {
			if n := l.Outstanding(); n > 0 {
				return fmt.Errorf("%d requests have no answer", n)
			}
		}
		b, differences, err = s.books(ctx)
		if err == nil && len(differences) > 0 {
			err = errors.New("the books differ")
		}
		return err
	})
	if err != nil && len(differences) == 0 {
		differences = []string{err.Error()}
	}
	return b, differences
}
