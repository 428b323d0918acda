package ledger

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"time"
)

// schemaFiles are the steps from an empty file to the current schema; step n is schema/000n.sql. A published step
// never changes.
//
//go:embed schema/*.sql
var schemaFiles embed.FS

// schemaVersion is the number of the last step.
const schemaVersion = 5

var (
	errNewer    = errors.New("it was written by a newer version of this program")
	errOlder    = errors.New("it was written by an older version of this program")
	errNoLedger = errors.New("the file is a database, but no ledger")
)

// migrate takes the steps that the file has not seen, all in one transaction, and keeps a copy of the file as it was
// before them. It writes even if there is nothing to do, so that a file that cannot be written is noticed now.
func (l *Ledger) migrate(ctx context.Context, path string, o Options) error {
	return l.write(ctx, "bring the schema up to date", func(ctx context.Context, q querier) error {
		if o.Existing {
			return checkVersion(ctx, q, o.schema)
		}
		have, err := version(ctx, q)
		if err != nil {
			return err
		}
		if have > o.schema {
			return wrongVersion(have, o.schema)
		}
		if have > 0 && have < o.schema && !o.uncopied {
			if err := backup(ctx, path, aside(path, fmt.Sprintf("schema-%d", have), l.now())); err != nil {
				return fmt.Errorf("copy the ledger before its schema changes: %w", err)
			}
		}
		return advance(ctx, q, have, o.schema)
	})
}

// aside names a copy of the file at path, for people to find and to tell from others.
func aside(path, why string, at time.Time) string {
	return fmt.Sprintf("%s.%s.%s", path, why, at.UTC().Format("20060102T150405Z"))
}

func advance(ctx context.Context, q querier, have, want int) error {
	for n := have + 1; n <= want; n++ {
		if err := step(ctx, q, n); err != nil {
			return fmt.Errorf("step %d: %w", n, err)
		}
	}
	if have == 0 {
		return run(ctx, q, "CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT; INSERT INTO schema_version VALUES (?)", want)
	}
	return run(ctx, q, "UPDATE schema_version SET version = ?", want)
}

// checkVersion fails unless the file has the schema that is wanted.
func checkVersion(ctx context.Context, q querier, want int) error {
	have, err := version(ctx, q)
	switch {
	case err != nil:
		return err
	case have == 0:
		return newProblem(NoLedger, errNoLedger)
	case have != want:
		return wrongVersion(have, want)
	}
	return nil
}

func wrongVersion(have, want int) error {
	kind, err := Newer, errNewer
	if have < want {
		kind, err = Older, errOlder
	}
	return newProblem(kind, fmt.Errorf("schema version %d, this program knows %d: %w", have, want, err))
}

// version reads schema_version; it is 0 in an empty file.
func version(ctx context.Context, q querier) (have int, err error) {
	var tables, ours int
	const count = "SELECT count(*), coalesce(sum(name = 'schema_version'), 0) FROM sqlite_schema WHERE type = 'table'"
	if err := q.QueryRowContext(ctx, count).Scan(&tables, &ours); err != nil {
		return 0, err
	}
	switch {
	case ours == 1:
		err = q.QueryRowContext(ctx, "SELECT version FROM schema_version").Scan(&have)
	case tables > 0:
		err = newProblem(NoLedger, errNoLedger)
	}
	return have, err
}

func step(ctx context.Context, q querier, n int) error {
	text, err := schemaFiles.ReadFile(fmt.Sprintf("schema/%04d.sql", n))
	if err != nil {
		return err
	}
	return run(ctx, q, string(text))
}
