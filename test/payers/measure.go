package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"paygate/admin"
	"paygate/lnclient"
	"paygate/lnclient/sandbox"
	"paygate/test/scenario"
	"paygate/units"
)

const (
	turn       = 50 * time.Millisecond // each payer asks for more once a turn
	startLimit = 2 * time.Minute       // for all to have paid once
	settled    = 20 * time.Second      // for the paygate to forget those who have gone
	capacity   = 1_000_000_000 * units.Sat
)

// bench is what a measurement consists of.
type bench struct {
	o       options
	network *sandbox.Network
	wallet  *wallet
	node    *lnclient.Client
	seeder  *seeder
	gate    *scenario.Gate
	front   string

	payers []*payer
	wg     sync.WaitGroup
	paid   atomic.Int64 // payers that have paid once
}

func measure(ctx context.Context, o options, dir string) (f figures, err error) {
	b := &bench{o: o}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.start(ctx, dir); err != nil {
		return f, err
	}
	before, err := b.size(ctx)
	if err != nil {
		return f, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	began := time.Now()
	if err := b.gather(ctx); err != nil {
		return f, errors.Join(err, b.disperse(stop))
	}
	f.Started = time.Since(began).Seconds()
	if f, err = b.watch(ctx, f); err != nil {
		return f, errors.Join(err, b.disperse(stop))
	}
	if err := b.disperse(stop); err != nil {
		return f, err
	}
	f.Before = before
	f.After, err = b.sizeAfter(before)
	return f, err
}

// start makes the network, the seller's client and its paygate.
func (b *bench) start(ctx context.Context, dir string) (err error) {
	say("building paygate and starting it with a Lightning network on which a payment takes %v", b.o.takes)
	program := b.o.program
	if program == "" {
		programs, err := scenario.Build(ctx, filepath.Join(dir, "bin"))
		if err != nil {
			return err
		}
		program = programs.Paygate
	}
	if b.network, err = sandbox.New(sandbox.Config{Latency: b.o.takes}); err != nil {
		return err
	}
	seller, err := b.network.AddNode("seller", "127.0.0.1:0")
	if err != nil {
		return err
	}
	buyers, err := b.network.AddNode("buyers", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := b.network.OpenChannel(buyers, seller, capacity, capacity); err != nil {
		return err
	}
	b.node, err = lnclient.New(lnclient.Config{Address: buyers.Address(), TLSCert: buyers.TLSCert(), Macaroon: buyers.Macaroon(), Network: "regtest"})
	if err != nil {
		return err
	}
	b.wallet = newWallet(b.node, "regtest")
	if b.seeder, err = newSeeder(); err != nil {
		return err
	}
	return b.startGate(ctx, program, dir, seller)
}

func (b *bench) startGate(ctx context.Context, program, dir string, node *sandbox.Node) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	b.front = l.Addr().String()
	_ = l.Close()
	cert, macaroon := filepath.Join(dir, "cert"), filepath.Join(dir, "macaroon")
	rights, err := node.Bake(lnclient.Permissions(true, false)...)
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(cert, node.TLSCert(), 0o600), os.WriteFile(macaroon, []byte(rights.Reveal()), 0o600)); err != nil {
		return err
	}
	config := scenario.Options{
		"log":       scenario.Options{"format": "json", "level": "warn"},
		"listen":    scenario.Options{"peers": b.front},
		"client":    scenario.Options{"address": b.seeder.l.Addr().String()},
		"lightning": scenario.Options{"address": node.Address(), "tls_cert": cert, "macaroon": macaroon, "network": "regtest"},
		"limits":    scenario.Options{"connections": 2*b.o.payers + 100, "unpaid_peers": b.o.payers + 10, "unpaid_slots": max(8, b.o.arrive/2)},
		"sell": scenario.Options{"rules": []scenario.Options{{
			"torrents": []string{torrent.String()}, "price": "1000 sat per GiB", "rights": "own",
		}}},
	}
	b.gate, err = scenario.StartGate(ctx, program, filepath.Join(dir, "pg"), config)
	return err
}

// gather connects all payers and waits until each has paid once.
func (b *bench) gather(ctx context.Context) error {
	say("%d payers come, %d a second", b.o.payers, b.o.arrive)
	tick := time.NewTicker(time.Second / time.Duration(b.o.arrive))
	defer tick.Stop()
	for i := range b.o.payers {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		p, err := join(ctx, b.front, home(i), b.wallet, b.o.rate, func() { b.paid.Add(1) })
		if err != nil {
			return fmt.Errorf("payer %d: %w", i, err)
		}
		b.payers = append(b.payers, p)
		b.wg.Go(func() { p.run(ctx) })
		b.wg.Go(func() { p.drive(ctx) })
	}
	limit := time.Now().Add(startLimit)
	for b.paid.Load() < int64(b.o.payers) {
		if time.Now().After(limit) || ctx.Err() != nil {
			return fmt.Errorf("only %d of %d payers have paid once", b.paid.Load(), b.o.payers)
		}
		time.Sleep(turn)
	}
	return nil
}

// drive has a payer ask for more once a turn.
func (p *payer) drive(ctx context.Context) {
	tick := time.NewTicker(turn)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			_ = p.conn.Close()
			return
		case now := <-tick.C:
			p.ask(now.Sub(last))
			last = now
		}
	}
}

