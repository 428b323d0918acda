package pay

import (
	"context"
	"time"

	"paygate/ledger"
	"paygate/policy"
	"paygate/units"
)

// proven sellers have delivered a whole purchase since they were last dropped, and nobody doubts them.
func (r *record) proven(now time.Time) bool { return r.earned(now) && !now.Before(r.doubted) }

// earned is proven, whoever doubts it.
func (r *record) earned(now time.Time) bool {
	return r != nil && r.first > 0 && r.fresh() >= r.first && r.lost <= r.fresh()/4 && !r.out(now)
}

// ahead reports whether the seller holds more of ours than a proven one is trusted with: to go with it would be worth
// more than to stay, so it may be one of many that prove themselves for that alone.
func (r *record) ahead() bool {
	out := r.unused
	for _, m := range r.pending {
		out += m
	}
	return out > policy.Trust(r.fresh(), r.least, r.least-r.first)
}

// fresh is what the seller has delivered since it was last dropped, beyond what it held then.
func (r *record) fresh() units.Msat { return max(0, r.delivered-r.base) }

// out reports whether nothing is bought from the seller, since our client has dropped it.
func (r *record) out(now time.Time) bool { return now.Before(r.until) }

// slowAfter is how long a seller may take for what it was paid beyond what it is trusted with.
const slowAfter = 10 * time.Minute

// slow reports whether a seller has had more than it is trusted with for longer than that. Were it to count as one of the
// few that may, two of them that send a block now and then would keep all others from being paid.
func (r *record) slow(now time.Time) bool {
	return r.unused > 0 && now.Sub(r.bought) >= slowAfter && (!r.proven(now) || r.ahead())
}

// drop notes that our client has dropped a seller, as the ledger has it.
func (b *book) drop(d ledger.Drop) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.of(d.Seller)
	r.base, r.dropped, r.until = d.Delivered, d.Latest, d.Latest.Add(policy.DroppedFor(d.Times))
}

// doubt makes a seller count as unproven until a time; the zero time ends that.
func (b *book) doubt(seller units.PeerKey, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.sellers[seller]; r != nil {
		r.doubted = until
	}
}

// standing is what is known of a seller's deliveries: since our client last dropped it, and until when it is left out.
func (b *book) standing(seller units.PeerKey, now time.Time) (delivered units.Msat, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.sellers[seller]
	switch {
	case r == nil:
		return 0, time.Time{}
	case r.out(now):
		until = r.until
	}
	return r.fresh(), until
}

// holdings is what sellers hold that were dropped or are slow: of the payments for a torrent, and in all since a day ago. It
// counts as lost until it is delivered.
func (b *book) holdings(ih units.InfoHash, now time.Time) (torrent, today units.Msat) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.sellers {
		since := r.dropped
		switch {
		case r.unused == 0:
			continue
		case r.out(now):
		case r.slow(now):
			since = r.bought
		default:
			continue
		}
		if _, ok := r.torrents[ih]; ok {
			torrent += r.unused
		}
		if now.Sub(since) < 24*time.Hour {
			today += r.unused
		}
	}
	return torrent, today
}

// Left is a seller that is left out until a time, since our client has dropped it, and what it holds of ours.
type Left struct {
	ledger.Drop
	Until time.Time
	Held  units.Msat
}

// Dropped lists the sellers to which nothing is paid now, since our client has dropped them; the latest first.
func (d *Desk) Dropped(ctx context.Context) (list []Left, err error) {
	all, err := d.ledger.Drops(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for _, drop := range all {
		if until := drop.Latest.Add(policy.DroppedFor(drop.Times)); now.Before(until) {
			list = append(list, Left{drop, until, d.book.held(drop.Seller)})
		}
	}
	return list, nil
}

// held is what a seller holds of ours, as far as anybody has looked.
func (b *book) held(seller units.PeerKey) units.Msat {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.sellers[seller]; r != nil {
		return r.unused
	}
	return 0
}
