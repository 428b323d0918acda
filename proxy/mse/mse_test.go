package mse

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anacrolix/torrent/mse"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"paygate/units"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func hashOf(n int) units.InfoHash {
	return units.InfoHash{byte(n), byte(n >> 8), byte(n >> 16), 7}
}

func hashes(from, to int) []units.InfoHash {
	var list []units.InfoHash
	for i := from; i < to; i++ {
		list = append(list, hashOf(i))
	}
	return list
}

// pair is two connected sockets.
func pair(t testing.TB) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); d.Close() })
	return c.(*net.TCPConn), d.(*net.TCPConn)
}

func take(m Method) func(Method) Method { return func(Method) Method { return m } }

// within is a context that ends long after any test should.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// shake makes a handshake between two ends of this package.
func shake(t testing.TB, provides, chosen Method, early []byte) (initiator, receiver Result, a, b *net.TCPConn) {
	t.Helper()
	a, b = pair(t)
	done := make(chan error, 1)
	go func() {
		var err error
		initiator, err = Initiate(within(t), a, hashOf(5), provides, early, NewBudget(1<<20))
		done <- err
	}()
	receiver, err := Receive(within(t), b, Reception{
		Torrents: [][]units.InfoHash{hashes(0, 3), nil, hashes(3, 9)}, Choose: take(chosen), Budget: NewBudget(1 << 20),
	})
	if err != nil {
		t.Fatalf("receive: %v", err)
	}
	if err := <-done; err != nil {
		t.Fatalf("initiate: %v", err)
	}
	return initiator, receiver, a, b
}

// outlet writes what a stream has encrypted, and counts.
type outlet struct {
	to net.Conn
	n  int
}

func (o *outlet) Sealed(b []byte) {
	n, _ := o.to.Write(b)
	o.n += n
}

// toConn writes through a stream, or bare.
func toConn(s *Stream, c *net.TCPConn, b []byte) {
	if s == nil {
		_, _ = c.Write(b)
		return
	}
	s.SetSink(&outlet{to: c})
	for len(b) > 0 {
		b = b[s.Seal(b):]
	}
}

