package proxy

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// plainFrame is a message with which no gate has to do, and which no gate says.
func plainFrame(t *rapid.T) []byte {
	for {
		if f := randomFrame(t); f[4] == 7 || f[4] == 4 || f[4] > 20 {
			return f
		}
	}
}

// withoutGates takes keepalives, and what a gate says, out of a stream.
func withoutGates(t *rapid.T, b []byte) (rest []byte) {
	for len(b) > 0 {
		n := 4 + int(binary.BigEndian.Uint32(b))
		if n > len(b) {
			t.Fatalf("the last message has %d of %d bytes", len(b), n)
		}
		if n > 4 && (n > 5 || b[4] > 3) {
			rest = append(rest, b[:n]...)
		}
		b = b[n:]
	}
	return rest
}

// TestRestingGatesAreByteExact: a gate opens and shuts, is released, and is asked for keepalives while directions rest, in the clear
// and under a cipher on either side. What the two say passes as it is all the same.
func TestRestingGatesAreByteExact(t *testing.T) {
	desk := newDesk(Gated, 1<<30)
	desk.silent = true
	r := newRig(t, desk, nil)
	r.proxy.known.add(testHash)
	r.proxy.secrecy.retries.SetLimit(1e9)
	rapid.Check(t, func(rt *rapid.T) {
		mine, theirs := tongues[rapid.IntRange(0, 1).Draw(rt, "remote")], tongues[rapid.IntRange(0, 1).Draw(rt, "client")]
		r.proxy.secrecy.client.Store(uint32(habitUnknown))
		remote, client := r.called(mine, theirs, true)
		defer remote.Close()
		defer client.Close()
		client.expectLen(68)
		client.send(hand("client", true, false))
		remote.expectLen(68)
		s := (<-desk.convs).s
		client.send(ext(0, "d1:mdee"))
		remote.send(ext(0, "d1:mdee"), msg(4, 0, 0, 0, 0))
		remote.frame()
		client.expect(append(ext(0, "d1:mdee"), msg(4, 0, 0, 0, 0)...))
		var atClient, atRemote []byte
		var readers, writers sync.WaitGroup
		readers.Go(func() { atClient, _ = io.ReadAll(client) })
		readers.Go(func() { atRemote, _ = io.ReadAll(remote) })
		var fromClient, fromRemote []byte
		says := func(from *end, all *[]byte) {
			var b []byte
			for range rapid.IntRange(1, 4).Draw(rt, "frames") {
				b = append(b, plainFrame(rt)...)
			}
			*all = append(*all, b...)
			seed := rapid.Uint64().Draw(rt, "splits")
			writers.Wait()
			writers.Go(func() { writeSplit(from, b, rand.New(rand.NewPCG(seed, 1))) })
		}
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch rapid.IntRange(0, 13).Draw(rt, "step") {
			case 0, 1, 2:
				says(client, &fromClient)
			case 3, 4, 5:
				says(remote, &fromRemote)
			case 6, 7:
				writers.Wait()
				resting(t, s)
			case 8:
				s.Open()
			case 9:
				s.Shut()
			case 10:
				s.Offer()
			case 11:
				writers.Wait()
				b := msg(byte(rapid.IntRange(0, 1).Draw(rt, "choke")))
				client.send(b)
				remote.send(msg(byte(rapid.IntRange(2, 3).Draw(rt, "interest"))))
			case 12:
				s.toRemote.keepalive([]byte{0, 0, 0, 0})
				s.toClient.keepalive([]byte{0, 0, 0, 0})
			case 13:
				if rapid.IntRange(0, 4).Draw(rt, "release") == 0 {
					s.Release()
				}
			}
		}
		writers.Wait()
		client.CloseWrite()
		remote.CloseWrite()
		readers.Wait()
		if got := withoutGates(rt, atClient); !bytes.Equal(got, fromRemote) {
			rt.Fatalf("client read %d bytes, want %d; first difference at %d", len(got), len(fromRemote), differ(got, fromRemote))
		}
		if got := withoutGates(rt, atRemote); !bytes.Equal(got, fromClient) {
			rt.Fatalf("remote read %d bytes, want %d; first difference at %d", len(got), len(fromClient), differ(got, fromClient))
		}
	})
}

// TestHurriedEnds: many sessions at once that end in any way at any moment, while others take their descriptors, lose no byte
// of those that stay, and leave nothing behind.
func TestHurriedEnds(t *testing.T) {
	for _, treat := range []Treatment{Free, Watched} {
		t.Run(treat.String(), func(t *testing.T) {
			desk := newDesk(treat, 0)
			desk.silent = true
			r := newRig(t, desk, nil)
			remote, client := r.inbound()
			stays := r.only()
			before := openFiles(t)
			var wg sync.WaitGroup
			for i := range 150 {
				rng := rand.New(rand.NewPCG(7, uint64(i)))
				other, at := r.inbound()
				s := r.newest()
				wg.Go(func() {
					for range rng.IntN(4) {
						_, _ = other.Write(msg(4, 0, 0, 0, 1))
						time.Sleep(time.Duration(rng.IntN(300)) * time.Microsecond)
					}
					switch rng.IntN(5) {
					case 0:
						_ = other.SetLinger(0)
					case 1:
						_ = at.SetLinger(0)
						at.Close()
					case 2:
						s.Close("because")
					case 3:
						_ = other.CloseWrite()
						_, _ = at.Write(msg(4, 0, 0, 0, 1))
					}
					other.Close()
					at.Close()
				})
				if i%5 == 0 {
					remote.send(msg(4, 0, 0, byte(i), 2))
					client.expect(msg(4, 0, 0, byte(i), 2))
					client.send(msg(4, 0, 0, byte(i), 3))
					remote.expect(msg(4, 0, 0, byte(i), 3))
				}
			}
			wg.Wait()
			eventually(t, "the others to end", func() bool { return len(r.proxy.alive()) == 1 })
			resting(t, stays)
			p := stays.parker
			p.mu.Lock()
			if left := len(p.seats) - 1 - len(p.empty); left != 2 {
				t.Errorf("%d seats are taken by two directions", left)
			}
			p.mu.Unlock()
			eventually(t, "the descriptors to be closed", func() bool { return openFiles(t) <= before+2*pipesKept })
		})
	}
}

// newest is the youngest session.
func (r *rig) newest() (s *Session) {
	for _, one := range r.proxy.alive() {
		if s == nil || one.id > s.id {
			s = one
		}
	}
	return s
}
