package pay

import (
	"sync/atomic"
	"time"
)

// Waits is how long buyers have waited for their payments since the start, added up over all connections: from saying who
// they are to their first credit, and later, whenever they asked for more than they had paid for. What the client itself
// or a rule's upload makes them wait is not in Later.
type Waits struct{ First, Later time.Duration }

// waits sums them up for all connections.
type waits struct{ first, later atomic.Int64 }

// Waits returns how long buyers have waited so far.
func (d *Desk) Waits() Waits {
	return Waits{time.Duration(d.waits.first.Load()), time.Duration(d.waits.later.Load())}
}

// stopwatch measures the waits of one buyer. It belongs to the conversation's turns.
type stopwatch struct {
	since  time.Time // zero: it does not wait
	funded bool      // it has had credit on this connection
	sum    Waits
}

// begin starts it at t, unless it runs.
func (w *stopwatch) begin(t time.Time) {
	if w.since.IsZero() {
		w.since = t
	}
}

// end stops it, if it runs, and returns what it has measured.
func (w *stopwatch) end(now time.Time) (waited Waits) {
	if w.since.IsZero() {
		return Waits{}
	}
	d := max(0, now.Sub(w.since))
	w.since = time.Time{}
	if w.funded {
		waited.Later = d
	} else {
		waited.First = d
	}
	w.sum.First += waited.First
	w.sum.Later += waited.Later
	return waited
}

// reckon measures whether the buyer waits for a payment, after a step that began with the facts f.
func (s *seller) reckon(f facts) {
	if s.stock.buyer.IsZero() || s.free {
		return
	}
	now := time.Now()
	held := s.c.box.starvedSince()
	switch {
	case !f.remoteInterested:
		s.lap(now)
	case s.mode != opened:
		s.watch.begin(now)
	case !held.IsZero() && s.c.avail.Load() < block:
		s.watch.begin(held)
	default:
		if f.starved && held.IsZero() {
			s.watch.begin(f.starvedAt) // it was held and has gone on in this very step
		}
		s.lap(now)
	}
	s.watch.funded = s.watch.funded || s.mode == opened && s.stock.left(sold) > 0
}

// lap ends a wait and adds it to the sum of all.
func (s *seller) lap(now time.Time) {
	waited := s.watch.end(now)
	s.c.desk.waits.first.Add(int64(waited.First))
	s.c.desk.waits.later.Add(int64(waited.Later))
}
