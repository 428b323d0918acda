package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
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
	// pipesMost bounds all pipes. A direction whose receiver reads nothing holds one, with what is in it; without one, bytes
	// are copied.
	pipesMost = 1024
)

// All pipes of the process.
var (
	pipes     = make(chan *pipe, pipesKept) // those that nobody uses just now
	pipesMade atomic.Int64
	pipeRoom  = sync.OnceValue(func() int64 { return pipesFor(filesAtMost()) })
)

// pipesFor is how many pipes a process that may have so many files open can have.
func pipesFor(files uint64) int64 {
	return int64(min(max(files/pipesShare/2, pipesKept), pipesMost))
}

// pipe is one for splice(2). It is empty whenever it is in the pool.
type pipe struct{ r, w int }

func takePipe() (*pipe, error) {
	select {
	case p := <-pipes:
		return p, nil
	default:
	}
	if pipesMade.Add(1) > pipeRoom() {
		pipesMade.Add(-1)
		return nil, unix.EMFILE
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		pipesMade.Add(-1)
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
	pipesMade.Add(-1)
}

// splicer moves bytes from one socket to another without their coming into this process.
type splicer struct {
	of         *flow
	src, dst   syscall.RawConn
	fill, pour func(uintptr) bool
	pipe       *pipe
	in         int // bytes in the pipe
	err        error
}

// lay has the kernel copy what comes from now on.
func (f *flow) lay() (err error) {
	if f.tube, err = newSplicer(f.dst.conn, f.src.conn); err == nil {
		f.tube.of = f
	}
	return err
}

// splice is copyThrough in the kernel.
func (f *flow) splice() error {
	for {
		n, err := f.tube.move()
		f.read.Add(int64(n))
		switch {
		case err == nil, f.interrupted(err):
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE): // there is no pipe to be had
			f.tube = nil
			return f.copyThrough()
		default:
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
	if s == nil || s.pipe == nil {
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
		n, err := spliceNow(int(fd), s.pipe.w, spliceMost)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			s.pipe.give()
			s.pipe = nil
			if s.of.mayRest() {
				s.err = errRests
			}
			return s.err != nil
		case err != nil:
			s.err = err
		case n == 0:
			s.err = io.EOF
		}
		s.in = max(0, n)
		return true
	}
}

// pourSome runs under the destination's write lock.
func (s *splicer) pourSome(fd uintptr) bool {
	for {
		n, err := spliceNow(s.pipe.r, int(fd), s.in)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			s.of.dst.busy.Store(true)
			return false
		case err != nil:
			s.err = err
			return true
		}
		s.in -= n
		s.of.dst.busy.Store(false)
		s.of.dst.sent.Add(int64(n))
		return true
	}
}
