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
	var s speed
	now, total := time.Unix(1_800_000_000, 0), int64(0)
	s.sample(now, total)
	for i := range 200 {
		now = now.Add(250 * time.Millisecond)
		if i%4 == 0 { // three of four intervals are stalls
			total += 2_500_000
		}
		s.sample(now, total)
	}
	if r := s.rate(); r < 9_000_000 || r > 11_000_000 {
		t.Errorf("measured %d bytes a second instead of 10,000,000", r)
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