// watch lets them download for the set time and takes the figures.
func (b *bench) watch(ctx context.Context, f figures) (figures, error) {
	say("all have paid once after %.1f s; they download for %v", f.Started, b.o.lasts)
	bytes, payments := b.sum()
	waited, err := b.waits(ctx)
	if err != nil {
		return f, err
	}
	paused := b.pauses()
	cpu, own := cpuSeconds(b.gate.Process().PID()), cpuSeconds(os.Getpid())
	began := time.Now()
	for time.Since(began) < b.o.lasts {
		select {
		case <-ctx.Done():
			return f, ctx.Err()
		case <-time.After(min(10*time.Second, b.o.lasts-time.Since(began))):
		}
		now, _ := b.sum()
		say("%.0f s: %.1f MB/s", time.Since(began).Seconds(), float64(now-bytes)/1e6/time.Since(began).Seconds())
	}
	f.Seconds = time.Since(began).Seconds()
	f.CPU, f.OwnCPU = cpuSeconds(b.gate.Process().PID())-cpu, cpuSeconds(os.Getpid())-own
	bytesNow, paymentsNow := b.sum()
	f.Payers, f.Rate, f.Bytes, f.Payments = b.o.payers, b.o.rate, bytesNow-bytes, paymentsNow-payments
	later, err := b.waits(ctx)
	if err != nil {
		return f, err
	}
	for ih, w := range later {
		f.Waited = append(f.Waited, (w - waited[ih]).Seconds())
	}
	f.Alive = len(later)
	for i, d := range b.pauses() {
		f.Paused = append(f.Paused, (d - paused[i]).Seconds())
	}
	slices.Sort(f.Waited)
	slices.Sort(f.Paused)
	return f, nil
}

// sum is what all have received and how often they have paid.
func (b *bench) sum() (bytes int64, payments int) {
	for _, p := range b.payers {
		p.mu.Lock()
		bytes += p.received
		payments += p.payments
		p.mu.Unlock()
	}
	return bytes, payments
}

func (b *bench) pauses() (all []time.Duration) {
	for _, p := range b.payers {
		p.mu.Lock()
		all = append(all, p.pause)
		p.mu.Unlock()
	}
	return all
}

// waits is how long each buyer has waited for payments after its first, by the paygate's count.
func (b *bench) waits(ctx context.Context) (map[uint64]time.Duration, error) {
	status, err := b.gate.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := map[uint64]time.Duration{}
	for _, s := range status.Sessions {
		if out[s.ID] = 0; s.Waits != nil {
			out[s.ID] = s.Waits.Later
		}
	}
	return out, nil
}

// disperse ends all payers and holds what they paid against what the paygate has.
func (b *bench) disperse(stop context.CancelFunc) error {
	stop()
	b.wg.Wait()
	var sent units.Msat
	var problems []error
	for i, p := range b.payers {
		sent += p.paid
		if p.wrong != nil && !errors.Is(p.wrong, net.ErrClosed) {
			problems = append(problems, fmt.Errorf("payer %d: %w", i, p.wrong))
		}
	}
	return errors.Join(append(problems, b.balance(sent))...)
}

// balance waits until the seller's books say what the buyers have paid. A payment that was under way when they left may
// have arrived, too.
func (b *bench) balance(sent units.Msat) error {
	ctx, cancel := context.WithTimeout(context.Background(), settled)
	defer cancel()
	for {
		status, err := b.gate.Status(ctx)
		if err != nil {
			return err
		}
		t := status.Totals
		if t.Received >= sent && len(status.Sessions) == 0 {
			if t.Received != t.Earned+t.CreditOwed {
				return fmt.Errorf("received %v, earned %v, owes %v", t.Received, t.Earned, t.CreditOwed)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the seller has received %v of %v, and %d sessions go on", t.Received, sent, len(status.Sessions))
		case <-time.After(turn):
		}
	}
}

// size is how much of the machine a paygate takes.
type size struct {
	Goroutines int         `json:"goroutines"`
	Heap       units.Bytes `json:"heap_bytes"` // after a collection
	RSS        units.Bytes `json:"rss_bytes"`
}

func (b *bench) size(ctx context.Context) (s size, err error) {
	if s.Goroutines, err = b.debug(ctx, "goroutine?debug=1", "goroutine profile: total "); err != nil {
		return s, err
	}
	heap, err := b.debug(ctx, "heap?gc=1&debug=1", "# HeapAlloc = ")
	s.Heap = units.Bytes(heap)
	if err != nil {
		return s, err
	}
	s.RSS, err = b.gate.RSS()
	return s, err
}

// sizeAfter gives the paygate some time to come back to what it was.
func (b *bench) sizeAfter(before size) (s size, err error) {
	for end := time.Now().Add(settled); ; time.Sleep(time.Second / 2) {
		if s, err = b.size(context.Background()); err != nil || s.shrunk(before) || time.Now().After(end) {
			return s, err
		}
	}
}

// debug reads the number behind a mark in one of the paygate's profiles.
func (b *bench) debug(ctx context.Context, what, mark string) (n int, err error) {
	socket := filepath.Join(b.gate.DataDir(), admin.SocketName)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://paygate/debug/pprof/"+what, nil)
	if err != nil {
		return 0, err
	}
	answer, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), mark); ok {
			_, err := fmt.Sscan(rest, &n)
			return n, err
		}
	}
	return 0, fmt.Errorf("the paygate's profile %s says nothing of %q", what, mark)
}

func (b *bench) close() (err error) {
	if b.gate != nil {
		err = errors.Join(b.gate.Stop(), b.gate.CheckLog())
	}
	if b.seeder != nil {
		b.seeder.close()
	}
	if b.node != nil {
		err = errors.Join(err, b.node.Close())
	}
	if b.network != nil {
		err = errors.Join(err, b.network.Close())
	}
	return err
}

// cpuSeconds is how much processor time a process has used, 0 if it cannot be told.
func cpuSeconds(pid int) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var user, system float64
	_, _ = fmt.Sscan(fields[11], &user)
	_, _ = fmt.Sscan(fields[12], &system)
	const ticks = 100 // a second, on every Linux
	return (user + system) / ticks
}
