package proxy

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"paygate/proxy/mse"
)

// maxQueue bounds the bytes that wait to be injected into one stream.
const maxQueue = 256 << 10

// keptQueue is how much room an empty queue may keep.
const keptQueue = 4 << 10

var (
	errQueueFull = errors.New("too much waits to be sent")
	errSenderEnd = errors.New("the stream has ended")
)

// sender owns the writing half of one connection. The relay loop writes runs of frames; anybody may inject frames of
// our own, which go out between two frames of the relay. An injector never waits for the socket: it queues, and takes
// the right to write only if it is free; whoever holds it looks at the queue again when letting go.
//
// What was queued before the relay starts on a frame is written before that frame.
type sender struct {
	conn   *net.TCPConn
	raw    syscall.RawConn
	cipher *mse.Stream // nil: bare
	// spawn runs a function in a goroutine that the session waits for, and reports false if the session is over.
	spawn func(func()) bool
	// fail ends the session.
	fail func(error)

	mu     sync.Mutex // the right to write
	mid    bool       // mu: the relay stands inside a frame
	tail   []byte     // mu: rest of an injected batch of which a part has gone out
	spare  []byte     // mu
	step   func(uintptr) bool
	b      []byte // arguments and results of step
	wait   bool
	err    error
	sealed []byte       // mu: encrypted, and not yet taken by the socket; it goes before everything else
	lost   error        // mu: of the socket under a cipher, which cannot go on after one
	busy   atomic.Bool  // a write waits for the socket
	sent   atomic.Int64 // bytes that the socket took
	queued atomic.Bool  // queue or tail hold something

	qmu    sync.Mutex
	queue  []byte // qmu
	barred bool   // qmu: injections wait, see admit
	ended  bool   // qmu
}

// init readies s to write to a side. The stream counts as inside a frame until the handshake is through.
func (s *sender) init(to side, spawn func(func()) bool, fail func(error)) error {
	s.spawn, s.fail, s.mid = spawn, fail, true
	s.step = s.writeSome
	return s.turn(to)
}

// turn makes s write to another side. Nothing may have been written but the handshake's first words.
func (s *sender) turn(to side) error {
	raw, err := to.conn.SyscallConn()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.raw, s.cipher = to.conn, raw, to.cipher
	if s.cipher != nil {
		s.cipher.SetSink(s)
	}
	return err
}

// put queues a batch of whole frames. Call kick afterwards, outside of any lock that a relay loop needs.
func (s *sender) put(frames []byte) error {
	s.qmu.Lock()
	defer s.qmu.Unlock()
	switch {
	case s.ended:
		return errSenderEnd
	case len(s.queue)+len(frames) > maxQueue:
		return errQueueFull
	}
	s.queue = append(s.queue, frames...)
	s.queued.Store(true)
	return nil
}

// kick writes what is queued, as far as that is possible without waiting.
func (s *sender) kick() {
	for s.queued.Load() && s.mu.TryLock() {
		stop := s.mid
		if !stop {
			full, err := s.drain(false)
			if full && err == nil && s.spawn(s.finish) {
				return // which has the right to write now
			}
			stop = full || err != nil
			s.giveUp(err)
		}
		s.mu.Unlock()
		if stop || !s.due() { // looked at last: whoever queued before had to leave the writing to us
			return
		}
	}
}

// finish writes on, waiting for the socket, with the right to write that its starter took.
func (s *sender) finish() {
	_, err := s.drain(true)
	s.giveUp(err)
	s.mu.Unlock()
	if err == nil {
		s.kick()
	}
}

func (s *sender) giveUp(err error) {
	if err != nil {
		s.fail(err)
	}
}

// relay writes a run of the stream. cut is the first place in run where a frame begins or the last one ends, -1 if there is none;
// mid tells whether run ends inside a frame.
func (s *sender) relay(run []byte, cut int, mid bool) error {
	s.mu.Lock()
	err := s.relayLocked(run, cut, mid)
	s.mu.Unlock()
	if err == nil {
		s.kick()
	}
	return err
}

func (s *sender) relayLocked(run []byte, cut int, mid bool) error {
	if len(s.tail) > 0 {
		if _, err := s.drain(true); err != nil {
			return err
		}
	}
	if cut >= 0 && s.queued.Load() {
		if err := s.write(run[:cut]); err != nil {
			return err
		}
		if _, err := s.drain(true); err != nil {
			return err
		}
		run = run[cut:]
	}
	err := s.write(run)
	s.mid = mid
	return err
}

// drain writes the queue. full reports that the socket took no more; that happens only if wait is false.
func (s *sender) drain(wait bool) (full bool, err error) {
	for {
		if len(s.tail) == 0 && !s.fetch() {
			err := s.unseal(wait)
			return len(s.sealed) > 0 && err == nil, err
		}
		n, err := s.attempt(s.tail, wait)
		s.tail = s.tail[n:]
		if err != nil || len(s.tail) > 0 {
			return err == nil, err
		}
	}
}

