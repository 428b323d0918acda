package ledger

import "context"

// Totals sums up what was sold and bought since the ledger was made.
func (l *Ledger) Totals(ctx context.Context) (t Totals, err error) {
	err = l.read(ctx, "sum up", func(ctx context.Context, q querier) error {
		if err := sold(ctx, q, &t); err != nil {
			return err
		}
		return bought(ctx, q, &t)
	})
	return t, err
}

func sold(ctx context.Context, q querier, t *Totals) error {
	return q.QueryRowContext(ctx, `SELECT
		(SELECT coalesce(sum(bytes), 0) FROM tallies),
		(SELECT coalesce(sum(bytes), 0) FROM sample_days),
		(SELECT count(*) FROM lots),
		coalesce(sum(paid), 0), coalesce(sum(charged), 0),
		coalesce(sum(max(paid - charged, 0)), 0), coalesce(sum(max(charged - paid, 0)), 0)
		FROM buyers`).Scan(&t.SoldBytes, &t.SampleBytes, &t.PaymentsIn, &t.Received, &t.Earned, &t.CreditOwed, &t.Debt)
}

func bought(ctx context.Context, q querier, t *Totals) error {
	err := q.QueryRowContext(ctx, `SELECT
		coalesce(sum(received - free), 0), coalesce(sum(free), 0), coalesce(sum(paid), 0), coalesce(sum(fees), 0),
		coalesce(sum(max(paid - charged - written_off, 0)), 0) FROM purses`).
		Scan(&t.BoughtBytes, &t.FreeBytes, &t.Paid, &t.Fees, &t.CreditHeld)
	if err != nil {
		return err
	}
	return q.QueryRowContext(ctx, `SELECT
		coalesce(sum(msat + fee_limit) FILTER (WHERE state IN ('intent', 'sent', 'unknown')), 0),
		count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE state = 'unknown')
		FROM purchases`).Scan(&t.Pending, &t.PaymentsOut, &t.Unknown)
}
