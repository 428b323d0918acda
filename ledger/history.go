package ledger

import (
	"context"
	"database/sql"
	"time"
)

// Past is a line of the ledger's history: an entry of the journal, or the sum of Entries old ones of one UTC day, which
// had Kind, Party, InfoHash, PaymentHash, Price and Note in common. At is the beginning of that day then, and ID 0.
type Past struct {
	Entry
	Entries int // 1 for an entry of the journal
}

// History hands all that was ever written to each, the sums of old days first, then the journal, all of one moment. It
// ends with the first error of each. Compact may run meanwhile, and nothing is missed or told twice; so the file of a
// ledger in use grows until it returns.
func (l *Ledger) History(ctx context.Context, each func(Past) error) error {
	return l.read(ctx, "read the history", func(ctx context.Context, q querier) error {
		if err := stream(ctx, q, scanDay, each, `SELECT day, kind, party, info_hash, payment_hash, price_msat, price_per, note,
			entries, msat, bytes, free FROM days ORDER BY day, kind, party, info_hash, payment_hash, price_msat, price_per, note`); err != nil {
			return err
		}
		return stream(ctx, q, func(r *sql.Rows, p *Past) error {
			p.Entries = 1
			return scanEntry(r, &p.Entry)
		}, each, `SELECT id, at, kind, party, info_hash, payment_hash, price_msat, price_per,
			msat, fee, bytes, free, note, category FROM journal ORDER BY id`)
	})
}

func scanDay(r *sql.Rows, p *Past) error {
	var day int64
	err := r.Scan(&day, &p.Kind, &p.Party, &p.InfoHash, &p.PaymentHash, &p.Price.Msat, &p.Price.Per, &p.Note,
		&p.Entries, &p.Msat, &p.Bytes, &p.Free)
	p.At = time.UnixMilli(day * msPerDay)
	return err
}

// stream hands the rows of a query on one by one.
func stream[T any](ctx context.Context, q querier, scan func(*sql.Rows, *T) error, each func(T) error, query string) error {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var t T
		if err := scan(rows, &t); err != nil {
			return err
		}
		if err := each(t); err != nil {
			return err
		}
	}
	return rows.Err()
}
