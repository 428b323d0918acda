package crash

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"paygate/proxy/wire"
	"paygate/test/light"
	"paygate/units"
)

// tap stands between the two paygates and counts what really leaves the seller's: the payload of every block that came
// through whole. It reads a seller's connection to its end even when the buyer has gone, so that nothing escapes it.
type tap struct {
	lis    net.Listener
	seller string // address of the seller's paygate
	passed atomic.Int64
	open   atomic.Int64 // connections to the seller
}

// drainTime is how long a seller's paygate may take to end a connection whose buyer has gone.
const drainTime = 20 * time.Second

const dialTime = 5 * time.Second

func newTap(address, seller string) (*tap, error) {
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &tap{lis: lis, seller: seller}, nil
}

func (t *tap) address() string { return t.lis.Addr().String() }

func (t *tap) bytes() units.Bytes { return units.Bytes(t.passed.Load()) }

// idle reports that no connection is open.
func (t *tap) idle() bool { return t.open.Load() == 0 }

// Run relays until ctx ends.
func (t *tap) Run(ctx context.Context) error { return light.Accept(ctx, t.lis, t.relay) }

func (t *tap) relay(ctx context.Context, buyer *net.TCPConn) {
	t.open.Add(1)
	defer t.open.Add(-1)
	dialer := net.Dialer{Timeout: dialTime}
	c, err := dialer.DialContext(ctx, "tcp", t.seller)
	if err != nil {
		return
	}
	seller := c.(*net.TCPConn)
	stop := context.AfterFunc(ctx, func() { _ = seller.Close() })
	defer stop()
	defer func() { _ = seller.Close() }()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(seller, buyer)
		_ = seller.CloseWrite()
		_ = seller.SetReadDeadline(time.Now().Add(drainTime))
	})
	t.count(seller, buyer)
	_ = buyer.Close() // which ends the other direction
	wg.Wait()
}

// count passes the seller's bytes on as long as the buyer takes them, and reads on when it does not.
func (t *tap) count(seller io.Reader, buyer io.Writer) {
	var f light.Framer
	head := wire.HandshakeLen
	buf := make([]byte, 64<<10)
	for taken := true; ; {
		n, err := seller.Read(buf)
		skip := min(head, n)
		head -= skip
		if f.Feed(buf[skip:n], t.note) != nil {
			return
		}
		if taken && n > 0 {
			_, werr := buyer.Write(buf[:n])
			taken = werr == nil
		}
		if err != nil {
			return
		}
	}
}

func (t *tap) note(m wire.Frame) error {
	if m.Kind == wire.Piece && m.End {
		t.passed.Add(int64(m.Block.Length))
	}
	return nil
}
