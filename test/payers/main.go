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

	"paygate/units"
)

// options are the command line.
type options struct {
	payers  int
	rate    units.Bytes // of each, per second
	lasts   time.Duration
	takes   time.Duration
	arrive  int // payers a second
	program string
	json    string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "payers:", err)
	os.Exit(1)
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("payers", flag.ContinueOnError)
	flags.IntVar(&o.payers, "payers", 500, "how many download at once")
	rate := flags.String("rate", "1 MB", "what each of them downloads in a second")
	flags.DurationVar(&o.lasts, "for", time.Minute, "how long, counted from when the last one has paid for the first time")
	flags.DurationVar(&o.takes, "takes", 70*time.Millisecond, "how long a payment takes")
	flags.IntVar(&o.arrive, "arrive", 50, "how many connect in a second")
	flags.StringVar(&o.program, "paygate", "", "`path` of the paygate to measure (default: built from this source)")
	flags.StringVar(&o.json, "json", "", "`file` for the figures")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.rate, err = units.ParseBytes(*rate); err != nil {
		return o, fmt.Errorf("-rate: %w", err)
	}
	if o.payers < 1 || o.payers > 4000 || o.rate < 1 || o.lasts < time.Second || o.arrive < 1 {
		return o, errors.New("-payers must be 1 to 4000, -arrive 1 or more, -for 1s or more")
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pgy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	figures, err := measure(ctx, o, dir)
	if err != nil {
		return err
	}
	figures.print(os.Stdout)
	if err := figures.store(o.json); err != nil {
		return err
	}
	return figures.check()
}

// say prints a line of progress.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
