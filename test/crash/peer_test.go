package crash

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"paygate/proxy/wire"
	"paygate/test/light"
	"paygate/test/process"
	"paygate/units"
)

// rig is a seeder behind a tap.
func rig(t *testing.T) *tap {
	t.Helper()
	s, err := light.NewSeeder("127.0.0.1:0", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	p, err := newTap("127.0.0.1:0", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	wg.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() { stop(); wg.Wait() })
	return p
}

// ask connects to the tap and asks for blocks.
func ask(t *testing.T, p *tap, blocks int) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	b := append(light.Greeting(units.InfoHash{1}, "-XX0001-"), wire.FrameInterested()...)
	for i := range blocks {
		b = wire.AppendRequest(b, wire.Block{Index: uint32(i), Length: light.BlockSize})
	}
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestTapCountsBlocks(t *testing.T) {
	p := rig(t)
	conn := ask(t, p, 100)
	if ih, err := light.Meet(conn); err != nil || ih != (units.InfoHash{1}) {
		t.Fatal(ih, err)
	}
	var f light.Framer
	kinds := map[wire.Kind]int{}
	buf := make([]byte, 10_000)
	for kinds[wire.Piece] < 100 {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		err = f.Feed(buf[:n], func(m wire.Frame) error {
			if m.End {
				kinds[m.Kind]++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if kinds[wire.Bitfield] != 1 || kinds[wire.Unchoke] != 1 || kinds[wire.ExtendedHandshake] != 1 {
		t.Errorf("the seeder said %v", kinds)
	}
	if p.bytes() != 100*light.BlockSize {
		t.Errorf("%d bytes were counted, not %d", p.bytes(), 100*light.BlockSize)
	}
}

// TestTapOutlivesBuyer: what the seller has sent is counted even if nobody is there to take it.
func TestTapOutlivesBuyer(t *testing.T) {
	seller, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := newTap("127.0.0.1:0", seller.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	conn := ask(t, p, 0)
	toSeller, err := seller.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = toSeller.Close() }()
	_ = conn.Close()
	if _, err := io.Copy(io.Discard, toSeller); err != nil { // until the tap has noticed
		t.Fatal(err)
	}
	head := wire.NewHead(units.InfoHash{1})
	block := append([]byte{0, 0, 0x40, 9, 7}, make([]byte, 8+light.BlockSize)...)
	if _, err := toSeller.Write(append(append(head[:], make([]byte, wire.PeerIDLen)...), append(block, block...)...)); err != nil {
		t.Fatal(err)
	}
	_ = toSeller.Close()
	waiting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := process.Poll(waiting, time.Millisecond, func() error {
		if !p.idle() {
			return errNotAtRest
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if p.bytes() != 2*light.BlockSize {
		t.Errorf("%d bytes were counted", p.bytes())
	}
}
