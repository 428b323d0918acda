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

func TestRoomByFiles(t *testing.T) {
	for files, want := range map[uint64]int{64: 24, 1024: 384, 2048: 768, 20_000: 9119, 1 << 20: 491_264, 1<<64 - 1: 1 << 30} {
		if got := roomFor(files); got != want {
			t.Errorf("%d files are room for %d connections, want %d", files, got, want)
		}
	}
	if l := newLimits(Config{Connections: 1 << 30}); l.total >= 1<<30 && roomByFiles() < 1<<30 {
		t.Errorf("room for %d", l.total)
	}
}

// TestOneLineWhenFull: however many are refused, until a tenth of the room is free again; and those who are there stay.
func TestOneLineWhenFull(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), func(c *Config) { c.Connections = 20 })
	lines := func() int { return r.log.FilterMessage("no more connections are taken until some have ended").Len() }
	var remotes, clients []*end
	fill := func() {
		for len(remotes) < 20 {
			remote, client := r.inbound()
			remotes, clients = append(remotes, remote), append(clients, client)
		}
		for range 30 {
			r.dial().expectEnd()
		}
	}
	hangUp := func(n int) {
		for range n {
			last := len(remotes) - 1
			remotes[last].Close()
			clients[last].Close()
			remotes, clients = remotes[:last], clients[:last]
		}
		eventually(t, "room", func() bool { return len(r.proxy.alive()) == len(remotes) && r.proxy.limits.left() == 20-len(remotes) })
	}
	fill()
	eventually(t, "a line", func() bool { return lines() == 1 })
	hangUp(1)
	fill() // the same episode
	hangUp(2)
	fill()
	eventually(t, "another line", func() bool { return lines() == 2 })
	if n := r.log.FilterMessage("connection refused").Len(); n != 0 {
		t.Errorf("%d further lines", n)
	}
	for i := range remotes {
		remotes[i].send(msg(4, 0, 0, 0, 1))
		clients[i].expect(msg(4, 0, 0, 0, 1))
	}
}

func (l *limits) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total - l.all
}
