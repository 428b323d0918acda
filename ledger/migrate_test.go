package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// old makes a ledger of an earlier schema with some life in it, as the program of that time left it.
func old(t *testing.T, path string, schema int) *wall {
	t.Helper()
	w := newWall()
	ctx := context.Background()
	text, err := os.ReadFile(fmt.Sprintf("testdata/schema-%d.sql", schema))
	check(t, err)
	l, err := Open(ctx, path, Options{Now: w.now, schema: schema})
	check(t, err)
	check(t, run(ctx, l.writer, string(text)))
	check(t, l.Close())
	return w
}

func TestOlderSchemaIsCopiedAndBroughtUpToDate(t *testing.T) {
	for schema := 1; schema < schemaVersion; schema++ {
		t.Run(fmt.Sprint(schema), func(t *testing.T) { testMigration(t, schema) })
	}
}

func testMigration(t *testing.T, schema int) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ledger.db")
	w := old(t, path, schema)
	ctx := context.Background()
	before := journalOf(t, path, schema)

	l := reopen(t, path, w)
	check(t, l.Verify(ctx))
	equal(t, "journal", strings.Join(journalLines(t, l), "\n"), strings.Join(before, "\n"))
	w.t = w.t.Add(2 * time.Hour)
	check(t, l.WriteOffPayment(ctx, payment(3), "only the second schema can"))
	_, err := l.AddBlock(ctx, torrent(1), "only the third can")
	check(t, err)
	list, err := l.Journal(ctx, int64(len(before)), 10)
	check(t, err)
	equal(t, "the journal goes on", list[0].ID, int64(len(before)+1))
	for _, statement := range []string{
		"DELETE FROM journal", "UPDATE journal SET msat = 1", "INSERT OR REPLACE INTO journal SELECT * FROM journal WHERE id = 1",
	} {
		if err := run(ctx, l.writer, statement); err == nil {
			t.Errorf("%s was allowed", statement)
		}
	}
	check(t, l.Verify(ctx))
	check(t, l.Close())

	suffix := fmt.Sprintf(".schema-%d.20260301T230000Z", schema)
	kept := path + suffix
	info, err := os.Stat(kept)
	check(t, err)
	equal(t, "mode", info.Mode().Perm(), 0o600)
	equal(t, "journal of the copy", strings.Join(journalOf(t, kept, schema), "\n"), strings.Join(before, "\n"))

	// Nothing is copied when there is nothing to change.
	check(t, reopen(t, path, w).Close())
	equal(t, "files", files(t, dir), "ledger.db ledger.db"+suffix)
}

// TestMigrationThatCannotBeCopiedChangesNothing has a file in the place of the copy.
func TestMigrationThatCannotBeCopiedChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	w := old(t, path, 1)
	check(t, os.WriteFile(path+".schema-1.20260301T230000Z", []byte("mine"), 0o600))
	if _, err := Open(context.Background(), path, w.options()); !errors.Is(err, os.ErrExist) {
		t.Fatalf("Open: %v", err)
	}
	if len(journalOf(t, path, 1)) == 0 {
		t.Fatal("the ledger has changed")
	}
	text, err := os.ReadFile(path + ".schema-1.20260301T230000Z")
	check(t, err)
	equal(t, "the file in the way", string(text), "mine")
}

// journalOf reads the journal of a file that has an earlier schema.
func journalOf(t *testing.T, path string, schema int) []string {
	t.Helper()
	l, err := Open(context.Background(), path, Options{ReadOnly: true, schema: schema})
	check(t, err)
	defer func() { check(t, l.Close()) }()
	return journalLines(t, l)
}

func journalLines(t *testing.T, l *Ledger) (lines []string) {
	t.Helper()
	check(t, l.read(context.Background(), "read all", func(ctx context.Context, q querier) (err error) {
		lines, err = all(ctx, q, scanText, `SELECT id, at, kind, party, info_hash, payment_hash,
			price_msat, price_per, iif(kind = 'dropped', 0, msat), fee, bytes, free, note FROM journal ORDER BY id`) // the fifth schema notes more of drops
		return err
	}))
	return lines
}

// files lists a directory, but for what SQLite keeps beside an open file.
func files(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	check(t, err)
	var names []string
	for _, f := range list {
		if !strings.HasSuffix(f.Name(), "-wal") && !strings.HasSuffix(f.Name(), "-shm") {
			names = append(names, f.Name())
		}
	}
	return strings.Join(names, " ")
}
