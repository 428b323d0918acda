package proxy

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// descriptor is that of a connection, which must stay open.
func descriptor(t *testing.T, c *net.TCPConn) (fd int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(n uintptr) { fd = int(n) }); err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestCallsThatDoNotWait: what the runtime is not told of says that there is nothing yet, or no more room, and never waits.
func TestCallsThatDoNotWait(t *testing.T) {
	a, b := pair(t)
	from, to := descriptor(t, a), descriptor(t, b)
	chunk := make([]byte, 1<<18)
	if n, err := readNow(to, chunk); n != -1 || !errors.Is(err, syscall.EAGAIN) {
		t.Fatalf("nothing to read: %d, %v", n, err)
	}
	sent := 0
	var err error
	for err == nil {
		var n int
		n, err = writeNow(from, chunk)
		sent += max(0, n)
	}
	if !errors.Is(err, syscall.EAGAIN) || sent == 0 {
		t.Fatalf("nobody reads: %d bytes, then %v", sent, err)
	}
	a.CloseWrite()
	for sent > 0 {
		n, err := readNow(to, chunk)
		if n == 0 || err != nil && !errors.Is(err, syscall.EAGAIN) {
			t.Fatalf("%d bytes before the end: %d, %v", sent, n, err)
		}
		sent -= max(0, n)
	}
	eventually(t, "the end", func() bool { n, err := readNow(to, chunk); return n == 0 && err == nil })
	p, err := takePipe()
	if err != nil {
		t.Fatal(err)
	}
	defer p.give()
	if n, err := spliceNow(p.r, to, 1); n != -1 || !errors.Is(err, syscall.EAGAIN) {
		t.Fatalf("an empty pipe: %d, %v", n, err)
	}
	if n, err := readNow(-1, chunk); n != -1 || !errors.Is(err, syscall.EBADF) {
		t.Fatalf("no descriptor: %d, %v", n, err)
	}
}
