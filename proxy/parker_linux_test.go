package proxy

import (
	"sync"
	"testing"
)

// parked gives a session that nobody runs a parker.
func parked(t *testing.T, s *Session) {
	t.Helper()
	var running sync.WaitGroup
	p, err := newParker(&running)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	})
	s.parker = p
}

// TestWhoHasEndedTakesNoSeat, even if the goroutine that lets it rest comes late.
func TestWhoHasEndedTakesNoSeat(t *testing.T) {
	s, _, _ := bareSession(t, newDesk(Watched, 0))
	parked(t, s)
	f := &s.out
	f.state.Store(flowEnded) // as woken by the session's end
	s.parker.leave(f)
	var watched error
	if err := f.raw.Control(func(fd uintptr) { watched = s.parker.watchFor(f, int(fd)) }); err != nil {
		t.Fatal(err)
	}
	if watched == nil || f.seat != 0 || len(s.parker.seats) > 1 {
		t.Errorf("%v; it has seat %d of %d", watched, f.seat, len(s.parker.seats))
	}
}
