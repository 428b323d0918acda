package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
)

func TestIdleBlindCopiesHoldNoPipes(t *testing.T) {
	const n = 200
	before := openFiles(t)
	ended := make(chan error, 2*n)
	var ends []*net.TCPConn
	for range n {
		a, nearA := pair(t)
		b, nearB := pair(t)
		go func() { ended <- blindly(nearA, nearB) }()
		go func() { ended <- blindly(nearB, nearA) }()
		ends = append(ends, a, b)
		for _, way := range [][2]*net.TCPConn{{a, b}, {b, a}} {
			if _, err := way[0].Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 5)
			if _, err := io.ReadFull(way[1], got); err != nil || string(got) != "hello" {
				t.Fatalf("%q, %v", got, err)
			}
		}
	}
	if extra := openFiles(t) - before - 4*n; extra > 2*pipesKept+16 {
		t.Errorf("%d idle copies hold %d descriptors beside their sockets", 2*n, extra)
	}
	for _, c := range ends {
		c.Close()
	}
	for range 2 * n {
		if err := <-ended; !errors.Is(err, io.EOF) && !isNoise(err) {
			t.Error(err)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestPipesAreBounded: whoever reads nothing cannot have all descriptors become pipes, and without one bytes still pass.
func TestPipesAreBounded(t *testing.T) {
	for files, want := range map[uint64]int64{64: 64, 1024: 64, 8192: 256, 20_000: 625, 1 << 20: 1024, 1<<64 - 1: 1024} {
		if got := pipesFor(files); got != want {
			t.Errorf("%d files are room for %d pipes, want %d", files, got, want)
		}
		if files >= 1024 && 2*uint64(pipesFor(files))+filesEach*uint64(roomFor(files)) > files {
			t.Errorf("with pipes, %d files are too few", files)
		}
	}
	before := openFiles(t)
	var taken []*pipe
	for len(taken) <= pipesMost {
		p, err := takePipe()
		if err != nil {
			break
		}
		taken = append(taken, p)
	}
	if int64(len(taken)) > pipeRoom() {
		t.Errorf("%d pipes", len(taken))
	}
	a, nearA := pair(t)
	b, nearB := pair(t)
	ended := make(chan error, 1)
	go func() { ended <- blindly(nearA, nearB) }()
	if _, err := b.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(a, got); err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
	for _, p := range taken {
		p.give()
	}
	b.Close()
	if err := <-ended; !errors.Is(err, io.EOF) && !isNoise(err) {
		t.Error(err)
	}
	if extra := openFiles(t) - before; extra > 2*pipesKept+8 {
		t.Errorf("%d descriptors stay open", extra)
	}
}
