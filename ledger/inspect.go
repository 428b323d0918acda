package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Report is what Inspect has found.
type Report struct {
	Entries    int         // in the journal, old ones that were summed up included
	Damage     []string    // what is wrong with the file itself, in SQLite's words
	Mismatches []*Mismatch // what does not follow from the journal
}

// Sound reports that nothing is wrong.
func (r Report) Sound() bool { return len(r.Damage)+len(r.Mismatches) == 0 }

func (r Report) err() error {
	switch {
	case len(r.Damage) > 0:
		return newProblem(Corrupted, fmt.Errorf("the file is damaged: %s", r.Damage[0]))
	case len(r.Mismatches) > 0:
		return r.Mismatches[0]
	}
	return nil
}

// Inspect checks the file of a ledger, in use or not, page by page, and its books as Verify does, and changes
// nothing. It takes minutes on a large one.
func Inspect(ctx context.Context, path string) (r Report, err error) {
	l, err := Open(ctx, path, Options{ReadOnly: true})
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	return l.inspect(ctx)
}

func (l *Ledger) inspect(ctx context.Context) (r Report, err error) {
	err = l.read(ctx, "inspect", func(inner context.Context, q querier) error {
		if r.Damage, err = damage(ctx, q); err != nil || len(r.Damage) > 0 {
			return err // the books of a damaged file say nothing
		}
		if err := q.QueryRowContext(inner, "SELECT (SELECT count(*) FROM journal) + (SELECT coalesce(sum(entries), 0) FROM days)").Scan(&r.Entries); err != nil {
			return err
		}
		r.Mismatches, err = mismatches(ctx, inner, q)
		return err
	})
	return r, err
}

// damage is what SQLite finds wrong with the file.
func damage(ctx context.Context, q querier) ([]string, error) {
	found, err := all(ctx, q, scanText, "PRAGMA integrity_check")
	if err != nil {
		return nil, err
	}
	if len(found) == 1 && found[0] == "ok" {
		found = nil
	}
	loose, err := all(ctx, q, scanLoose, "PRAGMA foreign_key_check")
	return append(found, loose...), err
}

// scanLoose reads a row that points to none.
func scanLoose(r *sql.Rows, line *string) error {
	var table, parent string
	var row, key sql.NullInt64
	err := r.Scan(&table, &row, &parent, &key)
	*line = fmt.Sprintf("row %d of %s points to no row of %s", row.Int64, table, parent)
	return err
}
