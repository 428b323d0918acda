package light

import (
	"context"
	"encoding/binary"
	"net"

	"golang.org/x/time/rate"

	"paygate/proxy/wire"
	"paygate/units"
)

// Seeder is the seller's client: it has every torrent, unchokes whoever is interested, and answers every request with a
// block of zeros, at a limited rate over all connections.
type Seeder struct {
	lis  net.Listener
	pace *rate.Limiter
}

// NewSeeder listens at an address. It gives no more than so many bytes a second.
func NewSeeder(address string, perSecond units.Bytes) (*Seeder, error) {
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return &Seeder{lis: lis, pace: rate.NewLimiter(rate.Limit(perSecond), BlockSize)}, nil
}

// Close gives the address up; Run does so, too.
func (s *Seeder) Close() error { return s.lis.Close() }

// Address is where it listens.
func (s *Seeder) Address() string { return s.lis.Addr().String() }

// Run serves until ctx ends.
func (s *Seeder) Run(ctx context.Context) error { return Accept(ctx, s.lis, s.serve) }

// maxAsked is more requests than a paygate passes on at once.
const maxAsked = 1024

// order is a message to write: a block, or what control holds.
type order struct {
	control []byte
	block   wire.Block
}

func (s *Seeder) serve(ctx context.Context, conn *net.TCPConn) {
	ih, err := Meet(conn)
	if err != nil {
		return
	}
	if _, err := conn.Write(append(Greeting(ih, "-CS0001-"), Bitfield()...)); err != nil {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	orders := make(chan order, maxAsked)
	done := make(chan struct{})
	go s.write(ctx, conn, orders, done)
	s.read(conn, orders)
	stop()
	<-done
}

// read takes orders until the connection ends. A peer that orders more than it may is cut off.
func (s *Seeder) read(conn *net.TCPConn, orders chan<- order) {
	var f Framer
	buf := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if err := f.Feed(buf[:n], func(m wire.Frame) error { return take(m, orders) }); err != nil {
			return
		}
	}
}

func take(m wire.Frame, orders chan<- order) error {
	var o order
	switch m.Kind {
	case wire.Interested:
		o.control = wire.FrameUnchoke()
	case wire.NotInterested:
		o.control = wire.FrameChoke()
	case wire.Request:
		o.block = m.Block
	default:
		return nil
	}
	select {
	case orders <- o:
		return nil
	default:
		return errTooMuch
	}
}

func (s *Seeder) write(ctx context.Context, conn *net.TCPConn, orders <-chan order, done chan<- struct{}) {
	defer close(done)
	for {
		var o order
		select {
		case <-ctx.Done():
			return
		case o = <-orders:
		}
		if err := s.fulfil(ctx, conn, o); err != nil {
			_ = conn.Close() // which ends read
			return
		}
	}
}

func (s *Seeder) fulfil(ctx context.Context, conn *net.TCPConn, o order) error {
	if o.control != nil {
		_, err := conn.Write(o.control)
		return err
	}
	if o.block.Length > BlockSize {
		return errTooMuch
	}
	if err := s.pace.WaitN(ctx, int(o.block.Length)); err != nil {
		return err
	}
	b := make([]byte, 13, 13+o.block.Length)
	binary.BigEndian.PutUint32(b, 9+o.block.Length)
	b[4] = 7
	binary.BigEndian.PutUint32(b[5:], o.block.Index)
	binary.BigEndian.PutUint32(b[9:], o.block.Begin)
	_, err := conn.Write(b[:13+o.block.Length])
	return err
}
