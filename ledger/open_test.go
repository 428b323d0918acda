package ledger

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpenMakesAPrivateFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20é")
	check(t, os.Mkdir(dir, 0o700))
	l := reopen(t, filepath.Join(dir, "ledger.db"), newWall())
	defer func() { check(t, l.Close()) }()
	check(t, l.SetMeta(context.Background(), "k", "v"))
	files, err := os.ReadDir(dir)
	check(t, err)
	for _, f := range files {
		info, err := f.Info()
		check(t, err)
		equal(t, f.Name()+" mode", info.Mode().Perm(), 0o600)
		if !strings.HasPrefix(f.Name(), "ledger.db") {
			t.Errorf("stray file %q", f.Name())
		}
	}
	if len(files) == 0 {
		t.Fatal("no file was made")
	}
}

func TestWriterIsDurable(t *testing.T) {
	l, _ := fresh(t)
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000", "fullfsync": "1",
	} {
		var got string
		check(t, l.writer.QueryRowContext(context.Background(), "PRAGMA "+pragma).Scan(&got))
		equal(t, pragma, got, want)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		sql  string
		want error
	}{
		"a newer ledger":   {"CREATE TABLE schema_version (version INTEGER); INSERT INTO schema_version VALUES (999)", errNewer},
		"another database": {"CREATE TABLE holiday_photos (name TEXT)", errNoLedger},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			db, err := sql.Open("sqlite", path)
			check(t, err)
			_, err = db.Exec(c.sql)
			check(t, err)
			check(t, db.Close())
			if _, err := Open(context.Background(), path, Options{}); !errors.Is(err, c.want) {
				t.Fatalf("Open: %v, want %v", err, c.want)
			}
		})
	}
	t.Run("a file that is no database", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "ledger.db")
		check(t, os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600))
		if _, err := Open(context.Background(), path, Options{}); err == nil {
			t.Fatal("Open took it")
		}
	})
	t.Run("a missing directory", func(t *testing.T) {
		if _, err := Open(context.Background(), filepath.Join(t.TempDir(), "none", "ledger.db"), Options{}); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("Open: %v", err)
		}
	})
}

func TestJournalIsAppendOnly(t *testing.T) {
	l, w := fresh(t)
	pay(t, l, w, 1, 1, 1, 5000)
	for _, statement := range []string{
		"DELETE FROM journal", "UPDATE journal SET msat = 1", "INSERT OR REPLACE INTO journal SELECT * FROM journal WHERE id = 1",
	} {
		if err := run(context.Background(), l.writer, statement); err == nil {
			t.Errorf("%s was allowed", statement)
		}
	}
}

func TestCancelledContextWritesNothing(t *testing.T) {
	l, w := fresh(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.AddInvoice(ctx, invoice(w, 1, 1, 1, 5000)); !errors.Is(err, context.Canceled) {
		t.Fatalf("AddInvoice: %v", err)
	}
	if _, err := l.Account(ctx, peer(1)); !errors.Is(err, context.Canceled) {
		t.Fatalf("Account: %v", err)
	}
	entries, err := l.Journal(context.Background(), 0, 10)
	check(t, err)
	equal(t, "entries", len(entries), 0)
}

func TestCancelWhileWaitingForTheWriter(t *testing.T) {
	l, _ := fresh(t)
	l.turn <- struct{}{}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error)
	go func() { result <- l.SetMeta(ctx, "k", "v") }()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Fatalf("SetMeta: %v", err)
	}
	<-l.turn
	check(t, l.SetMeta(context.Background(), "k", "v"))
}

func TestFailedCommitLeavesTheWriterUsable(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	err := l.write(ctx, "break a foreign key", func(ctx context.Context, q querier) error {
		if err := run(ctx, q, "PRAGMA defer_foreign_keys = 1"); err != nil {
			return err
		}
		return run(ctx, q, "INSERT INTO tallies VALUES ('nobody', '', 0, 0, 0, 0)")
	})
	if err == nil {
		t.Fatal("the commit went through")
	}
	pay(t, l, w, 1, 1, 1, 5000)
	check(t, l.Verify(ctx))
}

func TestMeta(t *testing.T) {
	l, _ := fresh(t)
	ctx := context.Background()
	for _, want := range []string{"", "one", "two"} {
		if want != "" {
			check(t, l.SetMeta(ctx, "key", want))
		}
		got, err := l.Meta(ctx, "key")
		check(t, err)
		equal(t, "value", got, want)
	}
}

func TestClosedLedgerRefuses(t *testing.T) {
	l := reopen(t, filepath.Join(t.TempDir(), "ledger.db"), newWall())
	check(t, l.Close())
	if err := l.SetMeta(context.Background(), "k", "v"); err == nil {
		t.Error("write after Close")
	}
	if _, err := l.Meta(context.Background(), "k"); err == nil {
		t.Error("read after Close")
	}
}
