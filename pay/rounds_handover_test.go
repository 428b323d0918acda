package pay

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestTheLastRoundOfOneIsNoLossToTheNext: while one that goes round is told to stop, another has begun already; what the
// first has heard of and does not come to, the second does.
func TestTheLastRoundOfOneIsNoLossToTheNext(t *testing.T) {
	for range 100 {
		synctest.Test(t, func(t *testing.T) {
			r := newRounds()
			stop, ended := make(chan struct{}), make(chan struct{})
			go func() { defer close(ended); r.goRound(stop) }()
			synctest.Wait()
			c := newClerk(t, r, time.Second)
			c.begin()
			synctest.Wait()
			close(stop)
			<-ended
			time.Sleep(10*time.Second + time.Millisecond)
			if n := c.turns.Load(); n < 10 {
				t.Errorf("%d turns in 10 s", n)
			}
			c.end()
		})
		if t.Failed() {
			return
		}
	}
}
