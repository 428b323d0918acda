package mse

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"paygate/units"
)

func TestDoesNotAllocate(t *testing.T) {
	i, r, a, b := shake(t, RC4, RC4, nil)
	out := &outlet{to: a}
	i.Stream.SetSink(out)
	raw, err := b.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	words, buf := random(100000), make([]byte, 1<<16)
	var n int
	var failed error
	read := func(fd uintptr) bool {
		n, failed = r.Stream.ReadFD(int(fd), buf)
		return !errors.Is(failed, syscall.EAGAIN)
	}
	step := func() {
		for rest := words; len(rest) > 0; {
			m := i.Stream.Seal(rest)
			rest = rest[m:]
			for m > 0 {
				if err := raw.Read(read); err != nil || failed != nil {
					t.Fatal(err, failed)
				}
				m -= n
			}
		}
	}
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if i.Stream.out.size != mostWindow {
		t.Errorf("a window of %d", i.Stream.out.size)
	}
}

func BenchmarkHandshake(b *testing.B) {
	for _, n := range []int{1, 10000} {
		list := hashes(5, 5+n)
		b.Run(map[int]string{1: "one torrent", 10000: "10000 torrents"}[n], func(b *testing.B) {
			for range b.N {
				x, y := pair(b)
				go func() { _, _ = Initiate(context.Background(), x, hashOf(5), RC4, nil, nil) }()
				if _, err := Receive(context.Background(), y, Reception{Torrents: [][]units.InfoHash{list}, Choose: take(RC4)}); err != nil {
					b.Fatal(err)
				}
				x.Close()
				y.Close()
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	i, _, _, _ := shake(b, RC4, RC4, nil)
	i.Stream.SetSink(nowhere{})
	words := make([]byte, 1<<18)
	b.SetBytes(int64(len(words)))
	for range b.N {
		for rest := words; len(rest) > 0; {
			rest = rest[i.Stream.Seal(rest):]
		}
	}
}

type nowhere struct{}

func (nowhere) Sealed([]byte) {}
