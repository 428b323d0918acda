package proxy

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	l := newLimits(Config{Connections: 4, PerAddress: 2, Handshakes: 3})
	take := func(addr string, want error) *slot {
		t.Helper()
		s, err := l.inbound(netip.MustParseAddr(addr))
		if !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", addr, err, want)
		}
		return s
	}
	a := take("10.0.0.1", nil)
	b := take("::ffff:10.0.0.1", nil)
	take("10.0.0.1", errCrowded)
	c := take("2001:db8::1", nil)
	take("10.0.0.2", errHandshakes)
	a.settle()
	a.settle()
	d := take("2001:db8::2", nil)
	take("2001:db8::3", errFull)
	b.free()
	take("2001:db8:0:0:9::1", errCrowded)
	out, err := l.outbound()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.outbound(); !errors.Is(err, errFull) {
		t.Fatalf("a fifth: %v", err)
	}
	for _, s := range []*slot{a, c, d, out} {
		s.free()
	}
	if l.all != 0 || l.pending != 0 || len(l.by) != 0 {
		t.Errorf("left: %d, %d, %v", l.all, l.pending, l.by)
	}
}

func TestLimitsOnThePublicPort(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), func(c *Config) { c.PerAddress = 2 })
	r.dialFrom("127.0.9.1").send(hand("a", true, true))
	r.accept()
	r.dialFrom("127.0.9.1").send(hand("b", true, true))
	r.accept()
	r.dialFrom("127.0.9.1").expectEnd()
	r.dialFrom("127.0.9.2").send(hand("c", true, true))
	r.accept()
	eventually(t, "one line", func() bool { return r.log.FilterMessage("connection refused").Len() == 1 })
}

func TestSlowHandshakes(t *testing.T) {
	r := newRig(t, newDesk(Watched, 0), func(c *Config) { c.HandshakeTimeout, c.Handshakes = 200*time.Millisecond, 3 })
	slow := []*end{r.dial(), r.dial(), r.dial()}
	slow[1].send(hand("x", true, true)[:30])
	slow[2].send(hand("x", true, true)[:60])
	client := r.accept()
	eventually(t, "a fourth to be refused", func() bool {
		r.dial().expectEnd()
		return r.log.FilterMessage("connection refused").Len() > 0
	})
	for _, s := range slow {
		s.expectEnd()
	}
	client.expectLen(60)
	client.expectEnd()
	eventually(t, "room again", func() bool {
		r.proxy.limits.mu.Lock()
		defer r.proxy.limits.mu.Unlock()
		return r.proxy.limits.pending == 0
	})
}
