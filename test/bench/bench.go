package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"paygate/test/scenario"
)

// bench is one run.
type bench struct {
	o             options
	dir           string
	program       string
	plain, hidden *seeder // the second takes nothing but encrypted connections
	network       *scenario.Network
	lightning     scenario.Options
	gates         []*scenario.Gate
	subjects      []*subject
	round         int // that is under way
	failed        []error
	cipher        samples // CPU seconds per GiB of one pass of RC4
}

func newBench(ctx context.Context, o options, dir string) (*bench, error) {
	b := &bench{o: o, dir: dir}
	if err := b.prepare(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) prepare(ctx context.Context) (err error) {
	if b.plain, err = newSeeder(false); err != nil {
		return err
	}
	if b.hidden, err = newSeeder(true); err != nil {
		return err
	}
	if b.o.gate {
		return nil // this program is the relay
	}
	progress("building paygate")
	programs, err := scenario.Build(ctx, filepath.Join(b.dir, "bin"))
	if err != nil {
		return err
	}
	b.program = programs.Paygate
	if b.network, err = scenario.NewNetwork(filepath.Join(b.dir, "ln"), 0); err != nil {
		return err
	}
	if b.lightning, err = b.network.Seller.Options(ctx); err != nil {
		return err
	}
	for _, s := range append(subjects(), others(b.o.beside)...) {
		if b.o.subjects.MatchString(s.name) {
			b.subjects = append(b.subjects, s)
		}
	}
	if len(b.subjects) == 0 {
		return errors.New("-only matches no relay")
	}
	for _, s := range b.subjects {
		progress("starting %s", s.name)
		if err := s.start(ctx, b, s); err != nil {
			return fmt.Errorf("start %s: %w", s.name, err)
		}
	}
	return nil
}

func (b *bench) close() {
	for _, s := range b.subjects {
		if s.proc != nil && !s.isPaygate() {
			s.proc.Kill()
		}
	}
	for _, g := range b.gates {
		g.Kill()
	}
	if b.network != nil {
		_ = b.network.Close()
	}
	for _, s := range []*seeder{b.plain, b.hidden} {
		if s != nil {
			s.close()
		}
	}
}

// progress says on standard error what is being done.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}

// measureAll takes every figure, in rounds: within one, all relays are measured one after the other.
func (b *bench) measureAll(ctx context.Context) error {
	began := time.Now()
	for b.round = range b.o.rounds {
		for _, conns := range b.o.conns {
			progress("round %d of %d, %d connections (%s so far)", b.round+1, b.o.rounds, conns, time.Since(began).Round(time.Second))
			if err := b.each(ctx, func(s *subject) error { return b.throughput(s, conns) }); err != nil {
				return err
			}
		}
		progress("round %d of %d, latency and sessions per second", b.round+1, b.o.rounds)
		b.cipher.add(cipherPass())
		if err := b.each(ctx, b.latency); err != nil {
			return err
		}
		if err := b.each(ctx, b.sessions); err != nil {
			return err
		}
	}
	if b.o.idle == 0 {
		return nil
	}
	progress("memory of %d idle sessions", b.o.idle)
	return b.each(ctx, b.memory)
}

// each measures every relay that is there. A measurement that fails is told at the end, and the others go on. Every round begins with another one, so that none is always measured behind
// the same neighbour.
func (b *bench) each(ctx context.Context, measure func(*subject) error) error {
	first := b.round % len(b.subjects)
	for _, s := range slices.Concat(b.subjects[first:], b.subjects[:first]) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.missing != "" {
			continue
		}
		if err := measure(s); err != nil {
			err = fmt.Errorf("%s: %w%s", s.name, err, b.lastWords(s))
			progress("round %d: %v", b.round+1, err)
			b.failed = append(b.failed, err)
		}
	}
	return nil
}

// lastWords is the end of what a relay has logged.
func (b *bench) lastWords(s *subject) string {
	path := filepath.Join(b.dir, fileName(s.name)+".log")
	for _, g := range b.gates {
		if g.Process() == s.proc {
			path = g.LogFile()
		}
	}
	text, err := os.ReadFile(path)
	if err != nil || len(text) == 0 {
		return ""
	}
	return "\n" + string(text[max(0, len(text)-2000):])
}
