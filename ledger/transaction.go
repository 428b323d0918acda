package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// querier is a transaction: what both *sql.Conn and *sql.Tx can do.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

var errReadOnly = errors.New("the ledger was opened for reading only")

// read runs fn on one consistent state of the file. Like write, it cannot be interrupted once begun.
func (l *Ledger) read(ctx context.Context, doing string, fn func(context.Context, querier) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	ctx = context.WithoutCancel(ctx)
	tx, err := l.reading.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, explain(err))
	}
	err = errors.Join(fn(ctx, tx), tx.Rollback())
	if err != nil {
		return fmt.Errorf("%s: %w", doing, explain(err))
	}
	return nil
}

// run runs a statement whose result does not matter.
func run(ctx context.Context, q querier, query string, args ...any) error {
	_, err := q.ExecContext(ctx, query, args...)
	return err
}

// changed runs a statement and reports whether it changed anything.
func changed(ctx context.Context, q querier, query string, args ...any) (bool, error) {
	r, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// one scans the only row of a query, and reports false if there is none.
func one(ctx context.Context, q querier, query string, args []any, into ...any) (bool, error) {
	err := q.QueryRowContext(ctx, query, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// all collects the rows of a query.
func all[T any](ctx context.Context, q querier, scan func(*sql.Rows, *T) error, query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		var t T
		if err := scan(rows, &t); err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, rows.Err()
}

const (
	msPerDay     = 24 * 60 * 60 * 1000
	msPerQuarter = 15 * 60 * 1000
)

// clock is the time of one transaction.
type clock struct {
	ms, day int64
}

func (l *Ledger) clock() clock { return clockAt(l.now()) }

func clockAt(t time.Time) clock {
	ms := t.UnixMilli()
	return clock{ms: ms, day: ms / msPerDay}
}
