package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// idleLooks is how often in its idle time a passage looks whether anything has moved.
const idleLooks = 4

// tunnels are the connections through our listeners that are none of our business.
type tunnels struct {
	mu     sync.Mutex
	open   map[*net.TCPConn]*net.TCPConn
	closed bool
}

// run copies between the two until both have ended, and closes them.
func (t *tunnels) run(a, b *net.TCPConn, copyBoth func() error) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return net.ErrClosed
	}
	t.open[a] = b
	t.mu.Unlock()
	err := copyBoth()
	t.mu.Lock()
	delete(t.open, a)
	t.mu.Unlock()
	return err
}

func (t *tunnels) any() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open) > 0
}

// close ends all of them, and refuses new ones.
func (t *tunnels) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for a, b := range t.open {
		a.Close()
		b.Close()
	}
}

// passage is one tunnel under way. It ends when neither side has said anything for idle.
type passage struct {
	idle   time.Duration
	last   atomic.Int64 // when bytes last moved, in nanoseconds since 1970
	ending atomic.Bool  // one direction has ended; the other gets linger
}

// newPassage begins a tunnel.
func (p *Proxy) newPassage() *passage {
	q := &passage{idle: p.cfg.TunnelIdle}
	q.moved()
	return q
}

func (q *passage) moved() { q.last.Store(time.Now().UnixNano()) }

// both copies in both directions until both have ended, and closes the two. there is how what client says gets to remote.
func (q *passage) both(client, remote *net.TCPConn, there func() error) error {
	back := make(chan error, 1)
	go q.backwards(client, remote, back)
	err := errors.Join(q.end(remote, client, there()), <-back)
	client.Close()
	remote.Close()
	return err
}

// backwards copies what the remote says to the client, and reports how it ended.
func (q *passage) backwards(client, remote *net.TCPConn, done chan<- error) {
	done <- q.end(client, remote, q.copy(client, remote))
}

// end passes on how a direction ended, and returns nil if that was in order.
func (q *passage) end(dst, src *net.TCPConn, err error) error {
	if !errors.Is(err, io.EOF) {
		src.Close()
		dst.Close()
		return err
	}
	q.ending.Store(true)
	_ = dst.CloseWrite() // fails only if the other direction has failed, which reports it
	_ = dst.SetReadDeadline(time.Now().Add(linger))
	return nil
}

// copy copies until src ends, which is io.EOF, or something fails. Both are bare TCP connections, so that the kernel splices.
func (q *passage) copy(dst, src *net.TCPConn) error {
	for {
		if err := q.wait(src); err != nil {
			return err
		}
		n, err := io.CopyN(dst, src, blindChunk)
		if n > 0 {
			q.moved()
		}
		if err = q.patience(err); err != nil {
			return err
		}
	}
}

// wait sets how long a read of src may take before we look at what the other direction does.
func (q *passage) wait(src *net.TCPConn) error {
	if q.ending.Load() {
		return nil // it has its deadline
	}
	return src.SetReadDeadline(time.Now().Add(q.idle / idleLooks))
}

// patience forgives a read that timed out while the other direction has moved something, or while bytes came slowly.
func (q *passage) patience(err error) error {
	if !isTimeout(err) {
		return err
	}
	quiet := time.Since(time.Unix(0, q.last.Load()))
	if !q.ending.Load() && quiet < q.idle {
		return nil
	}
	return fmt.Errorf("nothing said for %s: %w", quiet.Round(time.Second), os.ErrDeadlineExceeded)
}
