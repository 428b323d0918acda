package pay

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	stepRate  = 200 // looks at everything a second, whatever the peer sends
	stepBurst = 40
	// turnsAtOnce bounds the conversations that look at their affairs at the same time: most wait for the disk then.
	turnsAtOnce = 128
)

// rounds looks after all conversations of a desk, so that one that has nothing to do costs no goroutine. Each takes its
// turn when something has happened or its time has come.
type rounds struct {
	began time.Time
	ready atomic.Pointer[affair] // a stack of those whose turn has come
	poke  chan struct{}          // something is ready, or due earlier than anything before

	mu    sync.Mutex
	later agenda        // mu
	open  int           // mu: affairs that have begun and not ended
	stop  chan struct{} // mu: ends the one that goes round; nil while nothing is open
	ended chan struct{} // mu: closed by it at its end
}

func newRounds() *rounds { return &rounds{began: time.Now(), poke: make(chan struct{}, 1)} }

// What an affair is doing. Only the last is for good.
const (
	notBegun int32 = iota
	idle           // until it is rung, or due
	queued         // its turn will come
	acting         // this is its turn
	again          // this is its turn, and it has been rung since
	pausing        // until it is due, whoever rings
	over
)

// looker is whose affairs they are.
type looker interface {
	// look does what is to be done, and returns how long there is nothing more to do unless it is rung.
	look(ctx context.Context, now time.Time) time.Duration
}

// affair is what one looker is called for, one turn at a time.
type affair struct {
	of    *rounds
	who   looker
	state atomic.Int32
	place int32      // of.mu: in the agenda, from 1 on; 0: not there
	turns sync.Mutex // held in a turn
	steps bucket     // turns
	next  *affair    // on the stack

	due time.Duration // of.mu: since of.began
}

// begin has the affair take its first turn, and others from then on.
func (a *affair) begin() {
	a.steps = bucket{burst: stepBurst, rate: stepRate}
	if a.state.CompareAndSwap(notBegun, queued) {
		a.of.join()
		a.of.push(a)
	}
}

// end waits for the turn that may be under way. There are none afterwards.
func (a *affair) end() {
	a.turns.Lock()
	was := a.state.Swap(over)
	a.turns.Unlock()
	if was != notBegun && was != over {
		a.of.leave(a)
	}
}

// ring makes it the affair's turn, without waiting for it, allocating or taking a lock.
func (a *affair) ring() {
	for {
		switch {
		case a.state.CompareAndSwap(idle, queued):
			a.of.push(a)
			return
		case a.state.CompareAndSwap(acting, again):
			return
		}
		switch a.state.Load() {
		case idle, acting: // only just
		default:
			return
		}
	}
}

// turn looks after the affair once. Whoever rings all the time has to wait for it.
func (a *affair) turn(ctx context.Context) {
	a.turns.Lock()
	defer a.turns.Unlock()
	if !a.state.CompareAndSwap(queued, acting) {
		return // it is over
	}
	now := time.Now()
	if !a.steps.allow(now) {
		a.state.Store(pausing)
		a.of.wait(a, time.Second/stepRate)
		return
	}
	a.of.wait(a, a.who.look(ctx, now))
	if !a.state.CompareAndSwap(acting, idle) {
		a.state.Store(queued)
		a.of.push(a)
	}
}

// push makes a queued affair's turn come.
func (r *rounds) push(a *affair) {
	for {
		top := r.ready.Load()
		a.next = top
		if r.ready.CompareAndSwap(top, a) {
			break
		}
	}
	r.stir()
}

func (r *rounds) stir() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// take empties the stack and returns its affairs, the oldest first.
func (r *rounds) take() []*affair {
	var list []*affair
	for a := r.ready.Swap(nil); a != nil; a = a.next {
		list = append(list, a)
	}
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// wait puts an affair on the agenda.
func (r *rounds) wait(a *affair, pause time.Duration) {
	r.mu.Lock()
	a.due = time.Since(r.began) + pause
	if a.place == 0 {
		heap.Push(&r.later, a)
	} else {
		heap.Fix(&r.later, int(a.place)-1)
	}
	first := a.place == 1
	r.mu.Unlock()
	if first {
		r.stir()
	}
}

// dawn queues what is due, and returns how long it is until something else is.
func (r *rounds) dawn() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Since(r.began)
	for len(r.later) > 0 && r.later[0].due <= now {
		a := heap.Pop(&r.later).(*affair)
		if a.state.CompareAndSwap(pausing, queued) {
			r.push(a)
		} else {
			a.ring()
		}
	}
	if len(r.later) == 0 {
		return time.Hour
	}
	return r.later[0].due - now
}

// join starts going round with the first affair, leave ends it with the last.
func (r *rounds) join() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open++; r.open > 1 {
		return
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	r.stop, r.ended = stop, ended
	go func() { defer close(ended); r.goRound(stop) }()
}

func (r *rounds) leave(a *affair) {
	r.mu.Lock()
	if a.place > 0 {
		heap.Remove(&r.later, int(a.place)-1)
	}
	r.open--
	last, stop, ended := r.open == 0, r.stop, r.ended
	r.mu.Unlock()
	if last {
		close(stop)
		<-ended
	}
}

// goRound gives turns until stop is closed.
func (r *rounds) goRound(stop <-chan struct{}) {
	var turns sync.WaitGroup
	defer turns.Wait()
	defer r.stir() // another may have begun, and what has stirred this one is for that one, too
	places := make(chan struct{}, turnsAtOnce)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	ctx := context.Background() // of no connection: what was begun is written down
	for {
		for _, a := range r.take() {
			places <- struct{}{}
			turns.Go(func() { a.turn(ctx); <-places })
		}
		timer.Reset(r.dawn())
		select {
		case <-stop:
			return
		case <-r.poke:
		case <-timer.C:
		}
	}
}

// agenda is a heap by time.
type agenda []*affair

func (g agenda) Len() int           { return len(g) }
func (g agenda) Less(i, j int) bool { return g[i].due < g[j].due }
func (g agenda) Swap(i, j int) {
	g[i], g[j] = g[j], g[i]
	g[i].place, g[j].place = int32(i)+1, int32(j)+1
}

// Push is for container/heap.
func (g *agenda) Push(x any) {
	a := x.(*affair)
	*g = append(*g, a)
	a.place = int32(len(*g))
}

// Pop is for container/heap.
func (g *agenda) Pop() any {
	old := *g
	n := len(old) - 1
	a := old[n]
	old[n] = nil
	*g, a.place = old[:n], 0
	return a
}
