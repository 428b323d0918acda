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
	// Existing is for a program beside the one that runs the ledger: a file that is not there, or that has an older
	// schema, is an error and left as it is.
	Existing bool
	// ReadOnly means Existing, and that no method can write.
	ReadOnly bool

	schema   int  // in tests: the version to bring the file to
	uncopied bool // migrate without a copy
}

// Ledger is an open ledger.
type Ledger struct {
	now     func() time.Time
	writing *sql.DB
	writer  *sql.Conn     // the only connection that writes; nil if ReadOnly
	turn    chan struct{} // holds one token while the writer is in use
	queue   queue         // of writes that wait for the turn
	reading *sql.DB
}

// readers is how many calls can read at once.
const readers = 4

// Open opens the ledger in the file at path, making it, readable by its owner alone, if there is none. An older
// schema is brought up to date, after a copy of the file has been put beside it; a newer one, or a file that is no
// ledger, is refused. That it returns nil proves that the file could be written.
func Open(ctx context.Context, path string, o Options) (*Ledger, error) {
	l, err := open(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, explain(err))
	}
	return l, nil
}

func open(ctx context.Context, path string, o Options) (*Ledger, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	o.Existing = o.Existing || o.ReadOnly
	if o.schema == 0 {
		o.schema = schemaVersion
	}
	if err := provide(path, o); err != nil {
		return nil, err
	}
	l := &Ledger{now: o.Now, turn: make(chan struct{}, 1)}
	if l.now == nil {
		l.now = time.Now
	}
	if err := l.connect(ctx, path, o); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// connect opens both sides and brings the schema up to date in between, so that readers always find it.
func (l *Ledger) connect(ctx context.Context, path string, o Options) (err error) {
	if o.ReadOnly {
		if err = l.connectReaders(address(path, "ro", "query_only(1)")); err != nil {
			return err
		}
		return l.read(ctx, "read the schema", func(ctx context.Context, q querier) error { return checkVersion(ctx, q, o.schema) })
	}
	if l.writing, err = sql.Open("sqlite", address(path, "rw", "journal_mode(wal)", "synchronous(full)", "fullfsync(1)", "foreign_keys(1)")); err != nil {
		return err
	}
	l.writing.SetMaxOpenConns(1)
	if l.writer, err = l.writing.Conn(ctx); err != nil {
		return err
	}
	if err = l.migrate(ctx, path, o); err != nil {
		return err
	}
	return l.connectReaders(address(path, "rw", "query_only(1)"))
}

func (l *Ledger) connectReaders(address string) (err error) {
	if l.reading, err = sql.Open("sqlite", address); err != nil {
		return err
	}
	l.reading.SetMaxOpenConns(readers)
	l.reading.SetMaxIdleConns(readers)
	return nil
}

// provide makes sure that there is a file. It leaves an existing one alone: to open and close that here would drop
// the locks of another Ledger in this process.
func provide(path string, o Options) error {
	if o.Existing {
		return present(path)
	}
	if err := reserve(path); !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

func present(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return newProblem(Missing, err)
	}
	return err
}

// reserve makes an empty file that only its owner can read, and makes the directory remember it. It fails with
// os.ErrExist if there is one.
func reserve(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
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

// address names a file that is there to SQLite. The mode is "ro" or "rw".
func address(path, mode string, pragmas ...string) string {
	u := url.URL{Scheme: "file", Path: path}
	u.RawQuery = url.Values{"mode": {mode}, "_pragma": append(pragmas, "busy_timeout(10000)")}.Encode()
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
