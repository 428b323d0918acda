package ledger

import (
	"context"
	"database/sql"
	"time"
)

// usage are the kinds of entries that are summed up by day when they are old.
const usageKinds = "('charge', 'received', 'sample')"

// compactMost is how many entries one Compact looks at: it bounds how long other writes wait for it.
const compactMost = 500

// Compact sums up some of the usage (bytes served, received and given away) that is older than keep, and takes it out
// of the journal: what is left of it is one sum for each day, account, torrent, price and lot. No balance, cap, bill or
// report changes by that, and payments stay as they are. It looks at a few hundred entries in one transaction, so that
// other writes wait for milliseconds; more tells that it may have more to do. Call it again then, and now and then later.
func (l *Ledger) Compact(ctx context.Context, keep time.Duration) (more bool, err error) {
	now := l.now()
	before := clockAt(now.Add(-keep)).day * msPerDay
	err = l.write(ctx, "compact the journal", func(ctx context.Context, q querier) error {
		more, err = compact(ctx, q, before, now.Add(24*time.Hour).UnixMilli(), compactMost)
		return err
	})
	return more && err == nil, err
}

// compact takes one step. Entries after future come of a clock that was wrong, and do not keep others from their end.
func compact(ctx context.Context, q querier, before, future int64, most int) (more bool, err error) {
	var done int64
	if err := q.QueryRowContext(ctx, "SELECT upto FROM compacted").Scan(&done); err != nil {
		return false, err
	}
	var upto sql.NullInt64
	if err := q.QueryRowContext(ctx, `SELECT max(id) FROM (SELECT id, at FROM journal WHERE id > ? ORDER BY id LIMIT ?)
		WHERE at < ? OR at > ?`, done, most, before, future).Scan(&upto); err != nil || !upto.Valid {
		return false, err
	}
	if err := markBills(ctx, q, done, upto.Int64); err != nil {
		return false, err
	}
	return true, sumUp(ctx, q, done, upto.Int64)
}

// sumUp moves the usage of entries after done, up to upto, into the sums of its days.
func sumUp(ctx context.Context, q querier, done, upto int64) error {
	if err := run(ctx, q, "UPDATE compacted SET upto = ?", upto); err != nil {
		return err
	}
	if err := run(ctx, q, `INSERT INTO days
		SELECT at / 86400000 AS day, kind, party, info_hash, payment_hash, price_msat, price_per, note,
			count(*), sum(msat), sum(bytes), sum(free)
		FROM journal WHERE id > ? AND id <= ? AND kind IN `+usageKinds+`
		GROUP BY day, kind, party, info_hash, payment_hash, price_msat, price_per, note
		ON CONFLICT DO UPDATE SET entries = entries + excluded.entries, msat = msat + excluded.msat,
			bytes = bytes + excluded.bytes, free = free + excluded.free`, done, upto); err != nil {
		return err
	}
	return run(ctx, q, "DELETE FROM journal WHERE id > ? AND id <= ? AND kind IN "+usageKinds, done, upto)
}

// markBills brings the marks from one entry to another.
func markBills(ctx context.Context, q querier, done, upto int64) error {
	accounts, err := marks(ctx, q, `WHERE buyer IN (SELECT party FROM journal
		WHERE id > ? AND id <= ? AND kind IN ('settled', 'charge'))`, done, upto)
	if err != nil {
		return err
	}
	if err := replay(ctx, q, done, upto, accounts); err != nil {
		return err
	}
	for buyer, a := range accounts {
		if err := run(ctx, q, `INSERT INTO marks VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
			paid = excluded.paid, charged = excluded.charged, billed = excluded.billed, billed_at = excluded.billed_at`,
			buyer, a.paid, a.charged, a.billed, a.billedAt); err != nil {
			return err
		}
	}
	return nil
}
