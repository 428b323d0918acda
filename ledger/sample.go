package ledger

import (
	"context"
	"net/netip"

	"paygate/units"
)

// SampleUsed returns how much has been given away free so far. The subnet is taken as it is, its host bits cleared.
func (l *Ledger) SampleUsed(ctx context.Context, ih units.InfoHash, subnet netip.Prefix) (s Sample, err error) {
	at := l.clock()
	err = l.read(ctx, "read the free samples", func(ctx context.Context, q querier) error {
		return q.QueryRowContext(ctx, `SELECT
			coalesce((SELECT bytes FROM samples WHERE info_hash = ?1 AND subnet = ?2), 0),
			coalesce((SELECT bytes FROM sample_days WHERE day = ?3 AND info_hash = ?1), 0),
			coalesce((SELECT sum(bytes) FROM sample_days WHERE day = ?3), 0)`,
			ih.String(), subnet.Masked().String(), at.day).Scan(&s.Subnet, &s.TorrentDay, &s.Day)
	})
	return s, err
}

// UseSample notes that n bytes were given to a subnet free.
func (l *Ledger) UseSample(ctx context.Context, ih units.InfoHash, subnet netip.Prefix, n units.Bytes) error {
	at := l.clock()
	net := subnet.Masked().String()
	return l.write(ctx, "note a free sample", func(ctx context.Context, q querier) error {
		if n < 0 {
			return errBytes
		}
		if err := run(ctx, q, `INSERT INTO samples VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes`, ih.String(), net, n); err != nil {
			return err
		}
		if err := run(ctx, q, `INSERT INTO sample_days VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes`, at.day, ih.String(), n); err != nil {
			return err
		}
		return record(ctx, q, at, Entry{Kind: KindSample, Party: net, InfoHash: ih.String(), Bytes: n})
	})
}
