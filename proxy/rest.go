package proxy

import (
	"errors"
	"os"
	"time"
)

// What a direction is doing. Who puts it from flowResting to flowRunning starts its goroutine.
const (
	flowRunning int32 = iota
	flowResting       // it has no goroutine, and waits for something to read or for wake
	flowEnded
)

// errRests says that a direction has nothing to read, keeps nothing on its stack, and may do without its goroutine.
var errRests = errors.New("nothing to read")

// live is what a direction's goroutine does, from the beginning or from where it went to rest.
func (f *flow) live() {
	for {
		err := f.work()
		if !errors.Is(err, errRests) {
			f.letGo()
			f.state.Store(flowEnded)
			f.s.parker.leave(f)
			f.s.legEnded(f, err)
			f.s.legOver()
			return
		}
		if f.rest() {
			return
		}
	}
}

// work goes on where the direction stands.
func (f *flow) work() error {
	if f.blind {
		return f.copyOn()
	}
	return f.relayAll()
}

// mayRest reports whether a direction that has nothing to read should give up its goroutine. Those that are called again and
// again keep theirs; until the parker sees that nothing comes any more.
func (f *flow) mayRest() bool {
	p := f.s.parker
	if p == nil || f.hot || f.stays.Load() {
		return false
	}
	if now := p.beats.Load(); now != f.beat {
		f.beat, f.waits = now, 0
	}
	if f.waits++; f.waits <= restful {
		return true
	}
	f.hot = true
	p.heats(f)
	return false
}

// rest has the parker start the direction again when there is something to read. It reports false if the direction has to go on
// by itself; if it reports true nothing of it may be touched any more.
func (f *flow) rest() bool {
	f.state.Store(flowResting)
	var failed error
	err := f.raw.Control(func(fd uintptr) { failed = f.s.parker.watchFor(f, int(fd)) })
	if err == nil && failed == nil && !f.stays.Load() { // if hurry comes from now on, it sees that the direction rests
		return true
	}
	return !f.state.CompareAndSwap(flowResting, flowRunning) // if it is closed, reading will tell
}

// wake starts a direction that rests; any other it leaves alone.
func (f *flow) wake() {
	if f.state.CompareAndSwap(flowResting, flowRunning) {
		f.s.parker.running.Go(f.live)
	}
}

// interrupt ends a direction's wait in its goroutine, for it to rest.
func (f *flow) interrupt() {
	s := f.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lingers && s.reason == "" {
		f.called.Store(true)
		_ = f.src.conn.SetReadDeadline(past) // fails only if it is closed
	}
}

// interrupted reports whether err is an interruption, after which reading may go on.
func (f *flow) interrupted(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) || !f.called.Swap(false) {
		return false
	}
	f.hot, f.waits = false, 0
	s := f.s
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lingers || f.src.conn.SetReadDeadline(time.Time{}) == nil
}

// hurry gives the direction that is left when the other has ended its last while, in which it keeps its goroutine.
func (s *Session) hurry(f *flow) error {
	f.stays.Store(true)
	s.mu.Lock()
	s.lingers = true
	err := f.src.conn.SetReadDeadline(time.Now().Add(linger))
	s.mu.Unlock()
	f.wake()
	return err
}
