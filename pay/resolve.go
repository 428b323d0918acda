package pay

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"paygate/fault"
	"paygate/ledger"
	"paygate/units"
)

const (
	resolveEvery = 5 * time.Second
	resolveMost  = 8 // payments that are asked about at once
	trackWait    = 20 * time.Second
	givenUpEvery = time.Hour
	givenUpWait  = 5 * time.Second
	doubtful     = 30 * time.Second // a payment that lnd does not know may still be on its way to lnd for this long
	orphaned     = 5 * time.Second  // the same for one of an earlier process, whose connections have died with it
)

// followUp is what resolvePayments remembers from one round to the next.
type followUp struct {
	open map[units.PaymentHash]quiet // a round ago; nil before the first
	next time.Time                   // when to ask about those that their owner has written off, in another process
}

// quiet is since when this process has seen an open payment, that nobody is making, unchanged. It is on the monotonic
// clock; the ledger's times are not, and may jump.
type quiet struct {
	updated, since time.Time
	inherited      bool // it was there when this process began
}

// patience is how long the node must not have heard of it before that counts.
func (q quiet) patience() time.Duration {
	if q.inherited {
		return orphaned
	}
	return doubtful
}

// resolvePayments follows up what an earlier run, or a lost connection to the node, has left open.
func (d *Desk) resolvePayments(ctx context.Context) {
	var u followUp
	for {
		open, err := d.ledger.OpenPurchases(ctx)
		if err != nil && ctx.Err() == nil {
			d.log.Warn("open payments cannot be read", zap.Error(err))
		}
		was := u.open
		u.watch(open, d.live.has, time.Now())
		d.resolveAll(ctx, open, u.open)
		d.followGivenUp(ctx, &u, was)
		d.forgetDeparted(ctx, time.Now())
		if !sleep(ctx, resolveEvery) {
			return
		}
	}
}

// watch notes since when each open payment has been quiet.
func (u *followUp) watch(open []ledger.Purchase, live func(units.PaymentHash) bool, now time.Time) {
	next := make(map[units.PaymentHash]quiet, len(open))
	for _, p := range open {
		q, known := u.open[p.Hash]
		if !known || !q.updated.Equal(p.Updated) || live(p.Hash) {
			q = quiet{updated: p.Updated, since: now, inherited: u.open == nil}
		}
		next[p.Hash] = q
	}
	u.open = next
}

// resolveAll asks about all open payments that no goroutine of ours is making, a few at a time, since each may take
// long.
func (d *Desk) resolveAll(ctx context.Context, open []ledger.Purchase, since map[units.PaymentHash]quiet) {
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, resolveMost)
	for _, p := range open {
		if d.live.has(p.Hash) {
			continue
		}
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			d.resolve(ctx, p, trackWait, func() bool {
				q := since[p.Hash]
				return time.Since(q.since) >= q.patience() && d.sameNode(p) && d.unchanged(ctx, p)
			})
		})
	}
}

// sameNode reports whether a payment was made from the node that we have now. Another one has never heard of it, and
// that proves nothing: it stays unknown until the owner brings the old node back or writes it off.
func (d *Desk) sameNode(p ledger.Purchase) bool {
	since := d.node.since.Load()
	return since != nil && !p.Created.Before(*since)
}

// unchanged reads a payment again: while we asked about it, it may have been sent.
func (d *Desk) unchanged(ctx context.Context, p ledger.Purchase) bool {
	open, err := d.ledger.OpenPurchases(ctx)
	if err != nil || d.live.has(p.Hash) {
		return false
	}
	for _, now := range open {
		if now.Hash == p.Hash {
			return now.State == p.State && now.Updated.Equal(p.Updated)
		}
	}
	return false
}

// followGivenUp takes payments that were written off since the last round out of the book, and asks now and then
// about all that ever were: what is paid after all is spent.
func (d *Desk) followGivenUp(ctx context.Context, u *followUp, wasOpen map[units.PaymentHash]quiet) {
	off, err := d.ledger.WrittenOffPurchases(ctx)
	if err != nil {
		if ctx.Err() == nil {
			d.log.Warn("payments that were written off cannot be read", zap.Error(err))
		}
		return
	}
	ask := !time.Now().Before(u.next)
	if ask {
		u.next = time.Now().Add(givenUpEvery)
	}
	for _, p := range off {
		_, stillOpen := u.open[p.Hash]
		if _, was := wasOpen[p.Hash]; was && !stillOpen {
			d.log.Info("a payment was written off; its amount is free again", zap.Stringer("payment_hash", p.Hash))
			d.book.pending(p.Intent, false)
			d.wakeAll()
		}
		if ask {
			d.resolve(ctx, p, givenUpWait, func() bool { return true }) // its invoice had expired before
		}
	}
}

// resolve asks the rail what became of one payment. That the node has never heard of it counts where sure says so.
func (d *Desk) resolve(ctx context.Context, p ledger.Purchase, wait time.Duration, sure func() bool) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	fault.Point(fault.TrackBefore)
	out, err := d.rail.Track(ctx, p.Hash)
	fault.Point(fault.TrackAfter)
	switch {
	case err != nil || out.State == Unresolved:
		return
	case out.State == NeverSent && !sure():
		return
	case out.State == NeverSent:
		out.Reason = "the node has never heard of it"
	}
	d.close(ctx, p.Intent, out)
	d.wakeAll()
}
