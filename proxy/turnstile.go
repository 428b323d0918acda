package proxy

import (
	"errors"
	"sync"
	"time"

	"paygate/proxy/wire"
)

// shutPatience is how long Shut waits for the client to serve what it was asked for.
const shutPatience = 20 * time.Second

// verdict is what becomes of a frame of the stream.
type verdict uint8

const (
	pass  verdict = iota
	drop          // it is taken out of the stream
	apart         // it is dealt with when all before it has been written
	flood         // its sender asks for more than anybody holds
)

// injector is the part of a sender that takes frames of our own.
type injector interface {
	put(frames []byte) error
	kick()
}

// turnstile applies a valve to one gated session: it lets requests through as the gate allows, keeps account of what
// the client was asked for, and says to both sides what the valve wants said.
//
// Its lock is the session's own, and nothing that is called under it waits: the gate, and putting frames in a queue.
// Frames are put under the lock, so that both sides hear of things in the order in which they were decided; they
// are written after it.
type turnstile struct {
	gate     Gate
	toRemote injector
	toClient injector
	notify   func(Event)
	fail     func(error)

	mu      sync.Mutex
	valve   valve
	limit   int    // requests outstanding at the client, at most maxAsked
	asked   *asked // nil: nothing is outstanding, and has not been for a while
	held    held
	starved bool // the gate has refused, and nobody has resumed since
	over    bool
	timer   *time.Timer // gives up on draining
	shuts   int         // counts them, so that a late timer is known
	frame   [17]byte    // scratch
}

// flush is what is left to do after the lock was let go.
type flush struct{ starved bool }

func (t *turnstile) after(f flush) {
	t.toClient.kick()
	t.toRemote.kick()
	if f.starved {
		t.notify(Event{Kind: Starved})
	}
}

// take applies an input to the valve and says what it wants said.
func (t *turnstile) take(in input) {
	t.mu.Lock()
	f := t.takeLocked(in)
	t.mu.Unlock()
	t.after(f)
}

func (t *turnstile) takeLocked(in input) flush {
	if t.over {
		return flush{}
	}
	was := t.valve.mode
	t.say(t.valve.apply(in))
	switch t.valve.mode {
	case opened:
		return t.fill()
	case released:
		if was != released {
			t.passHeld()
			t.forgetAsked()
		}
	case shutting:
		if was != shutting {
			t.await()
		}
	}
	return flush{}
}

// await closes a shutting valve when nothing is outstanding, now or later.
func (t *turnstile) await() {
	if t.outstanding() == 0 {
		t.say(t.valve.apply(drained))
		return
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	t.shuts++
	shut := t.shuts
	t.timer = time.AfterFunc(shutPatience, func() { t.giveUp(shut) })
}

// giveUp ends a drain that takes too long.
func (t *turnstile) giveUp(shut int) {
	t.mu.Lock()
	if !t.over && t.valve.mode == shutting && t.shuts == shut {
		t.forgetAsked()
		t.say(t.valve.apply(drained))
	}
	t.mu.Unlock()
	t.after(flush{})
}

// say carries out what the valve wants.
func (t *turnstile) say(what say) {
	if what&sayChoke != 0 {
		t.held.clear()
		t.put(t.toRemote, wire.FrameChoke())
	}
	if what&sayUnchoke != 0 {
		t.put(t.toRemote, wire.FrameUnchoke())
	}
	if what&sayInterested != 0 {
		t.put(t.toClient, wire.FrameInterested())
	}
	if what&sayNotInterested != 0 {
		t.put(t.toClient, wire.FrameNotInterested())
	}
	if what&forgetAsked != 0 {
		t.forgetAsked()
	}
}

func (t *turnstile) put(to injector, frame []byte) {
	if err := to.put(frame); err != nil && !errors.Is(err, errSenderEnd) {
		t.fail(err)
	}
}

// request decides about a request of the remote.
func (t *turnstile) request(b wire.Block) verdict {
	t.mu.Lock()
	v, f := t.requestLocked(b)
	t.mu.Unlock()
	if f.starved {
		t.after(f)
	}
	return v
}

func (t *turnstile) requestLocked(b wire.Block) (verdict, flush) {
	switch {
	case t.valve.mode == released:
		return pass, flush{}
	case !t.valve.toldUnchoked, b.Length == 0, b.Length > maxBlock, t.asked.find(b) >= 0:
		return drop, flush{}
	case t.valve.mode == opened && t.held.live == 0 && t.outstanding() < t.limit && !t.starved:
		if t.gate.Request(int(b.Length)) {
			t.ask(b)
			return pass, flush{}
		}
		t.starved = true
		return t.hold(b), flush{starved: true}
	}
	return t.hold(b), flush{}
}

func (t *turnstile) hold(b wire.Block) verdict {
	if !t.held.push(b) {
		return flood
	}
	return drop
}

// fill passes held requests to the client, oldest first.
func (t *turnstile) fill() flush {
	for t.valve.mode == opened && !t.starved && t.outstanding() < t.limit {
		b, ok := t.held.front()
		if !ok {
			break
		}
		if t.asked.find(b) < 0 {
			if !t.gate.Request(int(b.Length)) {
				t.starved = true
				return flush{starved: true}
			}
			t.ask(b)
			t.put(t.toClient, wire.AppendRequest(t.frame[:0], b))
		}
		t.held.pop()
	}
	return flush{}
}

// cancel decides about a cancel of the remote.
func (t *turnstile) cancel(b wire.Block) verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held.cancel(b) {
		return drop
	}
	if t.asked.remove(b) {
		t.gate.Release(int(b.Length))
	}
	return pass
}

