package proxy

import (
	"net/netip"
	"testing"
	"time"
)

func TestEndedSessionsOfOneStrangerAreLoggedNowAndThen(t *testing.T) {
	e, now := newEndings(), time.Unix(1e9, 0)
	for i, step := range []struct {
		from   string
		after  time.Duration
		hushed int
		ok     bool
	}{
		{from: "203.0.113.7", ok: true},
		{from: "203.0.113.7"},
		{from: "::ffff:203.0.113.7", after: endingsEvery - 1},
		{from: "203.0.113.8", ok: true},
		{from: "203.0.113.7", after: 1, hushed: 2, ok: true},
		{from: "203.0.113.7", after: endingsEvery, ok: true},
		{from: "2001:db8::1", ok: true},
		{from: "2001:db8::2"},
		{from: "2001:db8:0:1::2", ok: true},
	} {
		now = now.Add(step.after)
		if hushed, ok := e.allow(netip.MustParseAddr(step.from), now); hushed != step.hushed || ok != step.ok {
			t.Errorf("step %d: %d, %v", i, hushed, ok)
		}
	}
}

func TestStrangerThatComesAgainAndAgainGetsOneLine(t *testing.T) {
	r := newRig(t, newDesk(Watched, 0), nil)
	for range 5 {
		remote, client := r.inbound()
		remote.Close()
		client.Close()
		eventually(t, "the end", func() bool { return len(r.proxy.Sessions()) == 0 })
	}
	other := r.dialFrom("127.0.9.1")
	other.send(hand("other", true, true))
	r.accept().Close()
	lines := func() int { return r.log.FilterMessage("session ended").Len() }
	eventually(t, "a line for each", func() bool { return lines() == 2 })
}