// fetch moves the queue to tail and reports whether there was anything that may go out.
func (s *sender) fetch() bool {
	s.qmu.Lock()
	defer s.qmu.Unlock()
	if len(s.queue) == 0 || s.barred {
		s.queued.Store(len(s.queue) > 0)
		if len(s.queue) == 0 && cap(s.queue) > keptQueue {
			s.queue, s.spare = nil, nil
		}
		return false
	}
	s.tail, s.queue, s.spare = s.queue, s.spare[:0], s.queue
	return true
}

// due reports whether the queue holds something that may go out.
func (s *sender) due() bool {
	s.qmu.Lock()
	defer s.qmu.Unlock()
	return len(s.queue) > 0 && !s.barred
}

// bar makes injections wait until admit.
func (s *sender) bar() {
	s.qmu.Lock()
	defer s.qmu.Unlock()
	s.barred = true
}

// admit lets injections through.
func (s *sender) admit() {
	s.qmu.Lock()
	s.barred = false
	s.qmu.Unlock()
	s.kick()
}

// keepalive writes a keepalive if the stream stands between two frames and nothing else waits.
func (s *sender) keepalive(frame []byte) {
	s.qmu.Lock()
	quiet := len(s.queue) == 0 && !s.barred && !s.ended
	s.qmu.Unlock()
	if !quiet || !s.mu.TryLock() {
		return
	}
	mid := s.mid || len(s.tail) > 0 || len(s.sealed) > 0
	s.mu.Unlock()
	if !mid && s.put(frame) == nil {
		s.kick()
	}
}

// tryEnd refuses injections from now on, so that raw bytes may follow, unless some wait for a frame boundary.
func (s *sender) tryEnd() (bool, error) {
	s.mu.Lock()
	var err error
	if !s.mid {
		_, err = s.drain(true)
	}
	s.qmu.Lock()
	s.ended = err == nil && len(s.queue) == 0
	ended := s.ended
	s.qmu.Unlock()
	s.mu.Unlock()
	if !ended && err == nil {
		s.kick()
	}
	return ended, err
}

// closeWrite sends what waits, then ends the stream.
func (s *sender) closeWrite() error {
	s.qmu.Lock()
	s.ended = true
	s.qmu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mid {
		if _, err := s.drain(true); err != nil {
			return err
		}
	}
	return s.conn.CloseWrite()
}

// rawBytes writes b outside of any frame.
func (s *sender) rawBytes(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(b)
}

// write writes all of b, waiting for the socket.
func (s *sender) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := s.attempt(b, true)
	return err
}

// attempt writes b, or what the socket takes of it if wait is false.
func (s *sender) attempt(b []byte, wait bool) (int, error) {
	if s.cipher != nil {
		return s.seal(b, wait)
	}
	return s.push(b, wait)
}

// seal encrypts and writes b, or what there is room for if wait is false. What has been encrypted counts as written even if
// the socket has not taken it, since nothing else can go before it.
func (s *sender) seal(b []byte, wait bool) (n int, err error) {
	if err := s.unseal(wait); err != nil {
		return 0, err
	}
	s.wait = wait
	for n < len(b) && len(s.sealed) == 0 && s.lost == nil {
		n += s.cipher.Seal(b[n:])
	}
	return n, s.lost
}

// Sealed writes what the cipher has made, and keeps what the socket does not take now.
func (s *sender) Sealed(b []byte) {
	var n int
	if n, s.lost = s.push(b, s.wait); s.lost == nil {
		s.sealed = append(s.sealed, b[n:]...)
	}
}

// unseal writes what waits of what has been encrypted.
func (s *sender) unseal(wait bool) error {
	if len(s.sealed) == 0 || s.lost != nil {
		return s.lost
	}
	var n int
	n, s.lost = s.push(s.sealed, wait)
	s.sealed = s.sealed[:copy(s.sealed, s.sealed[n:])]
	if len(s.sealed) == 0 && cap(s.sealed) > keptQueue {
		s.sealed = nil
	}
	return s.lost
}

// push writes b to the socket, or what it takes of it if wait is false.
func (s *sender) push(b []byte, wait bool) (int, error) {
	s.b, s.wait, s.err = b, wait, nil
	err := s.raw.Write(s.step)
	if err == nil {
		err = s.err
	}
	n := len(b) - len(s.b)
	s.b = nil
	s.busy.Store(false)
	return n, err
}

// writeSome runs under the descriptor's write lock. It reports false to be called again once the socket takes more.
func (s *sender) writeSome(fd uintptr) bool {
	for len(s.b) > 0 {
		n, err := writeNow(int(fd), s.b)
		switch {
		case n > 0:
			s.b = s.b[n:]
			s.sent.Add(int64(n))
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			s.busy.Store(s.wait)
			return !s.wait
		default:
			s.err = err
			return true
		}
	}
	return true
}
