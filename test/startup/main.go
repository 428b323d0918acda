package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"paygate/ledger"
	"paygate/test/scenario"
	"paygate/units"
)

// options are the command line.
type options struct {
	entries, starts int
	verify, compact bool
	keep            string
}

// bound is what paygate is held to with a million entries.
const bound = 2 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "startup:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	var o options
	flags := flag.NewFlagSet("startup", flag.ContinueOnError)
	flags.IntVar(&o.entries, "entries", 1_000_000, "journal entries")
	flags.IntVar(&o.starts, "starts", 5, "how often paygate is started; the median counts")
	flags.BoolVar(&o.verify, "verify", false, "verify the ledger first, which takes a minute or more")
	flags.BoolVar(&o.compact, "compact", false, "compact it afterwards, and tell what that takes")
	flags.StringVar(&o.keep, "keep", "", "`directory` for the ledger, which is made only if it is not there; a short path")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.entries < 100 || o.starts < 1 {
		return errors.New("-entries must be 100 or more, -starts 1 or more")
	}
	if o.keep != "" {
		return measure(ctx, o, o.keep)
	}
	dir, err := os.MkdirTemp("", "pgu")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return measure(ctx, o, dir)
}

func measure(ctx context.Context, o options, dir string) error {
	path := filepath.Join(dir, "gate", "data", "ledger.sqlite")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := provide(ctx, path, o.entries); err != nil {
		return fmt.Errorf("make the ledger: %w", err)
	}
	if o.verify {
		if err := verify(ctx, path); err != nil {
			return err
		}
	}
	if err := starts(ctx, o, dir); err != nil {
		return err
	}
	if o.compact {
		return compact(ctx, path)
	}
	return nil
}

// provide makes the ledger unless it is there.
func provide(ctx context.Context, path string, entries int) error {
	began := time.Now()
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := live(ctx, path, entries); err != nil {
			return errors.Join(err, os.Remove(path))
		}
		fmt.Printf("%d journal entries were made in %s\n", entries, time.Since(began).Round(time.Second))
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Printf("the ledger is a file of %s\n", units.Bytes(info.Size()))
	return nil
}

func verify(ctx context.Context, path string) error {
	began := time.Now()
	r, err := ledger.Inspect(ctx, path)
	if err != nil {
		return err
	}
	if !r.Sound() {
		return fmt.Errorf("the ledger does not verify: %d damages, %d mismatches", len(r.Damage), len(r.Mismatches))
	}
	fmt.Printf("it verifies: %d entries, in %s\n", r.Entries, time.Since(began).Round(time.Millisecond))
	return nil
}

// starts starts paygate again and again, until its status socket says that it is ready.
func starts(ctx context.Context, o options, dir string) error {
	programs, err := scenario.Build(ctx, filepath.Join(dir, "bin"))
	if err != nil {
		return err
	}
	network, err := scenario.NewNetwork(filepath.Join(dir, "ln"), 0)
	if err != nil {
		return err
	}
	defer network.Close()
	var took []time.Duration
	for range o.starts {
		t, err := start(ctx, programs.Paygate, filepath.Join(dir, "gate"), network)
		if err != nil {
			return err
		}
		took = append(took, t)
	}
	slices.Sort(took)
	median := took[len(took)/2]
	fmt.Printf("from start to ready: %s (median of %d, %s to %s); bound %s\n", median.Round(time.Millisecond), len(took),
		took[0].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), bound)
	if median > bound {
		return errors.New("that is too long")
	}
	return nil
}

func compact(ctx context.Context, path string) (err error) {
	l, err := ledger.Open(ctx, path, ledger.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	began, longest, steps := time.Now(), time.Duration(0), 0
	for more := true; more; steps++ {
		at := time.Now()
		if more, err = l.Compact(ctx, 90*24*time.Hour); err != nil {
			return err
		}
		longest = max(longest, time.Since(at))
	}
	fmt.Printf("compacted in %d steps and %s; the longest step took %s\n", steps, time.Since(began).Round(time.Millisecond), longest.Round(time.Millisecond))
	return verify(ctx, path)
}