// served tells of pieces that were written to the remote.
func (t *turnstile) served(blocks []wire.Block) {
	t.mu.Lock()
	f := t.servedLocked(blocks)
	t.mu.Unlock()
	t.after(f)
}

func (t *turnstile) servedLocked(blocks []wire.Block) flush {
	for _, b := range blocks {
		reserved := t.asked.remove(b)
		t.gate.Moved(int(b.Length), true, reserved)
	}
	if t.valve.mode == shutting && t.outstanding() == 0 {
		return t.takeLocked(drained)
	}
	return t.fill()
}

// open lets requests through.
func (t *turnstile) open() {
	t.mu.Lock()
	t.starved = false
	f := t.takeLocked(doOpen)
	t.mu.Unlock()
	t.after(f)
}

// resume tries held requests again.
func (t *turnstile) resume() {
	t.mu.Lock()
	t.starved = false
	f := t.fill()
	t.mu.Unlock()
	t.after(f)
}

// passHeld sends what is held without asking anybody.
func (t *turnstile) passHeld() {
	for b, ok := t.held.front(); ok; b, ok = t.held.front() {
		t.put(t.toClient, wire.AppendRequest(t.frame[:0], b))
		t.held.pop()
	}
}

// forgetAsked frees the reservations of what the client will not serve.
func (t *turnstile) forgetAsked() {
	if t.asked == nil {
		return
	}
	for _, b := range t.asked.blocks[:t.asked.n] {
		t.gate.Release(int(b.Length))
	}
	t.asked.n = 0
}

// reqq bounds what is outstanding by what the client says it takes, less an eighth: Transmission drops the last
// request that it announces, without a word, and would hang.
func (t *turnstile) reqq(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit = max(1, min(n-n/8, maxAsked))
}

func (t *turnstile) outstanding() int {
	if t.asked == nil {
		return 0
	}
	return t.asked.n
}

// ask notes a request that passes to the client.
func (t *turnstile) ask(b wire.Block) {
	if t.asked == nil {
		t.asked = new(asked)
	}
	t.asked.add(b)
}

// trim gives back tables that are empty. It is called now and then.
func (t *turnstile) trim() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.outstanding() == 0 {
		t.asked = nil
	}
	if t.held.live == 0 {
		t.held = held{}
	}
}

// snapshot is the mode and what is outstanding.
func (t *turnstile) snapshot() (mode, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.valve.mode, t.outstanding()
}

// end frees all reservations. Nothing is said any more.
func (t *turnstile) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.forgetAsked()
	t.held.clear()
	if t.timer != nil {
		t.timer.Stop()
	}
}
