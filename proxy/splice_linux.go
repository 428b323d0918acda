package proxy

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// spliceMost is how much one splice may move, and what a pipe should hold.
	spliceMost = 256 << 10
	// pipesKept is how many pipes wait for their next use. A direction has one only while it has bytes to move, so that
	// an idle connection costs no descriptors but its own.
	pipesKept = 64
)

// pipes keeps those that nobody uses just now, for the whole process.
var pipes = make(chan *pipe, pipesKept)

// pipe is one for splice(2). It is empty whenever it is in the pool.
type pipe struct{ r, w int }

func takePipe() (*pipe, error) {
	select {
	case p := <-pipes:
		return p, nil
	default:
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, spliceMost) // a smaller one is only slower
	return &pipe{fds[0], fds[1]}, nil
}

// give puts an empty pipe back.
func (p *pipe) give() {
	select {
	case pipes <- p:
	default:
		p.close()
	}
}

func (p *pipe) close() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// splicer moves bytes from one socket to another without their coming into this process.
type splicer struct {
	src, dst   syscall.RawConn
	fill, pour func(uintptr) bool
	pipe       *pipe
	in         int // bytes in the pipe
	err        error
}

// copyBlind copies until src ends, which is io.EOF, or something fails. counts, but for nil ones, learn of every byte
// that dst took.
func copyBlind(dst, src *net.TCPConn, counts ...*atomic.Int64) error {
	s, err := newSplicer(dst, src)
	if err != nil {
		return err
	}
	defer s.end()
	for {
		n, err := s.move()
		for _, c := range counts {
			if c != nil {
				c.Add(int64(n))
			}
		}
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
			return copyBuffered(dst, src, counts...)
		}
		if err != nil {
			return err
		}
	}
}

func newSplicer(dst, src *net.TCPConn) (*splicer, error) {
	s := &splicer{}
	var err error
	if s.src, err = src.SyscallConn(); err != nil {
		return nil, err
	}
	if s.dst, err = dst.SyscallConn(); err != nil {
		return nil, err
	}
	s.fill, s.pour = s.fillSome, s.pourSome
	return s, nil
}

// end closes the pipe of a copy that has ended with bytes in it.
func (s *splicer) end() {
	if s.pipe == nil {
		return
	}
	if s.in == 0 {
		s.pipe.give()
	} else {
		s.pipe.close()
	}
	s.pipe = nil
}

// move waits for bytes and passes on what there is.
func (s *splicer) move() (moved int, err error) {
	s.err = nil
	if err := s.src.Read(s.fill); err != nil {
		return 0, err
	}
	if s.err != nil {
		return 0, s.err
	}
	for s.in > 0 {
		before := s.in
		if err := s.dst.Write(s.pour); err != nil {
			return moved, err
		}
		moved += before - s.in
		if s.err != nil {
			return moved, s.err
		}
	}
	return moved, nil
}

// fillSome runs under the source's read lock. It reports false, having given its pipe back, to be called again once
// there is something to read.
func (s *splicer) fillSome(fd uintptr) bool {
	if s.pipe == nil {
		if s.pipe, s.err = takePipe(); s.err != nil {
			return true
		}
	}
	for {
		n, err := unix.Splice(int(fd), nil, s.pipe.w, nil, spliceMost, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			s.pipe.give()
			s.pipe = nil
			return false
		case err != nil:
			s.err = err
		case n == 0:
			s.err = io.EOF
		}
		s.in = max(0, int(n))
		return true
	}
}

// pourSome runs under the destination's write lock.
func (s *splicer) pourSome(fd uintptr) bool {
	for {
		n, err := unix.Splice(s.pipe.r, nil, int(fd), nil, s.in, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return false
		case err != nil:
			s.err = err
			return true
		}
		s.in -= int(n)
		return true
	}
}
