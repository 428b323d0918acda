package pay

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	metaProbe  = "probe"     // written to find out whether the ledger can be written again
	probeEvery = time.Second // at most
)

// paper tells whether the ledger takes what it is given. While it does not (a full disk, say), what is served cannot
// be charged, so nobody is given anything more on credit or as a sample.
type paper struct {
	mu     sync.Mutex
	failed bool
	next   time.Time // not to be tried before
}

// wrote notes how a write has ended, and tells the owner once for each change. A write that its context ended says
// nothing about the ledger.
func (d *Desk) wrote(err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	d.paper.mu.Lock()
	before := d.paper.failed
	d.paper.failed = err != nil
	d.paper.mu.Unlock()
	switch {
	case err != nil && !before:
		d.log.Warn("the ledger cannot be written; nothing is bought, and only what was leased before is served for money", zap.Error(err))
	case err == nil && before:
		d.log.Info("the ledger can be written again")
	}
}

// writable reports whether what is given now could be charged, and tries the ledger again where it has failed.
func (d *Desk) writable(ctx context.Context, now time.Time) bool {
	d.paper.mu.Lock()
	failed, wait := d.paper.failed, now.Before(d.paper.next)
	if failed && !wait {
		d.paper.next = now.Add(probeEvery)
	}
	d.paper.mu.Unlock()
	if !failed || wait {
		return !failed
	}
	err := d.ledger.SetMeta(ctx, metaProbe, now.UTC().Format(time.RFC3339))
	d.wrote(err)
	return err == nil
}
