package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"paygate/units"
)

// Options describe a campaign.
type Options struct {
	Program string // a paygate built with the tag `faults`
	Dir     string // short, since sockets lie below it; every lane's logs and data stay in it
	// Lightning makes the network of one lane.
	Lightning func(ctx context.Context, lane int) (*Lightning, error)
	Troubles  []string // names of the troubles that each network offers
	Lanes     int
	Kills     int // at least
	Seed      uint64
	Patience  time.Duration                    // what everything may take longer than with a network that answers at once
	Log       func(format string, args ...any) // may be called from any goroutine; nil: nowhere
}

// The goods: a smallest purchase lasts 0.3 s.
const (
	perSecond = units.MiB
	purchase  = 10 * units.Sat
	lasts     = 320 * units.KiB
	plenty    = 1_000_000 * units.Sat
)

func price() units.Price { return units.Price{Msat: purchase, Per: lasts} }

// Run runs a campaign. The report tells what did not add up; an error, what kept the campaign from going on.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	began := time.Now()
	report := newReport(o.Seed, o.Lanes)
	hosts := netip.AddrFrom4([4]byte{127, byte(8 + rand.IntN(8)), byte(rand.IntN(256)), 0})
	errs := make([]error, o.Lanes)
	var wg sync.WaitGroup
	for i, plan := range deal(o.Seed, o.Kills, o.Lanes, o.Troubles) {
		wg.Go(func() {
			if err := runLane(ctx, o, i, hosts, plan, report); err != nil {
				errs[i] = fmt.Errorf("lane %d: %w", i, err)
			}
		})
	}
	wg.Wait()
	report.Took = time.Since(began)
	return report, errors.Join(errs...)
}

func runLane(ctx context.Context, o Options, i int, hosts netip.Addr, p *plan, report *Report) (err error) {
	dir := filepath.Join(o.Dir, fmt.Sprintf("l%d", i))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ln, err := o.Lightning(ctx, i)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ln.Close()) }()
	l := &lane{Options: o, number: i, dir: dir, plan: p, report: report, ln: ln}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.open(ctx, hosts); err != nil {
		return err
	}
	return l.run(ctx)
}
