package pay

import (
	"context"
	"errors"
	"maps"
	"time"

	"go.uber.org/zap"

	"paygate/ledger"
)

const (
	sweepEvery = time.Minute
	sweepMost  = 1000
	unusedFor  = 15 * time.Minute // an invoice that nobody has paid by then is cancelled
	sweepWait  = 5 * time.Second
)

// ErrGone is what Cancel and Lookup return for an invoice that the node no longer has or has cancelled before.
var ErrGone = errors.New("the node has no such open invoice")

// sweepInvoices asks the node about each of our open invoices, at start and every minute: the stream of settlements
// tells of them first, but it cannot tell of anything when the node's indexes have been reset (a restored or replaced
// node database). Invoices that stay unpaid are cancelled, so that they cost the node nothing.
func (d *Desk) sweepInvoices(ctx context.Context) {
	done := make(map[ledger.Invoice]struct{}) // cancelled or gone: nothing more can come of them
	for {
		if d.node.usable.Load() {
			d.sweepOnce(ctx, done)
		}
		if !sleep(ctx, sweepEvery) {
			return
		}
	}
}

func (d *Desk) sweepOnce(ctx context.Context, done map[ledger.Invoice]struct{}) {
	open, err := d.ledger.UnsettledInvoices(ctx, sweepMost)
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn("open invoices cannot be read", zap.Error(err))
		}
		return
	}
	listed := make(map[ledger.Invoice]struct{}, len(open))
	for _, inv := range open {
		listed[inv] = struct{}{}
	}
	maps.DeleteFunc(done, func(inv ledger.Invoice, _ struct{}) bool {
		_, ok := listed[inv]
		return !ok
	})
	for _, inv := range open {
		if _, ok := done[inv]; ok {
			continue
		}
		gone, err := d.sweep(ctx, inv)
		if err != nil {
			return // the node is away; the watch tells of it
		}
		if gone {
			done[inv] = struct{}{}
		}
	}
}

// sweep credits an invoice that has been settled, or cancels one that has been left.
func (d *Desk) sweep(ctx context.Context, inv ledger.Invoice) (gone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, sweepWait)
	defer cancel()
	settled, ok, err := d.rail.Lookup(ctx, inv.Hash)
	switch {
	case errors.Is(err, ErrGone):
		return true, nil
	case err != nil:
		return false, err
	case ok:
		settled.Index = 0
		return true, d.credit(ctx, settled)
	case time.Until(inv.Expires) > d.cfg.InvoiceTTL-unusedFor:
		return false, nil
	}
	err = d.rail.Cancel(ctx, inv.Hash)
	if errors.Is(err, ErrGone) {
		err = nil
	}
	return err == nil, err
}
