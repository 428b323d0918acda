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
		go func() { ended <- copyBlind(nearA, nearB) }()
		go func() { ended <- copyBlind(nearB, nearA) }()
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
