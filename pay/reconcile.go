package pay

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"paygate/fault"
	"paygate/ledger"
	"paygate/units"
)

// snapshot is a seller's balance with which our own books have not been compared yet.
type snapshot struct {
	bal      units.Msat
	received int64 // meter.received when it came
	at       time.Time
	cut      bool // it is the first of the connection: the one before may have been cut
}

// compare takes the seller's last snapshot over, as soon as no payment of ours is on its way that it cannot know of.
// One that was made since has changed the balance, so that the snapshot is of no use any more.
func (b *buyer) compare(ctx context.Context) {
	s := b.apart
	if s == nil || b.paying || b.purse.Pending > 0 || b.hint != nil {
		return
	}
	b.apart = nil
	if b.delivery.paidAt.After(s.at) {
		return
	}
	b.count(ctx)
	since := b.due().Charge(units.Bytes(b.counted - s.received)) // what came after the snapshot
	b.reconcile(ctx, s.bal-since, s.cut)
}

// reconcile adopts the seller's balance. Several conversations with one seller may come to it at the same time: only one
// at a time looks at the purse and corrects it, so that nothing is corrected twice.
func (b *buyer) reconcile(ctx context.Context, theirs units.Msat, cut bool) {
	b.c.desk.correcting.Lock()
	defer b.c.desk.correcting.Unlock()
	if err := b.reload(ctx); err != nil {
		b.c.warn(ctx, "cannot read the account with the seller", err)
		return
	}
	if theirs < 0 && b.purse.Balance <= 0 {
		return // a few blocks came without credit; the next purchase pays for them
	}
	diff := b.purse.Balance - max(theirs, 0)
	if diff >= -1 && diff <= 1 { // rounding
		return
	}
	note := "the seller's books differ"
	fault.Point(fault.ReconBefore)
	defer fault.Point(fault.ReconAfter)
	lost := diff
	if cut {
		lost -= b.miss(ctx, diff)
	}
	if lost == 0 {
		b.retake(ctx)
		return
	}
	if err := b.c.desk.ledger.WriteOff(ctx, b.seller, b.c.link.InfoHash(), lost, note); errors.Is(err, ledger.ErrNotHeld) {
		b.retake(ctx) // another conversation has used it meanwhile; the next snapshot is compared again
		return
	} else if err != nil {
		b.c.warn(ctx, "cannot reconcile with the seller", err)
		return
	}
	b.c.log.Info("reconciled with the seller", zap.Int64("msat", int64(lost)), zap.Stringer("seller", b.seller))
	b.retake(ctx)
}

// underWay is what may be on its way when a connection is cut: all that a seller lets through at once, and as much again
// in buffers and in what a crash has forgotten to count.
const underWay = 2 * windowBytes

// miss gives up what may have been under way when the last connection was cut, and returns how much. That is no loss that
// counts against the seller; but all of it together is never more than a quarter of what it has delivered, so that
// nobody lives on cutting.
func (b *buyer) miss(ctx context.Context, diff units.Msat) units.Msat {
	m := min(diff, b.due().Charge(underWay), b.purse.Charged/4-b.purse.Missed)
	if m <= 0 {
		return 0
	}
	if err := b.c.desk.ledger.Miss(ctx, b.seller, b.c.link.InfoHash(), m, "under way when the connection was cut"); errors.Is(err, ledger.ErrNotHeld) {
		return 0
	} else if err != nil {
		b.c.warn(ctx, "cannot note what a cut has cost", err)
		return 0
	}
	b.c.log.Info("a cut connection has cost what was under way", zap.Int64("msat", int64(m)), zap.Stringer("seller", b.seller))
	return m
}

// retake reads the account after it was corrected.
func (b *buyer) retake(ctx context.Context) {
	if err := b.reload(ctx); err != nil {
		b.c.warn(ctx, "cannot read the account with the seller", err)
	}
}
