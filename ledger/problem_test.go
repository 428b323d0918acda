package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"paygate/test/process"
)

// problemOf returns the kind of problem that an error unwraps to, 0 if none.
func problemOf(t *testing.T, err error) ProblemKind {
	t.Helper()
	var p *Problem
	if !errors.As(err, &p) {
		return 0
	}
	if p.Remedy == "" || !strings.HasSuffix(err.Error(), p.Remedy) {
		t.Errorf("%v tells no remedy", err)
	}
	return p.Kind
}

func TestOpenNamesTheProblem(t *testing.T) {
	fill := func(sql string) func(*testing.T, string) {
		return func(t *testing.T, path string) { execute(t, path, sql) }
	}
	for name, c := range map[string]struct {
		spoil    func(t *testing.T, path string)
		existing bool
		want     ProblemKind
	}{
		"a newer ledger":                     {fill("CREATE TABLE schema_version (version INTEGER); INSERT INTO schema_version VALUES (999)"), false, Newer},
		"an older ledger beside its program": {func(t *testing.T, path string) { old(t, path, 1) }, true, Older},
		"another database":                   {fill("CREATE TABLE holiday_photos (name TEXT)"), false, NoLedger},
		"an empty file beside its program":   {func(t *testing.T, path string) { check(t, os.WriteFile(path, nil, 0o600)) }, true, NoLedger},
		"no database": {func(t *testing.T, path string) {
			check(t, os.WriteFile(path, []byte(strings.Repeat("not a database ", 1000)), 0o600))
		}, false, NoLedger},
		"no file":        {func(*testing.T, string) {}, true, Missing},
		"a damaged file": {damaged, false, Corrupted},
		"half of a file": {func(t *testing.T, path string) { made(t, path); check(t, os.Truncate(path, 6000)) }, false, Corrupted},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ledger.db")
			c.spoil(t, path)
			l, err := Open(context.Background(), path, Options{Existing: c.existing})
			if err == nil {
				check(t, l.Close())
			}
			if got := problemOf(t, err); got != c.want {
				t.Fatalf("problem %d (%v), want %d", got, err, c.want)
			}
		})
	}
}

func execute(t *testing.T, path, statements string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	check(t, err)
	_, err = db.Exec(statements)
	check(t, err)
	check(t, db.Close())
}

// made leaves a closed ledger.
func made(t *testing.T, path string) { check(t, reopen(t, path, newWall()).Close()) }

// damaged scratches the page that holds the schema.
func damaged(t *testing.T, path string) {
	made(t, path)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, 3000), 100)
	check(t, errors.Join(err, f.Close()))
}

// TestHeldLedger meets another writer without the patience of an open ledger.
func TestHeldLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	made(t, path)
	var db [2]*sql.DB
	for i := range db {
		var err error
		db[i], err = sql.Open("sqlite", path)
		check(t, err)
		defer func() { check(t, db[i].Close()) }()
		db[i].SetMaxOpenConns(1)
	}
	_, err := db[0].Exec("BEGIN IMMEDIATE")
	check(t, err)
	_, err = db[1].Exec("BEGIN IMMEDIATE")
	equal(t, "problem", problemOf(t, explain(err)), Held)
}

func TestExplain(t *testing.T) {
	for want, cause := range map[ProblemKind]error{
		DiskFull: syscall.ENOSPC, ReadOnly: syscall.EROFS, Disk: syscall.EIO,
	} {
		equal(t, cause.Error(), problemOf(t, explain(fmt.Errorf("open: %w", &os.PathError{Err: cause}))), want)
	}
	equal(t, "a quota", problemOf(t, explain(syscall.EDQUOT)), DiskFull)
	equal(t, "a permission", problemOf(t, explain(syscall.EACCES)), ReadOnly)
	for _, err := range []error{nil, ErrSeenHash, os.ErrNotExist} {
		if got := explain(err); !errors.Is(got, err) || problemOf(t, got) != 0 {
			t.Errorf("%v became %v", err, got)
		}
	}
	once := explain(explain(syscall.ENOSPC))
	equal(t, "explained once", strings.Count(once.Error(), remedies[DiskFull]), 1)
}

func TestReadOnlyWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	w := newWall()
	l := reopen(t, path, w)
	pay(t, l, w, 1, 1, 1, 5000)
	r, err := Open(context.Background(), path, Options{ReadOnly: true})
	check(t, err)
	if err := r.SetMeta(context.Background(), "k", "v"); !errors.Is(err, errReadOnly) {
		t.Errorf("SetMeta: %v", err)
	}
	check(t, r.Verify(context.Background()))
	check(t, r.Close())
	check(t, l.Close())
}

// TestFullDisk fills the file up by SQLite's own limit, which fails as a full disk does.
func TestFullDisk(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	limit := func(pages string) {
		check(t, run(ctx, l.writer, "PRAGMA max_page_count = "+pages))
	}
	limit("1") // never below what there is
	n, err := 0, error(nil)
	for ; err == nil && n < 10_000; n++ {
		err = l.Reserve(ctx, intent(w, n, 1, 1, 1, 0), wide)
	}
	n-- // the number of the one that failed
	equal(t, "problem", problemOf(t, err), DiskFull)
	list, err := l.Purchases(ctx, 10_000)
	check(t, err)
	equal(t, "purchases that are journalled", len(list), n)
	check(t, l.Verify(ctx))

	limit("100000")
	check(t, l.Reserve(ctx, intent(w, n, 1, 1, 1, 0), wide))
	check(t, l.Verify(ctx))
}

const unwritableVariable = "LEDGER_TEST_UNWRITABLE"

// TestUnwritable opens a ledger that cannot be written, in a child process that has no rights beyond the file's
// permissions.
func TestUnwritable(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir, path string){
		"directory and no ledger": func(t *testing.T, dir, _ string) { check(t, os.Chmod(dir, 0o500)) },
		"directory":               func(t *testing.T, dir, path string) { made(t, path); check(t, os.Chmod(dir, 0o500)) },
		"file":                    func(t *testing.T, _, path string) { made(t, path); check(t, os.Chmod(path, 0o400)) },
		"directory and file": func(t *testing.T, dir, path string) {
			made(t, path)
			check(t, errors.Join(os.Chmod(path, 0o400), os.Chmod(dir, 0o500)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			check(t, os.Mkdir(dir, 0o700))
			path := filepath.Join(dir, "ledger.db")
			spoil(t, dir, path)
			t.Cleanup(func() { check(t, os.Chmod(dir, 0o700)) })
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), unwritableVariable+"="+path)
			var out bytes.Buffer
			child.Stdout, child.Stderr = &out, &out
			check(t, process.Unprivileged(child.Start))
			check(t, child.Wait())
			if got, want := out.String(), fmt.Sprintf("problem %d: ", ReadOnly); !strings.HasPrefix(got, want) || !strings.Contains(got, remedies[ReadOnly]) {
				t.Fatalf("the child said %q, want %q", got, want)
			}
		})
	}
}

// openUnwritable is the child process of TestUnwritable.
func openUnwritable(path string) {
	l, err := Open(context.Background(), path, Options{})
	if err == nil {
		fmt.Println("it was opened", l.Close())
		os.Exit(0)
	}
	var p *Problem
	if errors.As(err, &p) {
		fmt.Printf("problem %d: ", p.Kind)
	}
	fmt.Println(err)
	os.Exit(0)
}
