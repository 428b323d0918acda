package proxy

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"paygate/proxy/wire"
)

// tape is an injector that keeps what is put.
type tape struct {
	mu  sync.Mutex
	buf []byte
}

func (p *tape) put(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buf = append(p.buf, b...)
	return nil
}

func (p *tape) kick() {}

// take returns what was put since the last call.
func (p *tape) take() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.buf
	p.buf = nil
	return b
}

type bench struct {
	*turnstile
	conv               *fakeConv
	toRemote, toClient *tape
	starved            int
}

func newBench(credit int64) *bench {
	b := &bench{conv: &fakeConv{silent: true}, toRemote: &tape{}, toClient: &tape{}}
	b.conv.credit.Store(credit)
	b.turnstile = &turnstile{
		gate: b.conv, toRemote: b.toRemote, toClient: b.toClient, limit: maxAsked,
		notify: func(e Event) {
			if e.Kind == Starved {
				b.starved++
			}
		},
		fail: func(err error) { panic(err) },
	}
	return b
}

// opened is a bench whose remote may ask.
func openedBench(credit int64) *bench {
	b := newBench(credit)
	b.take(remoteInterest)
	b.take(clientUnchoke)
	b.open()
	b.toRemote.take()
	b.toClient.take()
	return b
}

func blk(i int) wire.Block { return wire.Block{Index: uint32(i), Length: 100} }

func expectTape(t *testing.T, name string, p *tape, want ...[]byte) {
	t.Helper()
	if got := p.take(); !bytes.Equal(got, bytes.Join(want, nil)) {
		t.Errorf("%s was told %x, want %x", name, got, bytes.Join(want, nil))
	}
}

func TestRequestsAreHeldForCreditAndReleasedInOrder(t *testing.T) {
	b := openedBench(250)
	for i, want := range []verdict{pass, pass, drop, drop, drop} {
		if got := b.request(blk(i)); got != want {
			t.Errorf("request %d: %d", i, got)
		}
	}
	if b.starved != 1 {
		t.Errorf("starved told %d times", b.starved)
	}
	b.conv.credit.Add(200)
	b.served([]wire.Block{blk(0)})
	expectTape(t, "client", b.toClient) // nothing before Resume
	b.resume()
	expectTape(t, "client", b.toClient, request(2, 0, 100), request(3, 0, 100))
	if b.starved != 2 {
		t.Errorf("starved told %d times", b.starved)
	}
	if got := b.cancel(blk(4)); got != drop {
		t.Errorf("cancel of a held request: %d", got)
	}
	if got := b.cancel(blk(3)); got != pass {
		t.Errorf("cancel of an outstanding request: %d", got)
	}
	b.served([]wire.Block{blk(1), blk(2), blk(3)})
	if b.conv.out.Load() != 300 || b.conv.unreserved.Load() != 100 || b.conv.reserved.Load() != 0 {
		t.Errorf("out %d, unreserved %d, reserved %d", b.conv.out.Load(), b.conv.unreserved.Load(), b.conv.reserved.Load())
	}
}

func TestOutstandingIsBounded(t *testing.T) {
	b := openedBench(1 << 40)
	b.reqq(40)
	passed := 0
	for i := range 100 {
		if b.request(blk(i)) == pass {
			passed++
		}
	}
	if passed != 35 {
		t.Errorf("%d passed with reqq 40", passed)
	}
	b.served([]wire.Block{blk(0), blk(1)})
	expectTape(t, "client", b.toClient, request(35, 0, 100), request(36, 0, 100))
	b.reqq(5000)
	if b.limit != maxAsked {
		t.Errorf("limit %d", b.limit)
	}
	for i := range maxHeld * 2 {
		if b.request(blk(1000+i)) == flood {
			if b.held.live != maxHeld {
				t.Errorf("flood at %d held", b.held.live)
			}
			return
		}
	}
	t.Error("no flood")
}

func TestCanceledRequestsMakeRoom(t *testing.T) {
	b := openedBench(0)
	for i := range 3 * maxHeld {
		if v := b.request(blk(i)); v != drop {
			t.Fatalf("request %d: %d", i, v)
		}
		if v := b.cancel(blk(i)); v != drop {
			t.Fatalf("cancel %d: %d", i, v)
		}
	}
	b.conv.credit.Store(1000)
	b.resume()
	expectTape(t, "client", b.toClient)
}

func TestSwallowedRequests(t *testing.T) {
	b := newBench(1 << 40)
	if b.request(blk(1)) != drop || b.outstanding() != 0 {
		t.Error("a request passed a closed valve")
	}
	b = openedBench(1 << 40)
	for _, odd := range []wire.Block{{Length: 0}, {Length: maxBlock + 1}, {Length: 1<<32 - 1}} {
		if b.request(odd) != drop {
			t.Errorf("request of %d passed", odd.Length)
		}
	}
	b.request(blk(1))
	if b.request(blk(1)) != drop || b.outstanding() != 1 || b.held.live != 0 {
		t.Error("a repeated request was passed or held")
	}
}

func TestClientsChokeFreesReservations(t *testing.T) {
	b := openedBench(150)
	b.request(blk(0))
	b.request(blk(1))
	b.turnstile.take(clientChoke)
	expectTape(t, "remote", b.toRemote, msg(0))
	if b.conv.reserved.Load() != 0 || b.outstanding() != 0 || b.held.live != 0 {
		t.Error("something is left")
	}
	b.served([]wire.Block{blk(0)})
	if b.conv.unreserved.Load() != 100 {
		t.Error("the late piece was not told as unreserved")
	}
}

