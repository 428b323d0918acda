package pay

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// clerk counts its turns.
type clerk struct {
	affair
	t     testing.TB
	pause time.Duration
	busy  atomic.Bool
	turns atomic.Int64
	seen  atomic.Int64 // of want, when the last turn began
	want  atomic.Int64
	work  func()
}

func newClerk(t testing.TB, r *rounds, pause time.Duration) *clerk {
	c := &clerk{affair: affair{of: r}, t: t, pause: pause}
	c.who = c
	return c
}

func (c *clerk) look(context.Context, time.Time) time.Duration {
	if c.busy.Swap(true) {
		c.t.Error("two turns at once")
	}
	c.seen.Store(c.want.Load())
	c.turns.Add(1)
	if c.work != nil {
		c.work()
	}
	c.busy.Store(false)
	return c.pause
}

func TestTurnsComeWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRounds()
		quick, slow := newClerk(t, r, 10*time.Millisecond), newClerk(t, r, time.Second)
		quick.begin()
		slow.begin()
		time.Sleep(10*time.Second + time.Millisecond)
		if q, s := quick.turns.Load(), slow.turns.Load(); q != 1001 || s != 11 {
			t.Errorf("%d and %d turns", q, s)
		}
		slow.ring()
		synctest.Wait()
		if n := slow.turns.Load(); n != 12 {
			t.Errorf("%d turns after it was rung", n)
		}
		quick.end()
		time.Sleep(9500 * time.Millisecond)
		if q, s := quick.turns.Load(), slow.turns.Load(); q != 1001 || s != 21 {
			t.Errorf("%d and %d turns, after the end of one", q, s)
		}
		slow.end()
		if len(r.later) != 0 || r.open != 0 {
			t.Errorf("%d on the agenda, %d open", len(r.later), r.open)
		}
		slow.ring()
		slow.begin()
		slow.end()
		synctest.Wait()
		if n := slow.turns.Load(); n != 21 {
			t.Error("a turn after the end")
		}
	})
}

// TestWhoeverRingsHasToWait: a peer that sends all the time does not get all the time.
func TestWhoeverRingsHasToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRounds()
		c := newClerk(t, r, time.Hour)
		c.begin()
		for range 10_000 {
			c.ring()
			time.Sleep(time.Millisecond)
		}
		c.want.Store(1)
		c.ring()
		time.Sleep(time.Second)
		if n := c.turns.Load(); n < 10*stepRate || n > 10*stepRate+stepBurst+2 {
			t.Errorf("%d turns in 10 s", n)
		}
		if c.seen.Load() != 1 {
			t.Error("what was rung for last was never looked at")
		}
		c.end()
	})
}

// TestNoRingIsLost has many affairs rung by many, that begin and end in any order. What was rung for is seen before the end of time, turns of
// one never overlap, and there are none after its end.
func TestNoRingIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRounds()
		clerks := make([]*clerk, rapid.IntRange(1, 40).Draw(rt, "affairs"))
		seed := rapid.Uint64().Draw(rt, "seed")
		for i := range clerks {
			clerks[i] = newClerk(t, r, time.Hour)
			if i%3 == 0 {
				clerks[i].work = func() { time.Sleep(time.Duration(i) * 10 * time.Microsecond) }
			}
		}
		var wg sync.WaitGroup
		for i, c := range clerks {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(i)))
				c.begin()
				for range rng.IntN(60) {
					clerks[rng.IntN(len(clerks))].ring()
					c.want.Add(1)
					c.ring()
				}
				for late := time.Now().Add(10 * time.Second); c.seen.Load() != c.want.Load(); time.Sleep(100 * time.Microsecond) {
					if time.Now().After(late) {
						t.Errorf("rung %d times, and only %d seen", c.want.Load(), c.seen.Load())
						break
					}
				}
				c.end()
				n := c.turns.Load()
				c.ring()
				if c.busy.Load() || c.turns.Load() != n {
					t.Error("a turn after the end")
				}
			})
		}
		wg.Wait()
		if len(r.later) != 0 || r.open != 0 {
			rt.Fatalf("%d on the agenda, %d open", len(r.later), r.open)
		}
	})
}

func TestRingingDoesNotAllocate(t *testing.T) {
	r := newRounds()
	c := newClerk(t, r, time.Hour)
	c.state.Store(idle)
	if n := testing.AllocsPerRun(1000, func() {
		c.ring()
		r.ready.Store(nil)
		c.state.Store(idle)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestChores: what a chore has left to do is done in a turn, with its context alive; the end stops those that are under way.
func TestChores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c chores
		rung, done := 0, 0
		quick := func(ctx context.Context) func() {
			time.Sleep(time.Second)
			return func() {
				if ctx.Err() != nil {
					t.Error("its context has ended")
				}
				done++
			}
		}
		ring := func() { rung++ }
		c.start(t.Context(), ring, quick)
		c.report()
		time.Sleep(time.Second)
		synctest.Wait()
		if rung != 1 || done != 0 {
			t.Errorf("rung %d times, %d done", rung, done)
		}
		c.report()
		if done != 1 || c.stops != nil {
			t.Errorf("%d done, %d not forgotten", done, len(c.stops))
		}
		c.start(t.Context(), ring, func(ctx context.Context) func() {
			<-ctx.Done()
			return func() { t.Error("done after the end") }
		})
		c.end()
		if rung != 2 {
			t.Errorf("rung %d times", rung)
		}
	})
}
