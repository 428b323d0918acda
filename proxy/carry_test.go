package proxy

import (
	"bytes"
	"testing"
)

// TestLongMessageByteByByte: who sends a message byte by byte makes paygate copy, but not allocate it anew for each.
func TestLongMessageByteByByte(t *testing.T) {
	s, _, _ := bareSession(t, newDesk(Watched, 0))
	message := ext(0, string(bytes.Repeat([]byte("a"), 20_000)))
	var rooms []int
	for i, b := range message[:len(message)-1] {
		s.in.borrow()
		s.in.buffer.b[s.in.fill] = b
		s.in.fill++
		if n, err := s.in.step(s.in.buffer.b[:s.in.fill]); n != 0 || err != nil {
			t.Fatalf("byte %d: %d bytes passed, %v", i, n, err)
		}
		if err := s.in.keep(0); err != nil {
			t.Fatal(err)
		}
		if err := s.in.park(); err != nil {
			t.Fatal(err)
		}
		if room := cap(s.in.carry); len(rooms) == 0 || rooms[len(rooms)-1] != room {
			rooms = append(rooms, room)
		}
	}
	if !bytes.Equal(s.in.carry, message[:len(message)-1]) {
		t.Error("what is kept is not what has come")
	}
	if got, want := s.buffers.carried.Load(), int64(cap(s.in.carry)); got != want {
		t.Errorf("%d bytes are accounted for, of %d", got, want)
	}
	if len(rooms) > 15 {
		t.Errorf("%d times new room, the last of %d bytes", len(rooms), rooms[len(rooms)-1])
	}
	s.in.letGo()
	if n := s.buffers.carried.Load(); n != 0 {
		t.Errorf("%d bytes are still accounted for", n)
	}
}

// TestRoomForHalfMessages: what is kept of a message that is no longer large leaves the budget that all share, and stays out.
func TestRoomForHalfMessages(t *testing.T) {
	for was := range 2*carryFree + 1 {
		for _, n := range []int{1, was + 1, carryFree, carryFree + 1, 64 << 10} {
			room := carryRoom(n, was)
			if room < n || room > max(2*was, n, carryLeast) || overFree(n) == 0 && overFree(room) > 0 {
				t.Fatalf("room for %d bytes instead of %d is %d", n, was, room)
			}
		}
	}
}
