package proxy

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"paygate/proxy/wire"
)

// resting waits until both directions of a session have given up their goroutines.
func resting(t *testing.T, s *Session) {
	t.Helper()
	eventually(t, "both directions to rest", func() bool {
		s.parker.cool() // as after a beat, for those that have been busy
		return s.in.state.Load() == flowResting && s.out.state.Load() == flowResting
	})
}

// only is the one session that is alive.
func (r *rig) only() *Session {
	r.t.Helper()
	eventually(r.t, "one session", func() bool { return len(r.proxy.alive()) == 1 })
	return r.proxy.alive()[0]
}

// TestRestingSessions: whatever is the end of a session that rests, it is noticed.
func TestRestingSessions(t *testing.T) {
	for _, treat := range []Treatment{Free, Watched, Gated} {
		for name, end := range map[string]func(s *Session, remote, client *end){
			"remote closes":   func(_ *Session, remote, _ *end) { remote.Close() },
			"client closes":   func(_ *Session, _, client *end) { client.Close() },
			"remote resets":   func(_ *Session, remote, _ *end) { _ = remote.SetLinger(0); remote.Close() },
			"half and half":   func(_ *Session, remote, client *end) { remote.CloseWrite(); client.expectEnd(); client.CloseWrite() },
			"paygate ends it": func(s *Session, _, _ *end) { s.Close("because") },
			"it fails":        func(s *Session, _, _ *end) { s.fail(io.ErrUnexpectedEOF) },
		} {
			t.Run(treat.String()+", "+name, func(t *testing.T) {
				r := newRig(t, newDesk(treat, 1<<30), nil)
				remote, client := r.inbound()
				remote.send(msg(4, 0, 0, 0, 1))
				client.expect(msg(4, 0, 0, 0, 1))
				s := r.only()
				for range 3 {
					resting(t, s)
					client.send(msg(4, 0, 0, 0, 2))
					remote.expect(msg(4, 0, 0, 0, 2))
				}
				resting(t, s)
				end(s, remote, client)
				if !strings.HasPrefix(name, "client") {
					client.expectEnd()
				}
				if !strings.HasPrefix(name, "remote") {
					remote.expectEnd()
				}
				remote.Close()
				client.Close()
				eventually(t, "the session to end", func() bool { return len(r.proxy.alive()) == 0 })
				if s.in.seat != 0 || s.out.seat != 0 {
					t.Error("a direction that has ended keeps its seat")
				}
			})
		}
	}
}

// TestTheOtherDirectionLingers: one that rests when the other ends hears of its deadline.
func TestTheOtherDirectionLingers(t *testing.T) {
	r := newRig(t, newDesk(Watched, 0), nil)
	remote, client := r.inbound()
	s := r.only()
	resting(t, s)
	remote.CloseWrite()
	client.expectEnd()
	eventually(t, "the other direction to be awake", func() bool {
		return s.in.state.Load() == flowEnded && s.out.state.Load() == flowRunning && s.out.stays.Load()
	})
	client.send(msg(4, 0, 0, 0, 2)) // still passes
	remote.expect(msg(4, 0, 0, 0, 2))
	s.out.interrupt() // comes too late to touch the deadline
	if s.out.called.Load() {
		t.Error("a direction was interrupted that has its last while")
	}
	if err := s.client.conn.SetReadDeadline(past); err != nil { // as after linger
		t.Fatal(err)
	}
	remote.expectEnd()
	eventually(t, "the session to end", func() bool { return len(r.proxy.alive()) == 0 })
}

// TestNoRestInTheLastWhile: who is told to hurry on the way to rest does not rest, or it would never hear of its deadline.
func TestNoRestInTheLastWhile(t *testing.T) {
	r := newRig(t, newDesk(Watched, 0), nil)
	remote, client := r.inbound()
	s := r.only()
	resting(t, s)
	if !s.out.state.CompareAndSwap(flowResting, flowRunning) { // as one that has just found nothing to read
		t.Fatal("it does not rest")
	}
	if err := s.hurry(&s.out); err != nil {
		t.Fatal(err)
	}
	if s.out.rest() || s.out.state.Load() != flowRunning {
		t.Error("it rests")
	}
	s.parker.running.Go(s.out.live)
	remote.Close()
	client.Close()
	eventually(t, "the session to end", func() bool { return len(r.proxy.alive()) == 0 })
}

// TestBusyDirectionsKeepTheirGoroutine, until a beat passes without a byte.
func TestBusyDirectionsKeepTheirGoroutine(t *testing.T) {
	r := newRig(t, newDesk(Watched, 0), nil)
	remote, client := r.inbound()
	s := r.only()
	resting(t, s)
	s.parker.mu.Lock()
	before := len(s.parker.hot)
	s.parker.mu.Unlock()
	hot := func() int {
		s.parker.mu.Lock()
		defer s.parker.mu.Unlock()
		return len(s.parker.hot)
	}
	for i := 0; hot() == before; i++ {
		if i > 100*restful {
			t.Fatal("it rests whatever it does")
		}
		remote.send(msg(4, 0, 0, 0, 1))
		client.expect(msg(4, 0, 0, 0, 1))
	}
	if s.in.state.Load() != flowRunning {
		t.Error("it is hot, and rests")
	}
	resting(t, s)
	remote.send(msg(4, 0, 0, 0, 1))
	client.expect(msg(4, 0, 0, 0, 1))
}

