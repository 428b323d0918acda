package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"paygate/test/scenario"
	"paygate/units"
)

// options are the command line.
type options struct {
	pairs int
	cases []trial
	sizes units.Bytes // of every torrent; 0: as each case has it
	json  string
	dir   string
}

// trial is one condition under which paid and free are compared.
type trial struct {
	Name      string             `json:"name"`
	Rate      units.Bytes        `json:"bytes_per_second"` // limit of the buyer's client
	Size      units.Bytes        `json:"bytes"`
	Lightning scenario.Lightning `json:"lightning"`
	Takes     time.Duration      `json:"payment_ns"` // on the sandbox
	Bound     float64            `json:"bound"`      // of the ratio
}

const mbit = 125_000 // bytes a second

// trials are all of them.
func trials() []trial {
	slow := trial{Rate: 100 * mbit, Size: 256 * units.MiB, Lightning: scenario.Sandbox}
	fast := trial{Rate: 1000 * mbit, Size: units.GiB, Lightning: scenario.Sandbox}
	with := func(t trial, takes time.Duration, bound float64) trial {
		t.Takes, t.Bound = takes, bound
		t.Name = fmt.Sprintf("%d Mbit/s, payments of %v", t.Rate/mbit, takes)
		return t
	}
	real := fast
	real.Lightning, real.Bound, real.Name = scenario.LND, 1.06, "1000 Mbit/s, lnd"
	return []trial{
		with(slow, 70*time.Millisecond, 1.02), with(slow, 500*time.Millisecond, 1.06), with(slow, 2*time.Second, 1.20),
		with(fast, 70*time.Millisecond, 1.05), with(fast, 500*time.Millisecond, 1.20), with(fast, 2*time.Second, 1.60),
		real,
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "paidbench:", err)
	os.Exit(1)
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("paidbench", flag.ContinueOnError)
	flags.IntVar(&o.pairs, "pairs", 5, "how often each case is measured, paid and free; the median counts")
	only := flags.String("cases", "Mbit", "`pattern` of the cases to measure: "+names())
	size := flags.String("size", "", "`size` of every torrent, for a quick look (default: 256 MiB, and 1 GiB at 1000 Mbit/s)")
	flags.StringVar(&o.json, "json", "", "`file` for the figures; those of other cases in it are kept")
	flags.StringVar(&o.dir, "dir", "", "`directory` for files and logs; it must have 2 GiB of room and a short path (default: a temporary one)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.pairs < 1 {
		return o, errors.New("-pairs must be 1 or more")
	}
	if *size != "" {
		var err error
		if o.sizes, err = units.ParseBytes(*size); err != nil {
			return o, fmt.Errorf("-size: %w", err)
		}
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return o, fmt.Errorf("-cases: %w", err)
	}
	for _, t := range trials() {
		if pattern.MatchString(t.Name) {
			o.cases = append(o.cases, t.sized(o.sizes))
		}
	}
	if o.cases == nil {
		return o, fmt.Errorf("-cases: %q is the name of none: %s", *only, names())
	}
	return o, nil
}

// sized is the same with torrents of another size, unless that is 0.
func (t trial) sized(size units.Bytes) trial {
	if size > 0 {
		t.Size = size
	}
	return t
}

func names() (all string) {
	for _, t := range trials() {
		all += "\n  " + t.Name
	}
	return all
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir := o.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "pgp"); err != nil {
			return err
		}
	}
	results, err := measure(ctx, o, dir)
	if err != nil {
		return fmt.Errorf("%w\nlogs are kept in %s", err, dir)
	}
	if o.dir == "" {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	printTable(os.Stdout, results)
	if err := store(o.json, results); err != nil {
		return err
	}
	for _, r := range results {
		if o.sizes == 0 && !r.holds() {
			return errors.New("not every bound holds")
		}
	}
	return nil
}
