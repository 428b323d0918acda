package proxy

import (
	"bytes"
	"testing"
	"time"
)

func TestKeepalivesOfOurOwn(t *testing.T) {
	s, remote, client := bareSession(t, newDesk(Watched, 0))
	ends := []*end{newEnd(t, remote), newEnd(t, client)}
	start := time.Unix(1e9, 0)
	s.tend(start)
	s.tend(start.Add(keepaliveAfter - time.Second))
	for _, e := range ends {
		e.silent()
	}
	s.tend(start.Add(keepaliveAfter))
	for _, e := range ends {
		e.expect([]byte{0, 0, 0, 0})
	}
	s.tend(start.Add(keepaliveAfter + 5*time.Second))
	for _, e := range ends {
		e.silent()
	}
	// Not into the middle of a message, nor before the remote's first one.
	half := piece(0, 0, 100)[:50]
	if _, err := s.out.step(half); err != nil {
		t.Fatal(err)
	}
	ends[0].expect(half)
	s.toClient.bar()
	s.tend(start.Add(3 * keepaliveAfter))
	s.tend(start.Add(6 * keepaliveAfter))
	for _, e := range ends {
		e.silent()
	}
	if _, err := s.out.step(piece(0, 0, 100)[50:]); err != nil {
		t.Fatal(err)
	}
	ends[0].expect(piece(0, 0, 100)[50:])
	ends[0].silent()
}

func TestStalledSessionsEnd(t *testing.T) {
	s, remote, _ := bareSession(t, newDesk(Watched, 0))
	done := make(chan error, 1)
	go func() {
		big := bytes.Repeat(piece(0, 0, 16384), 10)
		for {
			if _, err := s.out.step(big); err != nil {
				done <- err
				return
			}
		}
	}()
	eventually(t, "the socket to be full", func() bool {
		was := s.toRemote.sent.Load()
		time.Sleep(10 * time.Millisecond)
		return s.toRemote.busy.Load() && s.toRemote.sent.Load() == was
	})
	start := time.Unix(1e9, 0)
	s.tend(start)
	s.tend(start.Add(stalledAfter - time.Second))
	if s.reason != "" {
		t.Fatalf("ended early: %s", s.reason)
	}
	if _, err := remote.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s.tend(start.Add(stalledAfter))
	if err := <-done; !isNoise(err) {
		t.Error(err)
	}
	if s.reason != "stalled" {
		t.Errorf("reason %q", s.reason)
	}
}

// TestStuckBlindSessionsEnd: while a remote reads nothing, nobody sees that the client has gone, in a session that is copied
// blindly no more than in others.
func TestStuckBlindSessionsEnd(t *testing.T) {
	s, _, client := bareSession(t, newDesk(Free, 0))
	s.conv = nil // of an unknown torrent
	done := make(chan error, 1)
	go func() { done <- s.out.goBlind(nil, nil) }()
	if err := client.SetWriteDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 1<<20); ; {
		if _, err := client.Write(b); err != nil {
			break // no more fits in between
		}
	}
	client.Close()
	eventually(t, "the socket to be full", func() bool {
		was := s.toRemote.sent.Load()
		time.Sleep(10 * time.Millisecond)
		return s.toRemote.busy.Load() && s.toRemote.sent.Load() == was
	})
	start := time.Unix(1e9, 0)
	s.tend(start)
	s.tend(start.Add(stalledAfter - time.Second))
	select {
	case err := <-done:
		t.Fatalf("it ended early: %v", err)
	default:
	}
	s.tend(start.Add(stalledAfter))
	if err := <-done; !isNoise(err) {
		t.Error(err)
	}
	s.out.letGo()
}
