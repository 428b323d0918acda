package pay

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"paygate/proxy"
)

func TestFloodLimitForgivesBurstsOnly(t *testing.T) {
	f := newFloodLimit()
	now := time.Unix(1_800_000_000, 0)
	for i := range floodBurst {
		if !f.allow(now) {
			t.Fatalf("message %d of a burst was refused", i)
		}
	}
	if f.allow(now) {
		t.Error("a burst beyond the limit was allowed")
	}
	if !f.allow(now.Add(time.Second)) {
		t.Error("a message after a second's rest was refused")
	}
	steady := newFloodLimit()
	for i := range 1000 {
		if now = now.Add(time.Second); !steady.allow(now) {
			t.Fatalf("message %d at one a second was refused", i)
		}
	}
}

func TestSpeedIgnoresStalls(t *testing.T) {
	for _, c := range []struct {
		name   string
		comes  func(tick int) (bytes int64, dry bool) // in 50 ms
		lo, hi int64
	}{
		{"steady", func(int) (int64, bool) { return 500_000, false }, 9_900_000, 10_100_000},
		{"stalls of 600 ms for want of credit", func(i int) (int64, bool) {
			return []int64{500_000, 0}[min(1, i%16/4)], i%16 >= 3
		}, 9_900_000, 10_100_000},
		{"stalls whose end nobody sees", func(i int) (int64, bool) {
			return []int64{500_000, 0}[min(1, i%10/7)], i%10 >= 7
		}, 9_900_000, 10_100_000},
		{"pauses with credit left", func(i int) (int64, bool) {
			return []int64{500_000, 0}[min(1, i%40/20)], false
		}, 9_000_000, 10_100_000},
		{"nothing", func(int) (int64, bool) { return 0, false }, 0, 0},
		{"all of it in an instant", func(i int) (int64, bool) { return []int64{500_000, 0}[min(1, i)], i > 0 }, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s speed
			now, total := time.Unix(1_800_000_000, 0), int64(0)
			s.sample(now, total, true)
			for i := range 400 {
				now = now.Add(50 * time.Millisecond)
				n, dry := c.comes(i)
				total += n
				s.sample(now, total, dry)
			}
			if r := s.rate(); r < c.lo || r > c.hi {
				t.Errorf("measured %d bytes a second instead of %d to %d", r, c.lo, c.hi)
			}
		})
	}
}

func TestT90IsTheSlowEnd(t *testing.T) {
	var s slowEnd
	if got := s.t90(time.Second); got != time.Second {
		t.Errorf("unmeasured: %v", got)
	}
	for i := range 100 {
		s.add(time.Duration(i%10+1) * 100 * time.Millisecond)
	}
	if got := s.t90(time.Second); got < 900*time.Millisecond {
		t.Errorf("t90 is %v", got)
	}
	for _, c := range []struct{ slowest, want time.Duration }{
		{2 * time.Second, 1200 * time.Millisecond},
		{5 * time.Second, 3 * time.Second},
		{time.Hour, slowestMost},
	} {
		s.add(c.slowest)
		if got := s.t90(time.Second); got != c.want {
			t.Errorf("one in %d that takes %v: t90 is %v", slowEndMemory, c.slowest, got)
		}
	}
}

// closingLink counts how often it is told to close: once a step of a conversation that has to end.
type closingLink struct {
	simLink
	steps atomic.Int64
}

func (l *closingLink) Close(string) { l.steps.Add(1) }

func TestStepsAreBoundedWhateverThePeerSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		l := &closingLink{simLink: simLink{s: s, remote: newPeerAddr}}
		c := s.seller.open(l)
		c.dismiss("a test")
		ctx, cancel := context.WithCancel(t.Context())
		s.wg.Go(func() { c.Run(ctx) })
		const lasts = 5 * time.Second
		for range lasts / (100 * time.Microsecond) {
			c.Notify(proxy.Event{Kind: proxy.RemoteInterested})
			time.Sleep(100 * time.Microsecond)
		}
		cancel()
		s.wg.Wait()
		most := int64(stepBurst + stepRate*lasts/time.Second)
		if got := l.steps.Load(); got > most || got < most*9/10 {
			t.Errorf("%d steps in %v, want %d", got, lasts, most)
		}
	})
}
