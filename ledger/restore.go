package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Restore puts a copy of the ledger at from in the place of the one at to, which nobody may have open, and returns
// the name under which the old one is kept ("" if there was none). The copy is brought up to date and verified first;
// until it is good and on disk, the old one stays in its place, and to is never without a ledger. Only Options.Now
// counts.
func Restore(ctx context.Context, from, to string, o Options) (kept string, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if kept, err = restore(ctx, from, to, o.Now); err != nil {
		return "", fmt.Errorf("restore %s: %w", from, explain(err))
	}
	return kept, nil
}

func restore(ctx context.Context, from, to string, now func() time.Time) (kept string, err error) {
	next := to + ".restoring"
	if err := removeAll(next, next+"-wal", next+"-shm"); err != nil {
		return "", err
	}
	if err := reserve(next); err != nil {
		return "", err
	}
	err = copyState(ctx, from, next)
	if err == nil {
		err = prove(ctx, next, now)
	}
	if err == nil {
		kept, err = setAside(to, now())
	}
	if err == nil {
		err = os.Rename(next, to)
	}
	if err != nil {
		return "", errors.Join(err, removeAll(next, next+"-wal", next+"-shm"))
	}
	return kept, syncDir(filepath.Dir(to))
}

// prove brings a copy up to date and verifies it.
func prove(ctx context.Context, path string, now func() time.Time) error {
	l, err := open(ctx, path, Options{Now: now, uncopied: true})
	if err != nil {
		return err
	}
	r, err := l.inspect(ctx)
	if err = errors.Join(err, r.err(), l.Close()); err != nil {
		return err
	}
	return syncFile(path)
}

// setAside copies the ledger at path, with the write-ahead log that a crash may have left, and leaves nothing beside
// it that SQLite would take for part of its successor. SQLite itself is kept out of it: it throws the log of a
// damaged file away.
func setAside(path string, at time.Time) (kept string, err error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	kept = aside(path, "replaced", at)
	for _, suffix := range []string{"", "-wal"} {
		err := copyFile(path+suffix, kept+suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	if err := removeAll(path+"-wal", path+"-shm"); err != nil {
		return "", err
	}
	return kept, syncDir(filepath.Dir(path))
}

// copyFile copies byte by byte to a new file that its owner alone can read, and has it on disk.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// removeAll removes files that may not be there.
func removeAll(paths ...string) error {
	for _, p := range paths {
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
