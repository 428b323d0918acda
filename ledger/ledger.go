package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the database/sql driver "sqlite"
)

// Options are what a Ledger needs besides its file.
type Options struct {
	Now func() time.Time // the clock; nil means time.Now
}

// Ledger is an open ledger.
type Ledger struct {
	now     func() time.Time
	writing *sql.DB
	writer  *sql.Conn     // the only connection that writes
	turn    chan struct{} // holds one token while the writer is in use
	reading *sql.DB
}

// readers is how many calls can read at once.
const readers = 4

// Open opens the ledger in the file at path, making it, readable by its owner alone, if there is none. An older
// schema is brought up to date; a newer one, or a file that is no ledger, is refused.
func Open(ctx context.Context, path string, o Options) (*Ledger, error) {
	l, err := open(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	return l, nil
}

func open(ctx context.Context, path string, o Options) (*Ledger, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := create(path); err != nil {
		return nil, err
	}
	l := &Ledger{now: o.Now, turn: make(chan struct{}, 1)}
	if l.now == nil {
		l.now = time.Now
	}
	if err := l.connect(ctx, path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// connect opens both sides and brings the schema up to date in between, so that readers always find it.
func (l *Ledger) connect(ctx context.Context, path string) (err error) {
	if l.writing, err = sql.Open("sqlite", address(path, "journal_mode(wal)", "synchronous(full)", "fullfsync(1)", "foreign_keys(1)")); err != nil {
		return err
	}
	l.writing.SetMaxOpenConns(1)
	if l.writer, err = l.writing.Conn(ctx); err != nil {
		return err
	}
	if err = l.migrate(ctx); err != nil {
		return err
	}
	if l.reading, err = sql.Open("sqlite", address(path, "query_only(1)")); err != nil {
		return err
	}
	l.reading.SetMaxOpenConns(readers)
	l.reading.SetMaxIdleConns(readers)
	return nil
}

// create makes an empty file that only its owner can read, and makes the directory remember it. It leaves an
// existing file alone: to open and close that here would drop the locks of another Ledger in this process.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func address(path string, pragmas ...string) string {
	u := url.URL{Scheme: "file", Path: path}
	u.RawQuery = url.Values{"_pragma": append(pragmas, "busy_timeout(10000)")}.Encode()
	return u.String()
}

// Close waits for the write that is under way, if any, and closes the file. Later calls fail.
func (l *Ledger) Close() error {
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	var errs []error
	if l.reading != nil {
		errs = append(errs, l.reading.Close())
	}
	if l.writer != nil {
		if err := l.writer.Close(); !errors.Is(err, sql.ErrConnDone) {
			errs = append(errs, err)
		}
	}
	if l.writing != nil {
		errs = append(errs, l.writing.Close())
	}
	return errors.Join(errs...)
}
