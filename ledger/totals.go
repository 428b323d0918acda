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
		(SELECT coalesce(max(id), 0) FROM lots), -- none is ever removed
		coalesce(sum(paid), 0), coalesce(sum(charged), 0),
		coalesce(sum(max(paid - charged, 0)), 0), coalesce(sum(max(charged - paid, 0)), 0)
		FROM buyers`).Scan(&t.SoldBytes, &t.SampleBytes, &t.PaymentsIn, &t.Received, &t.Earned, &t.CreditOwed, &t.Debt)
}

// bought counts the payments that succeeded as those that have not ended otherwise, which are few or counted already.
func bought(ctx context.Context, q querier, t *Totals) error {
	var ended, open, off int
	err := q.QueryRowContext(ctx, `SELECT
		coalesce(sum(received - free), 0), coalesce(sum(free), 0), coalesce(sum(paid), 0), coalesce(sum(fees), 0),
		coalesce(sum(max(paid - charged - written_off, 0)), 0), coalesce(sum(purchases - failed), 0),
		(SELECT count(*) FROM purchases WHERE state = 'written off') FROM purses`).
		Scan(&t.BoughtBytes, &t.FreeBytes, &t.Paid, &t.Fees, &t.CreditHeld, &ended, &off)
	if err != nil {
		return err
	}
	err = q.QueryRowContext(ctx, `SELECT coalesce(sum(msat + fee_limit), 0), count(*), count(*) FILTER (WHERE state = 'unknown')
		FROM purchases WHERE state IN ('intent', 'sent', 'unknown')`).Scan(&t.Pending, &open, &t.Unknown)
	t.PaymentsOut = ended - open - off
	return err
}
