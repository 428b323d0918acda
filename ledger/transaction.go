package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// querier is a transaction: what both *sql.Conn and *sql.Tx can do.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

var errReadOnly = errors.New("the ledger was opened for reading only")

// write runs fn in one transaction of the only writing connection. The context can end the wait for the turn; once
// begun, a transaction is never interrupted, so an error means that nothing was written.
func (l *Ledger) write(ctx context.Context, doing string, fn func(context.Context, querier) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if l.writer == nil {
		return fmt.Errorf("%s: %w", doing, errReadOnly)
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	defer func() { <-l.turn }()
	if err := transact(context.WithoutCancel(ctx), l.writer, fn); err != nil {
		return fmt.Errorf("%s: %w", doing, explain(err))
	}
	return nil
}

// transact is BEGIN, fn and COMMIT by hand: database/sql would put a connection whose COMMIT failed back into
// service with the transaction still open.
func transact(ctx context.Context, c *sql.Conn, fn func(context.Context, querier) error) (err error) {
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			err = errors.Join(err, rollback(ctx, c))
		}
	}()
	if err := fn(ctx, c); err != nil {
		return err
	}
	if _, err := c.ExecContext(ctx, "COMMIT"); err != nil {
		return err
	}
	done = true
	return nil
}

// rollback ends a transaction. A full or broken disk has already ended it: then there is nothing to do, which is an
// error to SQLite. Should one be open all the same, the next BEGIN fails.
func rollback(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, "ROLLBACK")
	if s := (*sqlite.Error)(nil); errors.As(err, &s) && s.Code() == lib.SQLITE_ERROR {
		return nil
	}
	return err
}

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

const msPerDay = 24 * 60 * 60 * 1000

// clock is the time of one transaction.
type clock struct {
	ms, day int64
}

func (l *Ledger) clock() clock { return clockAt(l.now()) }

func clockAt(t time.Time) clock {
	ms := t.UnixMilli()
	return clock{ms: ms, day: ms / msPerDay}
}