func TestShutDrainsThenChokes(t *testing.T) {
	b := openedBench(250)
	for i := range 3 {
		b.request(blk(i))
	}
	b.turnstile.take(doShut)
	b.served([]wire.Block{blk(0)})
	expectTape(t, "remote", b.toRemote)
	if b.request(blk(7)) != drop {
		t.Error("a request passed while shutting")
	}
	b.served([]wire.Block{blk(1)})
	expectTape(t, "remote", b.toRemote, msg(0))
	expectTape(t, "client", b.toClient, msg(3))
	if b.held.live != 0 {
		t.Error("held requests are left")
	}
	b.open()
	expectTape(t, "remote", b.toRemote, msg(1))
	expectTape(t, "client", b.toClient, msg(2))
}

func TestShutIsTurnedBack(t *testing.T) {
	b := openedBench(100)
	b.request(blk(0))
	b.request(blk(1))
	b.turnstile.take(doShut)
	b.conv.credit.Add(100)
	b.open()
	expectTape(t, "client", b.toClient, request(1, 0, 100))
	expectTape(t, "remote", b.toRemote)
}

func TestShutGivesUpOnAClientThatDoesNotServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := openedBench(1000)
		b.request(blk(0))
		b.turnstile.take(doShut)
		time.Sleep(shutPatience - time.Millisecond)
		synctest.Wait()
		expectTape(t, "remote", b.toRemote)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		expectTape(t, "remote", b.toRemote, msg(0))
		if b.conv.reserved.Load() != 0 {
			t.Error("the reservation was kept")
		}

		b.open()
		b.request(blk(1))
		b.turnstile.take(doShut)
		b.open()
		time.Sleep(2 * shutPatience)
		synctest.Wait()
		if m, n := b.snapshot(); m != opened || n != 1 {
			t.Errorf("an old timer shut an open valve: %v, %d", m, n)
		}
		b.end()
	})
}

func TestReleasePassesEverythingHeld(t *testing.T) {
	b := openedBench(100)
	for i := range 4 {
		b.request(blk(i))
	}
	b.turnstile.take(doRelease)
	expectTape(t, "client", b.toClient, request(1, 0, 100), request(2, 0, 100), request(3, 0, 100))
	if b.conv.reserved.Load() != 0 {
		t.Error("reservations are kept")
	}
	if b.request(blk(9)) != pass || b.request(wire.Block{}) != pass {
		t.Error("a released gate still holds")
	}
}

// TestTurnstileModel drives a turnstile at random and checks, after every step, that what is reserved is what is
// outstanding, that nothing goes beyond the credit or the limit, and that a request is answered at most once.
func TestTurnstileModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(int64(rapid.IntRange(0, 2000).Draw(t, "credit")))
		b.reqq(rapid.IntRange(1, 40).Draw(t, "reqq"))
		atClient := map[wire.Block]int{}
		read := func() {
			var s wire.Scanner
			for tape := b.toClient.take(); len(tape) > 0; {
				f, n, err := s.Next(tape)
				if err != nil || n == 0 {
					t.Fatalf("client was told %x", tape)
				}
				if f.Kind == wire.Request {
					atClient[f.Block]++
				}
				tape = tape[n:]
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"request": func(t *rapid.T) {
				k := blk(rapid.IntRange(0, 30).Draw(t, "block"))
				if b.request(k) == pass {
					atClient[k]++
				}
			},
			"cancel": func(t *rapid.T) {
				k := blk(rapid.IntRange(0, 30).Draw(t, "block"))
				if b.cancel(k) == pass {
					delete(atClient, k)
				}
			},
			"serve": func(t *rapid.T) {
				for k := range atClient {
					delete(atClient, k)
					b.served([]wire.Block{k})
					break
				}
			},
			"remote": func(t *rapid.T) {
				b.turnstile.take(rapid.SampledFrom([]input{remoteInterest, remoteNoInterest}).Draw(t, "in"))
			},
			"unchoke": func(*rapid.T) { b.turnstile.take(clientUnchoke) },
			"choke":   func(*rapid.T) { read(); clear(atClient); b.turnstile.take(clientChoke) },
			"control": func(t *rapid.T) {
				b.turnstile.take(rapid.SampledFrom([]input{doOffer, doShut, doWithdraw}).Draw(t, "in"))
			},
			"open": func(*rapid.T) { b.open() },
			"trim": func(*rapid.T) { b.trim() },
			"pay":  func(t *rapid.T) { b.conv.credit.Add(500); b.resume() },
			"": func(t *rapid.T) {
				read()
				n := 0
				if b.asked != nil {
					n = b.asked.n
				}
				if got := b.conv.reserved.Load(); got != int64(100*n) {
					t.Fatalf("reserved %d for %d outstanding", got, n)
				}
				if n > b.limit || b.conv.credit.Load() < 0 {
					t.Fatalf("%d outstanding, %d credit", n, b.conv.credit.Load())
				}
				for k, times := range atClient {
					if times > 1 {
						t.Fatalf("client has request %v %d times", k, times)
					}
				}
				for i := range n {
					if atClient[b.asked.blocks[i]] == 0 {
						t.Fatalf("client lacks outstanding request %v", b.asked.blocks[i])
					}
				}
			},
		})
		b.end()
		if b.conv.reserved.Load() != 0 {
			t.Fatal("reservations survive the end")
		}
	})
}

func TestEmptyTablesAreGivenBack(t *testing.T) {
	b := openedBench(1 << 20)
	b.request(blk(1))
	b.trim()
	if b.asked == nil || b.outstanding() != 1 {
		t.Fatal("what is outstanding was forgotten")
	}
	b.served([]wire.Block{blk(1)})
	b.trim()
	if b.asked != nil || cap(b.held.blocks) != 0 {
		t.Error("empty tables stay")
	}
	if b.request(blk(2)) != pass || b.outstanding() != 1 {
		t.Error("nothing passes afterwards")
	}
}
