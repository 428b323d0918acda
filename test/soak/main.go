package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	time                                    time.Duration
	connections, payments, reloads, outages int
	keep                                    string
}

// whole is the time for which the numbers of the options hold; a shorter soak has its share of them.
const whole = 10 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		stop()
		os.Exit(1)
	}
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.DurationVar(&o.time, "time", whole, "how long to keep busy; in a shorter time there is less of everything")
	flags.IntVar(&o.connections, "connections", 20_000, "connections in ten minutes")
	flags.IntVar(&o.payments, "payments", 10_000, "least number of payments in ten minutes")
	flags.IntVar(&o.reloads, "reloads", 50, "reloads (SIGHUP) of every paygate in ten minutes")
	flags.IntVar(&o.outages, "outages", 10, "outages of the Lightning nodes in ten minutes")
	flags.StringVar(&o.keep, "keep", "", "`directory` for configurations, logs and ledgers; a short path. They are removed otherwise")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.time < 30*time.Second || o.connections < 1 || o.payments < 0 || o.reloads < 0 || o.outages < 0 {
		return o, errors.New("-time must be 30s or more, and no number negative")
	}
	for _, n := range []*int{&o.connections, &o.payments, &o.reloads, &o.outages} {
		*n = int((int64(*n)*int64(o.time) + int64(whole) - 1) / int64(whole))
	}
	return o, nil
}

func run(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir := o.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "pgs"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	show := newScreen(os.Stdout)
	s, err := open(ctx, o, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	report, err := s.run(ctx, show)
	if err != nil {
		return err
	}
	return show.end(report)
}
