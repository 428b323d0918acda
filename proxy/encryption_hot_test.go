package proxy

import (
	"context"
	"crypto/rc4"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"paygate/proxy/mse"
	"paygate/units"
)

// secretPair is two connected ends with ciphers between them.
func secretPair(t testing.TB) (a, b side) {
	t.Helper()
	x, y := pair(t)
	done := make(chan mse.Result, 1)
	go func() {
		r, err := mse.Initiate(context.Background(), x, testHash, mse.RC4, nil, mse.NewBudget(cipherBudget))
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	r, err := mse.Receive(context.Background(), y, mse.Reception{
		Torrents: [][]units.InfoHash{{testHash}}, Choose: EncryptionRequire.choose(false), Budget: mse.NewBudget(cipherBudget),
	})
	if err != nil {
		t.Fatal(err)
	}
	return seated(x, <-done), seated(y, r)
}

// farPair is a pair of which one end is far from the proxy: encrypted or not.
func farPair(t testing.TB, encrypted bool) (far, near side) {
	if encrypted {
		return secretPair(t)
	}
	a, b := pair(t)
	return side{conn: a}, side{conn: b}
}

// secretly writes to a connection what a cipher has made of it.
type secretly struct{ conn *net.TCPConn }

func (s secretly) Sealed(b []byte) { _, _ = s.conn.Write(b) }

func (c *side) write(b []byte) {
	if c.cipher == nil {
		_, _ = c.conn.Write(b)
		return
	}
	for len(b) > 0 {
		b = b[c.cipher.Seal(b):]
	}
}

// midSession is a session past its handshake, that nobody runs.
func midSession(t testing.TB, treat Treatment, remote, client side) *Session {
	t.Helper()
	desk := newDesk(treat, 1<<60)
	desk.silent = true
	p, err := New(Config{}, Deps{Desk: desk})
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.newSession(legs{remote: remote, client: client, addr: addrPort(remote.conn.RemoteAddr()), hash: testHash}, treat)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*flow{&s.in, &s.out} {
		f.stage, f.mid, f.dst.mid, f.past = atFrames, false, false, true
	}
	s.toClient.admit()
	s.Open()
	return s
}

func TestEncryptedRelayDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector a sync.Pool forgets on purpose")
	}
	for _, c := range []struct{ remote, client bool }{{true, false}, {false, true}, {true, true}} {
		remote, nearRemote := farPair(t, c.remote)
		client, nearClient := farPair(t, c.client)
		s := midSession(t, Gated, nearRemote, nearClient)
		if client.cipher != nil {
			client.cipher.SetSink(secretly{client.conn})
		}
		discard(remote.conn)
		var b []byte
		for i := range uint32(20) {
			b = append(append(b, piece(i, 0, 16384)...), msg(4, 0, 0, 0, 1)...)
		}
		step := func() {
			client.write(b)
			for left := len(b); left > 0; left -= s.out.got {
				if err := s.out.readMore(); err != nil {
					t.Fatal(err)
				}
				n, err := s.out.step(s.out.buffer.b[:s.out.fill])
				if err != nil {
					t.Fatal(err)
				}
				if err := s.out.keep(n); err != nil {
					t.Fatal(err)
				}
			}
		}
		step()
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("%+v: %v allocations", c, n)
		}
		s.close()
	}
}

// threadCPU is the CPU time of the calling goroutine's thread, to which it must be locked.
func threadCPU() time.Duration {
	var u syscall.Rusage
	const thisThread = 1
	if syscall.Getrusage(thisThread, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchmarkRelayCPU measures what the relay alone takes for pieces from a client to a remote, in CPU seconds per GiB.
func benchmarkRelayCPU(b *testing.B, encryptRemote, encryptClient bool) {
	remote, nearRemote := farPair(b, encryptRemote)
	client, nearClient := farPair(b, encryptClient)
	s := midSession(b, Gated, nearRemote, nearClient)
	if client.cipher != nil {
		client.cipher.SetSink(secretly{client.conn})
	}
	discard(remote.conn)
	var chunk []byte
	for i := range uint32(16) {
		chunk = append(chunk, piece(i, 0, 16384)...)
	}
	b.SetBytes(int64(len(chunk)))
	b.ResetTimer()
	used := make(chan time.Duration)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		start := threadCPU()
		_ = s.out.relayAll()
		used <- threadCPU() - start
	}()
	for range b.N {
		client.write(chunk)
	}
	client.conn.CloseWrite()
	gib := float64(b.N) * float64(len(chunk)) / (1 << 30)
	b.ReportMetric((<-used).Seconds()/gib, "cpu-s/GiB")
}

func BenchmarkRelayCPU(b *testing.B) {
	b.Run("plain", func(b *testing.B) { benchmarkRelayCPU(b, false, false) })
	b.Run("one leg", func(b *testing.B) { benchmarkRelayCPU(b, true, false) })
	b.Run("two legs", func(b *testing.B) { benchmarkRelayCPU(b, true, true) })
	b.Run("cipher alone", func(b *testing.B) {
		c, err := rc4.NewCipher(testHash[:])
		if err != nil {
			b.Fatal(err)
		}
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		buf, out := make([]byte, 16384), make([]byte, 16384)
		start := threadCPU()
		for range b.N {
			for range 16 {
				c.XORKeyStream(out, buf)
			}
		}
		b.SetBytes(16 * 16384)
		b.ReportMetric((threadCPU()-start).Seconds()/(float64(b.N)*16*16384/(1<<30)), "cpu-s/GiB")
	})
}
