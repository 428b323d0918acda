package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"math"
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

// replay follows the lines of the journal after one and up to another.
func replay(ctx context.Context, q querier, after, upto int64, accounts map[string]*account) error {
	rows, err := q.QueryContext(ctx, `SELECT party, kind, note, payment_hash, msat, at FROM journal
		WHERE id > ? AND id <= ? AND kind IN ('settled', 'charge') ORDER BY id`, after, upto)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var e event
		if err := scanEvent(rows, &e); err != nil {
			return err
		}
		a := accounts[e.party]
		if a == nil {
			a = new(account)
			accounts[e.party] = a
		}
		a.follow(e)
	}
	return rows.Err()
}

// checkBills computes from the journal what each buyer has to pay by when.
func checkBills(ctx context.Context, q querier) (*Mismatch, error) {
	var done int64
	err := q.QueryRowContext(ctx, "SELECT upto FROM compacted").Scan(&done)
	if err != nil {
		return nil, fmt.Errorf("bills: %w", err)
	}
	accounts, err := marks(ctx, q, "")
	if err == nil {
		err = replay(ctx, q, done, math.MaxInt64, accounts)
	}
	if err != nil {
		return nil, fmt.Errorf("bills: %w", err)
	}
	return compareBills(ctx, q, accounts)
}

// marks reads accounts as they were at the last entry that was compacted.
func marks(ctx context.Context, q querier, which string, args ...any) (map[string]*account, error) {
	type mark struct {
		buyer string
		account
	}
	list, err := all(ctx, q, func(r *sql.Rows, m *mark) error {
		return r.Scan(&m.buyer, &m.paid, &m.charged, &m.billed, &m.billedAt)
	}, "SELECT buyer, paid, charged, billed, billed_at FROM marks "+which, args...)
	accounts := make(map[string]*account, len(list))
	for i := range list {
		accounts[list[i].buyer] = &list[i].account
	}
	return accounts, err
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
