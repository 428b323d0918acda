package mse

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
)

const (
	// leastWindow is how many bytes a stream ciphers at a time at first, and how large each of its two buffers is then.
	leastWindow = 2 << 10
	// mostWindow is what a window grows to while traffic is heavy, if the budget allows.
	mostWindow = 64 << 10
)

// Budget bounds what all streams that share it hold for heavy traffic. Safe for concurrent use.
type Budget struct{ left atomic.Int64 }

// NewBudget makes a budget of so many bytes.
func NewBudget(bytes int64) *Budget {
	b := &Budget{}
	b.left.Store(bytes)
	return b
}

// Left is how many bytes are not taken.
func (b *Budget) Left() int64 { return b.left.Load() }

func (b *Budget) take(n int) bool {
	if b == nil {
		return false
	}
	if b.left.Add(-int64(n)) >= 0 {
		return true
	}
	b.left.Add(int64(n))
	return false
}

// Sink takes what a stream has encrypted.
type Sink interface {
	// Sealed takes ciphertext. It must see to it that everything goes out, in the order of the calls. The slice is valid
	// only during the call.
	Sealed([]byte)
}

// Stream is the cipher of one connection. One goroutine at a time may read, another write. The caller owns the connection.
type Stream struct {
	pipe    *pipe
	budget  *Budget
	in, out window
}

// window is how much is ciphered at a time in one direction.
type window struct {
	size  int
	final bool // it grows no more
}

func newStream(p *pipe, b *Budget) *Stream {
	return &Stream{pipe: p, budget: b, in: window{size: leastWindow}, out: window{size: leastWindow}}
}

// ReadFD reads at most len(b) bytes from fd, the connection's descriptor, and decrypts them into b. It reads once, and does not
// wait: like read(2) it returns syscall.EAGAIN if there is nothing yet, and 0 without an error at the end. To be
// used within the Read of a syscall.RawConn.
func (s *Stream) ReadFD(fd int, b []byte) (int, error) {
	b = b[:min(len(b), s.in.size)]
	s.pipe.fd = fd
	n, err := s.pipe.rw.Read(b)
	if n == s.in.size {
		s.grow(&s.in)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Read reads like the connection, waiting for bytes and keeping to its deadline.
func (s *Stream) Read(b []byte) (n int, err error) {
	raw, err := s.pipe.conn.SyscallConn()
	if err != nil || len(b) == 0 {
		return 0, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, failed = s.ReadFD(int(fd), b)
			if !errors.Is(failed, syscall.EINTR) {
				return !errors.Is(failed, syscall.EAGAIN)
			}
		}
	})
	switch {
	case err != nil:
		return 0, err
	case failed != nil:
		return 0, failed
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// SetSink says who takes what is encrypted from now on. Before the first Seal.
func (s *Stream) SetSink(to Sink) { s.pipe.sink = to }

// Seal encrypts the beginning of b, gives it to the sink, and returns how much that was: one window at most.
func (s *Stream) Seal(b []byte) int {
	if len(b) > s.out.size {
		s.grow(&s.out)
	}
	b = b[:min(len(b), s.out.size)]
	if len(b) > 0 {
		_, _ = s.pipe.rw.Write(b) // only the pipe's Write could fail, and it does not
	}
	return len(b)
}

func (s *Stream) grow(w *window) {
	if w.final {
		return
	}
	if w.size < mostWindow && s.budget.take(w.size) {
		w.size *= 2
	}
	w.final = w.size == mostWindow
}

// Release gives back to the budget what the stream has taken from it. Once, when nobody uses the stream any more.
func (s *Stream) Release() {
	if s.budget != nil {
		s.budget.left.Add(int64(s.in.size + s.out.size - 2*leastWindow))
	}
	s.budget = nil
}

var errDrained = errors.New("nothing more has been read")

// Read is for anacrolix. It never returns an error along with bytes.
func (p *pipe) Read(b []byte) (int, error) {
	if len(p.pre) > 0 {
		n := copy(b, p.pre)
		p.pre = p.pre[n:]
		return n, nil
	}
	if p.shook {
		return p.readFD(b)
	}
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.conn.Read(p.buffer)
	if n == 0 {
		p.err = err
		return 0, err
	}
	p.pre = p.buffer[copy(b, p.buffer[:n]):n]
	return min(n, len(b)), nil
}

func (p *pipe) readFD(b []byte) (int, error) {
	if p.fd < 0 {
		return 0, errDrained
	}
	n, err := syscall.Read(p.fd, b)
	switch {
	case n > 0:
		return n, nil
	case err != nil:
		return 0, err
	}
	return 0, io.EOF
}

// Write is for anacrolix. After the handshake it never fails: a cipher that has not got rid of its bytes is lost.
func (p *pipe) Write(b []byte) (int, error) {
	if !p.shook {
		return p.conn.Write(b)
	}
	p.sink.Sealed(b)
	return len(b), nil
}
