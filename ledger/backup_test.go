package ledger

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/units"
)

func TestBackupOfALedgerInUse(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "ledger.db"), filepath.Join(dir, "backup.db")
	w := newWall()
	l := reopen(t, path, w)
	defer func() { check(t, l.Close()) }()
	pay(t, l, w, 1, 1, 1, 5000)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // writes meanwhile
		defer close(done)
		for n := 2; ctx.Err() == nil; n++ {
			pay(t, l, w, n, 1, 1, 5000)
		}
	}()
	check(t, Backup(context.Background(), path, copied))
	stop()
	<-done
	info, err := os.Stat(copied)
	check(t, err)
	equal(t, "mode", info.Mode().Perm(), 0o600)
	r, err := Inspect(context.Background(), copied)
	check(t, err)
	if !r.Sound() || r.Entries < 2 {
		t.Fatalf("%+v", r)
	}
	equal(t, "files", files(t, dir), "backup.db ledger.db")
}

func TestBackupRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ledger.db")
	made(t, path)
	there := filepath.Join(dir, "there.db")
	check(t, os.WriteFile(there, []byte("precious"), 0o600))
	ctx := context.Background()
	if err := Backup(ctx, path, there); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	text, err := os.ReadFile(there)
	check(t, err)
	equal(t, "the file", string(text), "precious")
	if err := Backup(ctx, path, path); !errors.Is(err, os.ErrExist) {
		t.Errorf("onto itself: %v", err)
	}
	err = Backup(ctx, filepath.Join(dir, "none.db"), filepath.Join(dir, "new.db"))
	equal(t, "of nothing", problemOf(t, err), Missing)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := Backup(cancelled, path, filepath.Join(dir, "new.db")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	equal(t, "files", files(t, dir), "ledger.db there.db")
}

func TestInspectChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "ledger.db"), filepath.Join(dir, "backup.db")
	made(t, path)
	check(t, Backup(context.Background(), path, copied))
	before, err := os.ReadFile(copied)
	check(t, err)
	_, err = Inspect(context.Background(), copied)
	check(t, err)
	after, err := os.ReadFile(copied)
	check(t, err)
	equal(t, "same bytes", bytes.Equal(before, after), true)
	list, err := filepath.Glob(copied + "*")
	check(t, err)
	equal(t, "files", list, []string{copied})
}

func TestInspectFindsEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	w := newWall()
	l := reopen(t, path, w)
	pay(t, l, w, 1, 1, 1, 5000)
	check(t, run(context.Background(), l.writer, "UPDATE buyers SET paid = 4000, charged = 1; UPDATE lots SET spent = 2"))
	check(t, l.Close())
	r, err := Inspect(context.Background(), path)
	check(t, err)
	var tables []string
	for _, m := range r.Mismatches {
		tables = append(tables, m.Table)
	}
	equal(t, "mismatches", strings.Join(tables, ", "), "buyers, lots, spent lots")
	equal(t, "damage", len(r.Damage), 0)
	equal(t, "sound", r.Sound(), false)
}

func TestInspectFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	w := newWall()
	l := reopen(t, path, w)
	for n := range 200 {
		pay(t, l, w, n, 1, 1, 5000)
	}
	check(t, l.Close())
	data, err := os.ReadFile(path)
	check(t, err)
	at := bytes.LastIndex(data, []byte(payment(150).String())) // in some page of the journal or an index
	for i := range 40 {
		data[at-at%4096+i] ^= 0xff // its header
	}
	check(t, os.WriteFile(path, data, 0o600))
	r, err := Inspect(context.Background(), path)
	if problemOf(t, err) != Corrupted && len(r.Damage) == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// TestRestorePutsABackupBack restores over a ledger with a later life.
