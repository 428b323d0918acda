package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// groupMost is how many writes share one transaction at most: it bounds what a writer waits for the others of its group.
const groupMost = 256

// pending is a write that waits for its turn, or is being made. All of it but done and err belongs to whoever has the
// turn once taken is set.
type pending struct {
	ctx   context.Context // without cancellation
	fn    func(context.Context, querier) error
	taken bool          // under queue.mu
	done  chan struct{} // closed when err says how it ended
	err   error
}

// queue holds the writes that have not been begun, in the order in which they came.
type queue struct {
	mu   sync.Mutex
	list []*pending
}

func (q *queue) add(p *pending) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = append(q.list, p)
}

// take removes the first writes.
func (q *queue) take() []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.list), groupMost)
	group := append([]*pending(nil), q.list[:n]...)
	q.list = append(q.list[:0], q.list[n:]...)
	clear(q.list[len(q.list) : len(q.list)+n])
	for _, p := range group {
		p.taken = true
	}
	return group
}

// withdraw removes a write, and reports false if it has been begun.
func (q *queue) withdraw(p *pending) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.taken {
		return false
	}
	for i, other := range q.list {
		if other == p {
			q.list = append(q.list[:i], q.list[i+1:]...)
			return true
		}
	}
	return false
}

// write runs fn in a transaction of the only writing connection. Writes that come while another is made share the next
// transaction, in the order in which they came, and so one fsync; each is undone by itself if it fails. It returns when
// the transaction is on disk. The context can end the wait for the turn; once begun, a write is never interrupted, so
// an error means that nothing was written. Where the transaction fails as a whole, fn is run again in one of its own: it
// must not build on what an earlier run has left outside the ledger.
func (l *Ledger) write(ctx context.Context, doing string, fn func(context.Context, querier) error) error {
	err := ctx.Err()
	switch {
	case err != nil:
	case l.writer == nil:
		err = errReadOnly
	default:
		err = explain(l.join(ctx, fn))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// join waits until fn has been run, by whoever had the turn first.
func (l *Ledger) join(ctx context.Context, fn func(context.Context, querier) error) error {
	p := &pending{ctx: context.WithoutCancel(ctx), fn: fn, done: make(chan struct{})}
	l.queue.add(p)
	select {
	case <-p.done:
		return p.err
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		if l.queue.withdraw(p) {
			return ctx.Err()
		}
		<-p.done
		return p.err
	}
	defer func() { <-l.turn }()
	for !p.ended() {
		l.commit(l.queue.take())
	}
	return p.err
}

func (p *pending) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// commit makes a group of writes; the caller has the turn.
func (l *Ledger) commit(group []*pending) {
	if len(group) > 1 {
		err := transact(group[0].ctx, l.writer, func(_ context.Context, q querier) error { return each(q, group) })
		switch {
		case err == nil:
			finish(group)
			return
		case kindOf(err) == Held: // for as long as a write waits; none of them was begun, and each would wait as long
			for _, p := range group {
				p.err = err
			}
			finish(group)
			return
		}
	}
	for _, p := range group {
		p.err = transact(p.ctx, l.writer, p.fn)
		close(p.done)
	}
}

func finish(group []*pending) {
	for _, p := range group {
		close(p.done)
	}
}

// errAborted means that SQLite has ended the transaction by itself, as it may where the disk fails it.
var errAborted = errors.New("the transaction was ended")

// each runs the writes of a group one after the other, and undoes those that fail. Its own error means that the
// transaction is of no use.
func each(q querier, group []*pending) error {
	for _, p := range group {
		if err := run(p.ctx, q, "SAVEPOINT one"); err != nil {
			return err
		}
		if p.err = p.fn(p.ctx, q); p.err != nil {
			if ofDisk(p.err) {
				return errAborted
			}
			if err := run(p.ctx, q, "ROLLBACK TO one"); err != nil {
				return err
			}
		}
		if err := run(p.ctx, q, "RELEASE one"); err != nil {
			return err
		}
	}
	return nil
}

// ofDisk reports whether SQLite could not do what was asked of it for a reason that is not in the statement: then it may
// have ended the whole transaction.
func ofDisk(err error) bool {
	var s *sqlite.Error
	return errors.As(err, &s) && s.Code()&0xff != lib.SQLITE_CONSTRAINT
}

// transact is BEGIN, fn and COMMIT by hand: database/sql would put a connection whose COMMIT failed back into
// service with the transaction still open.
func transact(ctx context.Context, c *sql.Conn, fn func(context.Context, querier) error) (err error) {
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			err = errors.Join(err, rollback(ctx, c))
		}
	}()
	if err := fn(ctx, c); err != nil {
		return err
	}
	if _, err := c.ExecContext(ctx, "COMMIT"); err != nil {
		return err
	}
	done = true
	return nil
}

// rollback ends a transaction. A full or broken disk has already ended it: then there is nothing to do, which is an
// error to SQLite. Should one be open all the same, the next BEGIN fails.
func rollback(ctx context.Context, c *sql.Conn) error {
	_, err := c.ExecContext(ctx, "ROLLBACK")
	if s := (*sqlite.Error)(nil); errors.As(err, &s) && s.Code() == lib.SQLITE_ERROR {
		return nil
	}
	return err
}