// TestSeatsAreTakenAgain: what the kernel says of one who had a seat before wakes nobody else.
func TestSeatsAreTakenAgain(t *testing.T) {
	r := newRig(t, newDesk(Watched, 0), nil)
	remote, client := r.inbound()
	s := r.only()
	resting(t, s)
	p := s.parker
	p.mu.Lock()
	seat := s.in.seat
	turn := p.seats[seat].turn
	p.mu.Unlock()
	if p.seated(seat, turn) != &s.in {
		t.Fatal("it does not have the seat that it has")
	}
	remote.Close()
	client.Close()
	eventually(t, "the session to end", func() bool { return len(r.proxy.alive()) == 0 })
	if p.seated(seat, turn) != nil {
		t.Error("who has gone still has a seat")
	}
	r.inbound()
	resting(t, r.only())
	if p.seated(seat, turn) != nil || p.seated(seat, turn+1) == nil {
		t.Error("the seat was not taken again, or the one before has it")
	}
}

// TestRestIsByteExact: bursts, single bytes, injections, interruptions and rests in any order, and each side reads what the
// other has sent.
func TestRestIsByteExact(t *testing.T) {
	desk := newDesk(Watched, 0)
	r := newRig(t, desk, nil)
	rapid.Check(t, func(rt *rapid.T) {
		remote, client := r.inbound()
		defer remote.Close()
		defer client.Close()
		conv := <-desk.convs
		client.send(ext(0, "d1:mdee"))
		remote.send(ext(0, "d1:md6:pg_payi250eee"), msg(4, 0, 0, 0, 0))
		remote.frame()
		client.expect(append(ext(0, "d1:md6:pg_payi250eee"), msg(4, 0, 0, 0, 0)...))
		conv.await(t, RemoteHello)
		s := conv.s
		var atClient, atRemote []byte
		var readers sync.WaitGroup
		readers.Go(func() { atClient, _ = io.ReadAll(client) })
		readers.Go(func() { atRemote, _ = io.ReadAll(remote) })
		var fromClient, fromRemote []byte
		var writers sync.WaitGroup
		says := func(from *end, all *[]byte, n int) {
			var b []byte
			for range n {
				b = append(b, randomFrame(rt)...)
			}
			*all = append(*all, b...)
			seed := rapid.Uint64().Draw(rt, "splits")
			writers.Wait() // what one side says stays in its order
			writers.Go(func() { writeSplit(from, b, rand.New(rand.NewPCG(seed, 1))) })
		}
		sent := 0
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			switch rapid.IntRange(0, 7).Draw(rt, "step") {
			case 0, 1:
				says(client, &fromClient, rapid.IntRange(1, 5).Draw(rt, "frames"))
			case 2, 3:
				says(remote, &fromRemote, rapid.IntRange(1, 5).Draw(rt, "frames"))
			case 4:
				if s.Send(0, []byte("from us")) == nil {
					sent++
				}
			case 5:
				s.in.interrupt()
				s.out.interrupt()
			case 6:
				s.parker.cool()
			case 7:
				writers.Wait()
				resting(t, s)
			}
		}
		writers.Wait()
		client.CloseWrite()
		remote.CloseWrite()
		readers.Wait()
		if got, _ := without(rt, atClient, 0); !bytes.Equal(got, fromRemote) {
			rt.Fatalf("client read %d bytes, want %d; first difference at %d", len(got), len(fromRemote), differ(got, fromRemote))
		}
		got, injected := without(rt, atRemote, 250)
		if !bytes.Equal(got, fromClient) {
			rt.Fatalf("remote read %d bytes, want %d; first difference at %d", len(got), len(fromClient), differ(got, fromClient))
		}
		if injected != sent {
			rt.Fatalf("%d of %d injected messages came", injected, sent)
		}
	})
}

// TestUnseenSessionsRest: those that are copied in the kernel, too.
func TestUnseenSessionsRest(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), nil)
	remote := r.dial()
	first := bytes.Repeat([]byte{0xee}, wire.HandshakeLen)
	remote.send(first)
	client := r.accept()
	client.expect(first)
	s := r.only()
	for range 20 {
		resting(t, s)
		remote.send([]byte("there"))
		client.expect([]byte("there"))
		client.send([]byte("back"))
		remote.expect([]byte("back"))
	}
	if in, out := s.in.read.Load(), s.toRemote.sent.Load(); in != int64(len(first)+20*5) || out != 20*4 {
		t.Errorf("%d bytes in, %d out", in, out)
	}
	resting(t, s)
	remote.Close()
	client.expectEnd()
}
