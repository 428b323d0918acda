package proxy

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// restful is how often within a beat a direction may find nothing to read and still rest at once. Who does so more
	// often keeps its goroutine, since starting one costs more than waiting in one.
	restful = 8
	beat    = time.Second
	// roused is how many directions are told at a time that there is something to read.
	roused = 128
)

// errGone says that a direction has ended.
var errGone = errors.New("the direction has ended")

// parker waits on behalf of directions that have had nothing to read for a while, so that an idle session needs no
// goroutine: it has an epoll instance of its own, of which one goroutine hears. The runtime's own poller stays as it is.
type parker struct {
	running *sync.WaitGroup // counts the directions' goroutines
	fd      int
	file    *os.File // owns fd
	raw     syscall.RawConn
	events  []unix.EpollEvent
	beats   atomic.Uint32

	mu    sync.Mutex
	seats []seat   // mu; the first is nobody's
	empty []uint32 // mu: seats that nobody has
	hot   []heat   // mu
}

// seat is what the kernel knows a direction by; turn tells it from those that had the seat before.
type seat struct {
	f    *flow
	turn uint32
}

// heat is a direction that waits in a goroutine, and how far it had come at the last beat.
type heat struct {
	f    *flow
	read int64
}

// newParker makes one whose directions running counts. Close it when there are none any more.
func newParker(running *sync.WaitGroup) (*parker, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	p := &parker{running: running, fd: fd, file: os.NewFile(uintptr(fd), "epoll"), events: make([]unix.EpollEvent, roused), seats: make([]seat, 1)}
	if p.raw, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // fails if the runtime cannot wait for it, and nobody would ever be woken
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wait for an epoll instance: %w", err), p.file.Close())
	}
	return p, nil
}

// watch wakes directions that have something to read, until close.
func (p *parker) watch() {
	_ = p.raw.Read(p.hear) // which fails when it is closed
}

// hear runs under the epoll descriptor's read lock. It reports false to be called again once a direction is ready.
func (p *parker) hear(fd uintptr) bool {
	for {
		n, err := unix.EpollWait(int(fd), p.events, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case n <= 0:
			return err != nil
		}
		for _, e := range p.events[:n] {
			if f := p.seated(uint32(e.Fd), uint32(e.Pad)); f != nil {
				f.wake()
			}
		}
	}
}

func (p *parker) seated(i, turn uint32) *flow {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.seats[i]; s.turn == turn {
		return s.f
	}
	return nil
}

// watchFor has f woken when fd has something to read, once.
func (p *parker) watchFor(f *flow, fd int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT}
	op := unix.EPOLL_CTL_MOD
	p.mu.Lock()
	if f.state.Load() == flowEnded { // it was woken meanwhile, and has left or is about to
		p.mu.Unlock()
		return errGone
	}
	if f.seat == 0 {
		op = unix.EPOLL_CTL_ADD
		p.sit(f)
	}
	e.Fd, e.Pad = int32(f.seat), int32(p.seats[f.seat].turn)
	p.mu.Unlock()
	err := unix.EpollCtl(p.fd, op, fd, &e)
	if err != nil && op == unix.EPOLL_CTL_ADD {
		p.leave(f)
	}
	return err
}

// sit gives f a seat. p.mu is held.
func (p *parker) sit(f *flow) {
	if n := len(p.empty); n > 0 {
		f.seat = p.empty[n-1]
		p.empty = p.empty[:n-1]
		p.seats[f.seat].f = f
		return
	}
	f.seat = uint32(len(p.seats))
	p.seats = append(p.seats, seat{f: f})
}

// leave forgets a direction that has ended.
func (p *parker) leave(f *flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.seat == 0 {
		return
	}
	p.seats[f.seat] = seat{turn: p.seats[f.seat].turn + 1}
	p.empty = append(p.empty, f.seat)
	f.seat = 0
}

// heats notes that f waits in its goroutine.
func (p *parker) heats(f *flow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hot = append(p.hot, heat{f, f.read.Load()})
}

// cool sends those to rest that have read nothing since the last time. It is called once a beat.
func (p *parker) cool() {
	p.beats.Add(1)
	p.mu.Lock()
	var idle []*flow
	kept := p.hot[:0]
	for _, h := range p.hot {
		switch read := h.f.read.Load(); {
		case h.f.state.Load() == flowEnded:
		case read == h.read:
			idle = append(idle, h.f)
		default:
			kept = append(kept, heat{h.f, read})
		}
	}
	clear(p.hot[len(kept):])
	p.hot = kept
	p.mu.Unlock()
	for _, f := range idle {
		f.interrupt()
	}
}

func (p *parker) close() error { return p.file.Close() }
