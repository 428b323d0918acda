package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"paygate/test/scenario"
	"paygate/units"
)

// sampleEvery is how often progress is asked for.
const sampleEvery = 200 * time.Millisecond

// demo is one demonstration.
type demo struct {
	options
	screen *screen

	site    *scenario.Site
	network *scenario.Network
	free    time.Duration
	paid    time.Duration
	verify  error
	bill    scenario.Bill
}

func (d *demo) run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return err
	}
	defer func() {
		if d.keep || err != nil && ctx.Err() == nil {
			d.screen.note("logs and files are kept in " + dir)
			return
		}
		_ = os.RemoveAll(dir)
	}()
	if err := d.prepare(ctx, dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.network.Close(), d.site.Close()) }()
	if err := d.runFree(ctx); err != nil {
		return fmt.Errorf("free download: %w", err)
	}
	wrong := d.runPaid(ctx)
	d.screen.summary(d)
	return wrong
}

func (d *demo) prepare(ctx context.Context, dir string) error {
	d.screen.step("building paygate and making a torrent of " + d.size.String())
	programs, err := scenario.Build(ctx, filepath.Join(dir, "bin"))
	if err != nil {
		return err
	}
	if d.site, err = scenario.NewSite(dir, programs, d.size); err != nil {
		return err
	}
	d.screen.step("starting the Lightning network (" + string(d.lightning) + ")")
	d.network, err = scenario.StartNetwork(ctx, d.lightning, filepath.Join(dir, "ln"), d.latency, d.screen.step)
	if err != nil {
		return errors.Join(err, d.site.Close())
	}
	return nil
}

func (d *demo) plan(terms scenario.Terms) scenario.Plan {
	return scenario.Plan{Seller: d.seller, Buyer: d.buyer, Rate: d.rate, Terms: terms}
}

// runFree downloads through the same proxies, with nothing to pay.
func (d *demo) runFree(ctx context.Context) (err error) {
	d.screen.step(fmt.Sprintf("free download through both paygates, from %s to %s", d.seller, d.buyer))
	pair, err := scenario.NewPair(ctx, d.site, nil, "free", d.plan(scenario.Terms{}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pair.Close(), pair.Discard()) }()
	if d.free, err = d.download(ctx, pair, "free"); err != nil {
		return err
	}
	return pair.Verify(ctx)
}

// runPaid downloads for money. What does not hold comes back as an error, after all figures have been taken.
func (d *demo) runPaid(ctx context.Context) (err error) {
	d.screen.step(fmt.Sprintf("paid download at %s, each payment takes %s", d.price, d.latency))
	terms := scenario.Terms{Price: d.price, Sample: d.sample, Min: units.Sat}
	pair, err := scenario.NewPair(ctx, d.site, d.network, "paid", d.plan(terms))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pair.Close()) }()
	if d.paid, err = d.download(ctx, pair, "paid"); err != nil {
		d.verify = errors.New("the download did not finish")
		d.bill, _ = pair.Snapshot(context.WithoutCancel(ctx))
		return fmt.Errorf("paid download: %w", err)
	}
	d.verify = pair.Verify(ctx)
	d.bill, err = pair.Bill(ctx, d.size)
	if err != nil {
		err = fmt.Errorf("the bill: %w", err)
	}
	return errors.Join(d.verify, err)
}

// download runs one download and shows its progress meanwhile.
func (d *demo) download(ctx context.Context, pair *scenario.Pair, name string) (time.Duration, error) {
	watching, stop := context.WithCancel(ctx)
	show := d.screen.progress(name, d.size)
	var watcher sync.WaitGroup
	watcher.Go(func() { watch(watching, pair, show) })
	took, err := pair.Download(ctx)
	stop()
	watcher.Wait()
	bill, _ := pair.Snapshot(ctx)
	done := d.size
	if err != nil {
		done, _ = pair.Progress(ctx)
	}
	show.end(done, bill)
	return took, err
}

// watch shows progress until ctx ends. An answer that cannot be had is left out.
func watch(ctx context.Context, pair *scenario.Pair, show progress) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		done, err := pair.Progress(ctx)
		if err == nil {
			if bill, err := pair.Snapshot(ctx); err == nil {
				show.update(done, bill)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
