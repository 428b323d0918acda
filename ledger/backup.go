package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup copies the ledger at from, which may be in use meanwhile, to a new file that its owner alone can read. The
// copy is one consistent state and on disk when Backup returns nil. It fails with os.ErrExist if there is a file of
// that name; one that it could not finish is removed.
func Backup(ctx context.Context, from, to string) error {
	if err := backup(ctx, from, to); err != nil {
		return fmt.Errorf("back %s up: %w", from, explain(err))
	}
	return nil
}

// backup holds the name with an empty file while the copy is made under another: whoever finds a file of that name
// with something in it has the whole copy, even after a crash.
func backup(ctx context.Context, from, to string) (err error) {
	if err := reserve(to); err != nil {
		return err
	}
	part := to + ".partial"
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(to))
		}
	}()
	if err := reserve(part); err != nil {
		return err
	}
	if err := copyState(ctx, from, part); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, to); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return syncDir(filepath.Dir(to))
}

// copyState writes one consistent state of the database at from into the empty file at to, and has it on disk.
func copyState(ctx context.Context, from, to string) (err error) {
	if err := present(from); err != nil {
		return err
	}
	from, err = filepath.Abs(from)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", address(from, "ro"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return err
	}
	return syncFile(to)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
