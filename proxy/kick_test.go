package proxy

import (
	"io"
	"net"
	"sync"
	"testing"
)

// TestNoInjectionIsForgotten: of two that inject at the same time, the one that does not get the right to write relies on
// the other to look again.
func TestNoInjectionIsForgotten(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	conn, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	far, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	go func() { _, _ = io.Copy(io.Discard, far) }()
	var s sender
	if err := s.init(side{conn: conn.(*net.TCPConn)}, func(do func()) bool { go do(); return true }, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	s.mid = false
	frame := []byte{0, 0, 0, 0}
	for i := range 300_000 {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := s.put(frame); err != nil {
					t.Error(err)
				}
				s.kick()
			})
		}
		wg.Wait()
		if s.due() {
			t.Fatalf("round %d: a frame waits, and nobody is going to write it", i)
		}
	}
}
