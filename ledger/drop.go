package ledger

import (
	"context"
	"database/sql"
	"time"
	"unicode/utf8"

	"paygate/units"
)

// Drop is what is kept of a seller that our client has dropped for bad data.
type Drop struct {
	Seller    units.PeerKey
	Times     int // > 0
	Latest    time.Time
	InfoHash  units.InfoHash // of the latest
	Reason    string         // for it
	Delivered units.Msat     // Purse.Charged once the seller has delivered what it held then; what is more came afterwards
}

// AddDrop notes that our client has dropped a seller once more, and returns what is kept of the seller by now.
func (l *Ledger) AddDrop(ctx context.Context, seller units.PeerKey, ih units.InfoHash, reason string) (d Drop, err error) {
	at := l.clock()
	err = l.write(ctx, "note that a seller was dropped", func(ctx context.Context, q querier) error {
		if len(reason) > maxReason || !utf8.ValidString(reason) {
			return errReason
		}
		if err := run(ctx, q, `INSERT INTO drops VALUES (?1, 1, ?2, ?3, ?4,
			coalesce((SELECT max(charged, paid - written_off) FROM purses WHERE seller = ?1), 0))
			ON CONFLICT DO UPDATE SET times = times + 1, latest = excluded.latest, info_hash = excluded.info_hash,
				reason = excluded.reason, delivered = excluded.delivered`,
			seller.String(), at.ms, ih.String(), reason); err != nil {
			return err
		}
		list, err := drops(ctx, q, "WHERE seller = ?", seller.String())
		if err != nil {
			return err
		}
		d = list[0]
		return record(ctx, q, at, Entry{Kind: KindDropped, Party: seller.String(), InfoHash: ih.String(), Msat: d.Delivered, Note: reason})
	})
	return d, err
}

// Drops lists the sellers that our client has ever dropped, the latest first.
func (l *Ledger) Drops(ctx context.Context) (list []Drop, err error) {
	err = l.read(ctx, "list the sellers that were dropped", func(ctx context.Context, q querier) error {
		list, err = drops(ctx, q, "ORDER BY latest DESC, seller")
		return err
	})
	return list, err
}

func drops(ctx context.Context, q querier, which string, args ...any) ([]Drop, error) {
	return all(ctx, q, scanDrop, "SELECT seller, times, latest, info_hash, reason, delivered FROM drops "+which, args...)
}

func scanDrop(r *sql.Rows, d *Drop) error {
	return r.Scan(hexColumn(d.Seller[:]), &d.Times, timeColumn{&d.Latest}, hexColumn(d.InfoHash[:]), &d.Reason, &d.Delivered)
}
