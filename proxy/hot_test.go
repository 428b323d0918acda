package proxy

import (
	"errors"
	"io"
	"net"
	"testing"

	"paygate/proxy/wire"
)

// pair is two connected sockets.
func pair(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	l, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); d.Close() })
	return c.(*net.TCPConn), d
}

// bareSession is a session past its handshake that nobody runs, with the far ends of its connections.
func bareSession(t testing.TB, desk *fakeDesk) (s *Session, remote, client *net.TCPConn) {
	t.Helper()
	desk.silent = true
	p, err := New(Config{}, Deps{Desk: desk})
	if err != nil {
		t.Fatal(err)
	}
	remote, nearRemote := pair(t)
	client, nearClient := pair(t)
	s, err = p.newSession(legs{remote: side{conn: nearRemote}, client: side{conn: nearClient}, addr: addrPort(remote.LocalAddr())}, desk.treat)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*flow{&s.in, &s.out} {
		f.stage, f.mid, f.dst.mid, f.past = atFrames, false, false, true
	}
	s.toClient.admit()
	return s, remote, client
}

// discard reads all, without allocating.
func discard(from ...*net.TCPConn) {
	for _, c := range from {
		go func() {
			b := make([]byte, 1<<18)
			for {
				if _, err := c.Read(b); err != nil {
					return
				}
			}
		}()
	}
}

func TestRelayStepDoesNotAllocate(t *testing.T) {
	for _, treat := range []Treatment{Watched, Gated} {
		t.Run(treat.String(), func(t *testing.T) {
			desk := newDesk(treat, 1<<60)
			s, remote, client := bareSession(t, desk)
			discard(remote, client)
			s.Open()
			s.take(remoteInterest)
			s.take(clientUnchoke)
			var ask, serve []byte
			for i := range uint32(80) { // more than half of reqq, so that some are queued
				ask = append(ask, request(i, 0, 2000)...)
				serve = append(serve, piece(i, 0, 2000)...)
			}
			ask = append(ask, cancelOf(79, 0, 2000)...)
			if s.gate != nil {
				s.gate.reqq(100)
			}
			step := func() {
				for _, do := range []struct {
					f *flow
					b []byte
				}{{&s.in, ask}, {&s.out, serve}} {
					if n, err := do.f.step(do.b); n != len(do.b) || err != nil {
						t.Fatalf("%d of %d bytes, %v", n, len(do.b), err)
					}
				}
			}
			step()
			if n := testing.AllocsPerRun(200, step); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if conv := <-desk.convs; treat == Gated && conv.out.Load() == 0 {
				t.Error("nothing was served")
			}
		})
	}
}

func TestReadingDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector a sync.Pool forgets on purpose")
	}
	s, remote, client := bareSession(t, newDesk(Watched, 0))
	discard(client)
	have := append(msg(4, 0, 0, 0, 1), msg(4, 0, 0, 0, 1)[:3]...) // and a part, which is carried
	rest := msg(4, 0, 0, 0, 1)[3:]
	step := func() {
		for _, b := range [][]byte{have, rest} {
			if _, err := remote.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := s.in.readMore(); err != nil {
				t.Fatal(err)
			}
			n, err := s.in.step(s.in.buffer.b[:s.in.fill])
			if err != nil {
				t.Fatal(err)
			}
			if err := s.in.keep(n); err != nil {
				t.Fatal(err)
			}
			if err := s.in.park(); err != nil { // as when there is nothing more to read
				t.Fatal(err)
			}
		}
	}
	step()
	if n := testing.AllocsPerRun(200, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// benchmarkRelay measures pieces from a client to a remote.
func benchmarkRelay(b *testing.B, relay func(remote, client *net.TCPConn)) {
	nearRemote, remote := pair(b)
	nearClient, client := pair(b)
	go relay(nearRemote, nearClient)
	chunk := []byte{}
	for i := range uint32(16) {
		chunk = append(chunk, piece(i, 0, 16384)...)
	}
	b.SetBytes(int64(len(chunk)))
	done := make(chan struct{})
	b.ResetTimer()
	go func() {
		defer close(done)
		buf := make([]byte, 1<<18)
		for left := b.N * len(chunk); left > 0; {
			n, err := remote.Read(buf)
			if err != nil {
				b.Error(err)
				return
			}
			left -= n
		}
	}()
	for range b.N {
		if _, err := client.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	<-done
}

// blindly copies until src ends.
func blindly(dst, src *net.TCPConn) error {
	s := &Session{buffers: newBuffers()}
	to := &sender{}
	err := errors.Join(to.init(side{conn: dst}, s.spawn, func(error) {}), s.out.init(s, &side{conn: src}, to, true), s.out.goBlind(nil, nil))
	s.out.letGo()
	return err
}

func BenchmarkRelayDirect(b *testing.B) {
	benchmarkRelay(b, func(remote, client *net.TCPConn) { _ = blindly(remote, client) })
}

func BenchmarkRelayCopyNoSplice(b *testing.B) {
	benchmarkRelay(b, func(remote, client *net.TCPConn) {
		_, _ = io.CopyBuffer(struct{ io.Writer }{remote}, struct{ io.Reader }{client}, make([]byte, bigBuffer))
	})
}

func BenchmarkRelayWatched(b *testing.B) { benchmarkFramed(b, Watched) }
func BenchmarkRelayGated(b *testing.B)   { benchmarkFramed(b, Gated) }

func benchmarkFramed(b *testing.B, treat Treatment) {
	benchmarkRelay(b, func(remote, client *net.TCPConn) {
		desk := newDesk(treat, 1<<60)
		desk.silent = true
		p, err := New(Config{}, Deps{Desk: desk})
		if err != nil {
			b.Error(err)
			return
		}
		s, err := p.newSession(legs{remote: side{conn: remote}, client: side{conn: client}}, treat)
		if err != nil {
			b.Error(err)
			return
		}
		s.out.stage, s.out.mid, s.toRemote.mid = atFrames, false, false
		s.Open()
		_ = s.out.relayAll()
	})
}

func BenchmarkRequest(b *testing.B) {
	t := openedBench(1 << 60)
	for i := range 255 {
		t.request(blk(i))
	}
	last := []wire.Block{blk(255)}
	b.ReportAllocs()
	for range b.N {
		t.request(last[0])
		t.served(last)
	}
}