func TestRestorePutsABackupBack(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "ledger.db"), filepath.Join(dir, "backup.db")
	w := newWall()
	ctx := context.Background()
	l := reopen(t, path, w)
	pay(t, l, w, 1, 1, 1, 5000)
	check(t, Backup(ctx, path, copied))
	pay(t, l, w, 2, 1, 1, 7000)
	check(t, l.Close())

	kept, err := Restore(ctx, copied, path, w.options())
	check(t, err)
	equal(t, "kept as", kept, path+".replaced.20260301T230000Z")
	equal(t, "restored", paidTo(t, path), 5000)
	equal(t, "kept", paidTo(t, kept), 12_000)
	equal(t, "the backup", paidTo(t, copied), 5000)
	equal(t, "files", files(t, dir), "backup.db ledger.db ledger.db.replaced.20260301T230000Z")
	l = reopen(t, path, w)
	pay(t, l, w, 3, 1, 1, 100)
	check(t, l.Verify(ctx))
	check(t, l.Close())
}

func TestRestoreBringsAnOlderBackupUpToDate(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "ledger.db"), filepath.Join(dir, "backup.db")
	w := old(t, copied, 1)
	kept, err := Restore(context.Background(), copied, path, w.options())
	check(t, err)
	equal(t, "kept as", kept, "")
	equal(t, "files", files(t, dir), "backup.db ledger.db")
	equal(t, "restored", paidTo(t, path), 5000)
	if len(journalOf(t, copied, 1)) == 0 {
		t.Fatal("the backup has changed")
	}
}

// TestRestoreKeepsADamagedLedgerWithItsLog restores over a ledger that a crash has left with a log, and damaged.
func TestRestoreKeepsADamagedLedgerWithItsLog(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "ledger.db"), filepath.Join(dir, "backup.db")
	made(t, path)
	check(t, Backup(context.Background(), path, copied))
	check(t, os.WriteFile(path, []byte(strings.Repeat("scratched ", 1000)), 0o600))
	check(t, os.WriteFile(path+"-wal", []byte("a log"), 0o600))
	w := newWall()
	kept, err := Restore(context.Background(), copied, path, w.options())
	check(t, err)
	text, err := os.ReadFile(kept)
	check(t, err)
	equal(t, "kept", string(text[:9]), "scratched")
	text, err = os.ReadFile(kept + "-wal")
	check(t, err)
	equal(t, "its log", string(text), "a log")
	equal(t, "restored", paidTo(t, path), 0)
}

func TestRestoreRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, backup string)
		want  ProblemKind
	}{
		"no file":          {func(*testing.T, string) {}, Missing},
		"another database": {func(t *testing.T, path string) { execute(t, path, "CREATE TABLE holiday_photos (name TEXT)") }, NoLedger},
		"a damaged backup": {damaged, Corrupted},
		"a newer backup": {func(t *testing.T, path string) {
			made(t, path)
			execute(t, path, "UPDATE schema_version SET version = 999")
		}, Newer},
		"books that do not add up": {func(t *testing.T, path string) {
			w := old(t, path, 1)
			w.t = w.t.Add(time.Hour)
			execute(t, path, "UPDATE buyers SET paid = paid + 1")
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, copied := filepath.Join(dir, "ledger.db"), filepath.Join(dir, "backup.db")
			w := newWall()
			l := reopen(t, path, w)
			pay(t, l, w, 1, 1, 1, 5000)
			check(t, l.Close())
			c.spoil(t, copied)
			_, err := Restore(context.Background(), copied, path, w.options())
			if got := problemOf(t, err); err == nil || got != c.want {
				t.Fatalf("problem %d (%v), want %d", got, err, c.want)
			}
			equal(t, "the ledger in its place", paidTo(t, path), 5000)
			if all := files(t, dir); all != "backup.db ledger.db" && all != "ledger.db" {
				t.Errorf("files: %s", all)
			}
		})
	}
}

// paidTo verifies a ledger and returns what was ever paid to us.
func paidTo(t *testing.T, path string) units.Msat {
	t.Helper()
	l, err := Open(context.Background(), path, Options{ReadOnly: true})
	check(t, err)
	defer func() { check(t, l.Close()) }()
	check(t, l.Verify(context.Background()))
	totals, err := l.Totals(context.Background())
	check(t, err)
	return totals.Received
}
