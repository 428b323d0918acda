package ledger

import (
	"context"
	"database/sql"
	"fmt"
)

// account is a buyer's running sums while the journal is read again.
type account struct{ paid, charged, billed, billedAt int64 }

// event is a line of the journal that moves a buyer's account. An empty lot in a charge stands for what is owed.
type event struct {
	party, kind, note, lot string
	msat, at               int64
}

func scanEvent(r *sql.Rows, e *event) error {
	return r.Scan(&e.party, &e.kind, &e.note, &e.lot, &e.msat, &e.at)
}

// follow is what Charge and Settle do about bills, the slow way. A charge that is owed is the last line of its call.
func (a *account) follow(e event) {
	switch e.kind {
	case KindSettled:
		a.paid += e.msat
		if a.billed > 0 && a.billed < a.paid+int64(leastBill) {
			a.billed, a.billedAt = 0, 0
			if a.charged > a.paid {
				a.billed, a.billedAt = a.charged, e.at
			}
		}
	default:
		a.charged += e.msat
		if e.note == onCredit && a.billed < a.paid+int64(leastBill) && a.charged > a.paid {
			a.billed, a.billedAt = a.charged, e.at
		}
	}
}

// checkBills computes from the journal what each buyer has to pay by when.
func checkBills(ctx context.Context, q querier) (*Mismatch, error) {
	rows, err := q.QueryContext(ctx, `SELECT party, kind, note, payment_hash, msat, at FROM journal
		WHERE kind IN ('settled', 'charge') ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("bills: %w", err)
	}
	defer rows.Close()
	accounts := make(map[string]*account)
	for rows.Next() {
		var e event
		if err := scanEvent(rows, &e); err != nil {
			return nil, fmt.Errorf("bills: %w", err)
		}
		a := accounts[e.party]
		if a == nil {
			a = new(account)
			accounts[e.party] = a
		}
		a.follow(e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("bills: %w", err)
	}
	return compareBills(ctx, q, accounts)
}

func compareBills(ctx context.Context, q querier, accounts map[string]*account) (*Mismatch, error) {
	rows, err := q.QueryContext(ctx, "SELECT buyer, billed, billed_at FROM buyers")
	if err != nil {
		return nil, fmt.Errorf("bills: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var buyer string
		var billed, at int64
		if err := rows.Scan(&buyer, &billed, &at); err != nil {
			return nil, fmt.Errorf("bills: %w", err)
		}
		want := accounts[buyer]
		if want == nil {
			want = new(account)
		}
		if want.billed != billed || want.billedAt != at {
			return &Mismatch{
				Table:   "bills",
				Journal: []string{fmt.Sprintf("%s|%d|%d", buyer, want.billed, want.billedAt)},
				Holds:   []string{fmt.Sprintf("%s|%d|%d", buyer, billed, at)},
			}, nil
		}
	}
	return nil, rows.Err()
}
