package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	rounds   int
	slice    time.Duration
	conns    []int
	idle     int
	subjects *regexp.Regexp
	json     string
	svg      string
	profile  string
	peers    int
	files    uint64
	gate     bool
	beside   []string // other builds of paygate
	relay    string   // this process is to be that relay
	listen   string
	to       string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 5, "how often each relay is measured; the median counts")
	flags.DurationVar(&o.slice, "slice", 2*time.Second, "how long one measurement lasts")
	conns := flags.String("conns", "1,16,256", "connections at once, comma separated")
	flags.IntVar(&o.idle, "idle", 5000, "idle sessions whose memory is measured; 0: none")
	subjects := flags.String("only", ".", "`pattern` of the relays to measure; the ratios need haproxy, nginx and splice")
	flags.StringVar(&o.json, "json", "", "`file` for the figures")
	flags.StringVar(&o.svg, "svg", "", "`file` for a plot")
	flags.StringVar(&o.profile, "profile", "", "`directory` for CPU and heap profiles of paygate, gated; nothing else is measured then")
	flags.BoolVar(&o.gate, "gate", false, "measure what the decisions about each block cost, and nothing else")
	flags.Func("beside", "a `program`: another build of paygate that is measured beside this one; may be repeated", func(path string) error {
		o.beside = append(o.beside, path)
		return nil
	})
	flags.IntVar(&o.peers, "peers", 0, "nothing but this: so many peers at one paygate, each served, and more than there is room for")
	flags.Uint64Var(&o.files, "files", 20_000, "how many files paygate may open under -peers, two for each")
	flags.StringVar(&o.relay, "relay", "", "used by the program itself: be that relay")
	flags.StringVar(&o.listen, "listen", "", "used by the program itself")
	flags.StringVar(&o.to, "to", "", "used by the program itself")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for word := range strings.SplitSeq(*conns, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > 4000 {
			return o, fmt.Errorf("-conns: %q is not a number from 1 to 4000", word)
		}
		o.conns = append(o.conns, n)
	}
	if o.rounds < 1 || o.slice < 100*time.Millisecond {
		return o, errors.New("-rounds must be 1 or more, -slice 100ms or more")
	}
	if o.peers > 0 {
		*subjects = "^paygate gated$"
	}
	o.subjects, err = regexp.Compile(*subjects)
	return o, err
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	switch o.relay {
	case "":
	case gateRelay:
		return beGates(ctx, o)
	default:
		return beRelay(ctx, o)
	}
	if o.peers > 0 {
		if err := fewFiles(o.files); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "pgb")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := newBench(ctx, o, dir)
	if err != nil {
		return err
	}
	defer b.close()
	switch {
	case o.gate:
		return b.gate(ctx)
	case o.profile != "":
		return b.profile(ctx)
	case o.peers > 0:
		return b.peers(ctx)
	}
	if err := b.measureAll(ctx); err != nil {
		return err
	}
	report := b.report()
	report.print(os.Stdout)
	return errors.Join(append(b.failed, write(o.json, report.json), write(o.svg, report.svg))...)
}

// write makes a file of what fill returns, unless path is empty.
func write(path string, fill func() ([]byte, error)) error {
	if path == "" {
		return nil
	}
	text, err := fill()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