func fromConn(s *Stream, c *net.TCPConn) io.Reader {
	if s == nil {
		return c
	}
	return s
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func TestBothWays(t *testing.T) {
	for name, c := range map[string]struct{ provides, chosen Method }{
		"RC4 alone":           {RC4, RC4},
		"plaintext alone":     {Plaintext, Plaintext},
		"both, RC4":           {RC4 | Plaintext, RC4},
		"both, plaintext":     {RC4 | Plaintext, Plaintext},
		"a choice too many":   {RC4, RC4 | Plaintext},
		"provides a new bit":  {RC4 | 64, RC4},
		"chooses unprovided?": {RC4 | Plaintext | 8, Plaintext | 16},
	} {
		for _, early := range []int{0, 68, 5000, 65535} {
			t.Run(name, func(t *testing.T) {
				first := random(early)
				i, r, a, b := shake(t, c.provides, c.chosen, first)
				want := c.provides & c.chosen
				if i.Method != want || r.Method != want || r.Provided != c.provides || r.InfoHash != hashOf(5) {
					t.Fatalf("agreed on %+v and %+v", i, r)
				}
				if behind := c.provides&Plaintext != 0; !bytes.HasPrefix(first, r.Early) || len(i.Early) != 0 ||
					!behind && len(r.Early) != len(first) {
					t.Fatalf("first words of %d and %d bytes", len(r.Early), len(i.Early))
				}
				if (i.Stream == nil) != (want == Plaintext) || (r.Stream == nil) != (want == Plaintext) {
					t.Fatal("wrong kind of stream")
				}
				there, back := random(300000), random(200001)
				go toConn(i.Stream, a, there)
				go toConn(r.Stream, b, back)
				for _, end := range []struct {
					from io.Reader
					want []byte
				}{{fromConn(r.Stream, b), append(first[len(r.Early):], there...)}, {fromConn(i.Stream, a), back}} {
					got := make([]byte, len(end.want))
					if _, err := io.ReadFull(end.from, got); err != nil || !bytes.Equal(got, end.want) {
						t.Fatalf("stream is broken: %v", err)
					}
				}
				a.CloseWrite()
				if n, err := fromConn(r.Stream, b).Read(make([]byte, 9)); n != 0 || err != io.EOF {
					t.Fatalf("end is %d, %v", n, err)
				}
			})
		}
	}
}

// TestAgainstTheOriginal holds each side against anacrolix's own, with what follows already behind the handshake.
func TestAgainstTheOriginal(t *testing.T) {
	for _, m := range []mse.CryptoMethod{mse.CryptoMethodRC4, mse.CryptoMethodPlaintext} {
		words := random(70000)
		a, b := pair(t)
		h := hashOf(1)
		go func() {
			rw, _, err := mse.InitiateHandshake(a, h[:], words[:100], m)
			if err == nil {
				_, _ = rw.Write(bytes.Clone(words[100:]))
			}
		}()
		r, err := Receive(within(t), b, Reception{Torrents: [][]units.InfoHash{hashes(0, 2)}, Choose: take(Method(m))})
		if err != nil {
			t.Fatal(err)
		}
		rest := make([]byte, len(words)-len(r.Early))
		if _, err := io.ReadFull(fromConn(r.Stream, b), rest); err != nil || !bytes.Equal(append(r.Early, rest...), words) {
			t.Fatalf("method %d: broken, %v", m, err)
		}
		c, d := pair(t)
		go func() {
			keys := func(try func([]byte) bool) { try(h[:]) }
			rw, _, err := mse.ReceiveHandshake(context.Background(), d, keys, mse.DefaultCryptoSelector)
			if err == nil {
				_, _ = rw.Write(bytes.Clone(words))
			}
		}()
		i, err := Initiate(within(t), c, h, Method(m), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		rest = make([]byte, len(words)-len(i.Early))
		if _, err := io.ReadFull(fromConn(i.Stream, c), rest); err != nil || !bytes.Equal(append(i.Early, rest...), words) {
			t.Fatalf("method %d: broken, %v", m, err)
		}
	}
}

func TestWalksAllTorrents(t *testing.T) {
	for name, c := range map[string]struct {
		lists [][]units.InfoHash
		want  error
	}{
		"none":           {nil, ErrUnknownTorrent},
		"others":         {[][]units.InfoHash{hashes(10, 500)}, ErrUnknownTorrent},
		"first":          {[][]units.InfoHash{{hashOf(5)}, hashes(10, 20)}, nil},
		"last":           {[][]units.InfoHash{hashes(10, 20), {hashOf(5)}}, nil},
		"in both, twice": {[][]units.InfoHash{{hashOf(5), hashOf(5)}, {hashOf(5)}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			go func() {
				_, _ = Initiate(within(t), a, hashOf(5), RC4, nil, nil)
				a.Close()
			}()
			r, err := Receive(within(t), b, Reception{Torrents: c.lists, Choose: take(RC4)})
			if !errors.Is(err, c.want) || err == nil && r.InfoHash != hashOf(5) {
				t.Errorf("%v, %v", r.InfoHash, err)
			}
			b.Close()
		})
	}
}

func TestNoSharedMethod(t *testing.T) {
	a, b := pair(t)
	done := make(chan error)
	go func() {
		_, err := Initiate(within(t), a, hashOf(0), Plaintext, nil, nil)
		done <- err
	}()
	if _, err := Receive(within(t), b, Reception{Torrents: [][]units.InfoHash{hashes(0, 1)}, Choose: take(RC4)}); !errors.Is(err, ErrNoMethod) {
		t.Errorf("receiver: %v", err)
	}
	b.Close()
	if err := <-done; err == nil {
		t.Error("initiator is content")
	}
}

func TestCountersStayFew(t *testing.T) {
	for i := range 40 {
		a, b := pair(t)
		go func() { _, _ = Initiate(within(t), a, hashOf(0), Method(i<<8)|RC4, nil, nil) }()
		if _, err := Receive(within(t), b, Reception{Torrents: [][]units.InfoHash{hashes(0, 1)}, Choose: take(RC4)}); err != nil {
			t.Fatal(err)
		}
	}
	if n := counters(); n > 9 {
		t.Errorf("%d counters", n)
	}
}

func TestWindowsGrowWithinTheBudget(t *testing.T) {
	i, r, a, b := shake(t, RC4, RC4, nil)
	i.Stream.budget, r.Stream.budget = NewBudget(leastWindow), nil
	go toConn(i.Stream, a, make([]byte, 1<<20))
	if _, err := io.CopyN(io.Discard, r.Stream, 1<<20); err != nil {
		t.Fatal(err)
	}
	if i.Stream.out.size != 2*leastWindow || r.Stream.in.size != leastWindow || i.Stream.budget.Left() != 0 {
		t.Errorf("windows of %d and %d", i.Stream.out.size, r.Stream.in.size)
	}
	budget := i.Stream.budget
	i.Stream.Release()
	i.Stream.Release()
	if budget.Left() != leastWindow {
		t.Errorf("%d left", budget.Left())
	}
	_ = b
}

// TestSplitAnywhere reads and writes in pieces of any size.
func TestSplitAnywhere(t *testing.T) {
	i, r, a, b := shake(t, RC4, RC4, nil)
	i.Stream.SetSink(&outlet{to: a})
	raw, err := b.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.Byte(), 1, 20000).Draw(t, "words")
		at := rapid.SliceOfN(rapid.IntRange(1, 9000), 1, 10).Draw(t, "writes")
		var writer sync.WaitGroup
		defer writer.Wait()
		writer.Go(func() {
			for n, rest := 0, words; len(rest) > 0; n++ {
				rest = rest[i.Stream.Seal(rest[:min(len(rest), at[n%len(at)])]):]
			}
		})
		sizes := rapid.SliceOfN(rapid.IntRange(1, 9000), 1, 10).Draw(t, "reads")
		var got []byte
		for n := 0; len(got) < len(words); n++ {
			buf := make([]byte, sizes[n%len(sizes)])
			var m int
			if err := raw.Read(func(fd uintptr) bool {
				var err error
				m, err = r.Stream.ReadFD(int(fd), buf)
				return !errors.Is(err, syscall.EAGAIN)
			}); err != nil || m == 0 {
				t.Fatalf("read %d, %v", m, err)
			}
			got = append(got, buf[:m]...)
		}
		if !bytes.Equal(got, words) {
			t.Fatal("not what was said")
		}
	})
}
