package ledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
)

// schemaFiles are the steps from an empty file to the current schema; step n is schema/000n.sql. A published step
// never changes.
//
//go:embed schema/*.sql
var schemaFiles embed.FS

// schemaVersion is the number of the last step.
const schemaVersion = 1

var (
	errNewer    = errors.New("it was written by a newer version of this program")
	errNoLedger = errors.New("the file is a database, but no ledger")
)

// migrate takes the steps that the file has not seen, all in one transaction.
func (l *Ledger) migrate(ctx context.Context) error {
	return l.write(ctx, "bring the schema up to date", func(ctx context.Context, q querier) error {
		have, err := version(ctx, q)
		if err != nil {
			return err
		}
		if have > schemaVersion {
			return fmt.Errorf("schema version %d, this program knows %d: %w", have, schemaVersion, errNewer)
		}
		for n := have + 1; n <= schemaVersion; n++ {
			if err := step(ctx, q, n); err != nil {
				return fmt.Errorf("step %d: %w", n, err)
			}
		}
		return run(ctx, q, "UPDATE schema_version SET version = ?", schemaVersion)
	})
}

// version reads schema_version, and makes it in an empty file.
func version(ctx context.Context, q querier) (int, error) {
	var tables, ours, have int
	const count = "SELECT count(*), coalesce(sum(name = 'schema_version'), 0) FROM sqlite_schema WHERE type = 'table'"
	if err := q.QueryRowContext(ctx, count).Scan(&tables, &ours); err != nil {
		return 0, err
	}
	switch {
	case ours == 1:
		err := q.QueryRowContext(ctx, "SELECT version FROM schema_version").Scan(&have)
		return have, err
	case tables > 0:
		return 0, errNoLedger
	}
	return 0, run(ctx, q, "CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT; INSERT INTO schema_version VALUES (0)")
}

func step(ctx context.Context, q querier, n int) error {
	text, err := schemaFiles.ReadFile(fmt.Sprintf("schema/%04d.sql", n))
	if err != nil {
		return err
	}
	return run(ctx, q, string(text))
}
