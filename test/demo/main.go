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

	"paygate/test/clients"
	"paygate/test/scenario"
	"paygate/units"
)

// options are what a demo can be asked for.
type options struct {
	seller, buyer clients.Kind
	size          units.Bytes
	sample        units.Bytes
	rate          units.Bytes // limit of both clients per second; 0: none
	price         units.Price
	latency       time.Duration
	lightning     scenario.Lightning
	keep          bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "demo:", err)
	os.Exit(1)
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args, os.Getenv)
	if err != nil {
		return err
	}
	screen := newScreen(os.Stdout, os.Stderr)
	o.seller, o.buyer = standIn(screen, o.seller), standIn(screen, o.buyer)
	d := &demo{options: o, screen: screen}
	return d.run(ctx)
}

// parse reads the command line. What it leaves out comes from the environment, and then from the defaults.
func parse(args []string, env func(string) string) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	text := func(name, variable, preset, help string) *string {
		if v := env(variable); v != "" {
			preset = v
		}
		return flags.String(name, preset, help+" ("+variable+")")
	}
	seller := text("seller", "SELLER", "transmission", "client that sells: qbittorrent, transmission or anacrolix")
	buyer := text("buyer", "BUYER", "qbittorrent", "client that buys")
	size := text("size", "SIZE", "256 MiB", "size of the torrent")
	sample := text("sample", "SAMPLE", "1 MiB", "free bytes before money is asked for")
	rate := text("rate", "RATE", "0", "limit of both clients, per second; 0: none")
	price := text("price", "PRICE", "1000 sat per GiB", "price")
	latency := text("latency", "LATENCY", "70ms", "how long a payment takes")
	lightning := text("lightning", "LIGHTNING", "sandbox", "Lightning network: sandbox (simulated), lnd (btcd and real lnd nodes), lnd-routed (with a node in between)")
	flags.BoolVar(&o.keep, "keep", env("KEEP") != "", "keep the directory with logs and files (KEEP)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var errs [8]error
	o.seller, errs[0] = peerKind(*seller)
	o.buyer, errs[1] = peerKind(*buyer)
	o.size, errs[2] = units.ParseBytes(*size)
	o.sample, errs[3] = units.ParseBytes(*sample)
	o.rate, errs[4] = units.ParseBytes(*rate)
	o.price, errs[5] = units.ParsePrice(*price)
	o.latency, errs[6] = time.ParseDuration(*latency)
	o.lightning, errs[7] = scenario.ParseLightning(*lightning)
	err := errors.Join(errs[:]...)
	switch {
	case err != nil:
	case o.price.Free():
		err = errors.New("a demo of paying needs a price")
	case o.size < units.MiB:
		err = errors.New("the size must be 1 MiB or more")
	}
	return o, err
}

// peerKind reads a client that paygate can stand in front of on both sides.
func peerKind(s string) (clients.Kind, error) {
	k, err := clients.ParseKind(s)
	if err == nil && k == clients.Aria2 {
		err = errors.New("aria2 takes no part in the demo: choose qbittorrent, transmission or anacrolix")
	}
	return k, err
}

// standIn replaces a client that is not installed, and says so.
func standIn(s *screen, k clients.Kind) clients.Kind {
	if k.Installed() {
		return k
	}
	s.note(fmt.Sprintf("%s is not installed (package %s): an anacrolix/torrent client stands in for it", k, k.Program()))
	return clients.Anacrolix
}
