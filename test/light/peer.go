package light

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"

	"paygate/proxy/wire"
	"paygate/units"
)

// BlockSize is what peers ask for at once, in bytes.
const BlockSize = 16 << 10

const pieceCount = 4096 // complete bytes of a bitfield

// Greeting is what a peer says first: a handshake with only the extension protocol in it, and an extended handshake.
func Greeting(ih units.InfoHash, name string) []byte {
	head := wire.NewHead(ih)
	b := append(head[:], (name + "--------------------")[:wire.PeerIDLen]...)
	return wire.AppendExtended(b, 0, []byte("d1:md11:ut_metadatai0ee4:reqqi500e1:v5:crashe"))
}

// Bitfield says that the sender has everything.
func Bitfield() []byte {
	b := binary.BigEndian.AppendUint32(nil, 1+pieceCount/8)
	b = append(b, 5)
	for range pieceCount / 8 {
		b = append(b, 0xff)
	}
	return b
}

// Meet reads the other side's handshake and returns the torrent that it names.
func Meet(r io.Reader) (units.InfoHash, error) {
	var b [wire.HandshakeLen]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return units.InfoHash{}, err
	}
	head, err := wire.ParseHead(b[:])
	return head.InfoHash(), err
}

// Framer cuts what is fed to it into frames.
type Framer struct {
	scan wire.Scanner
	rest []byte
}

// Feed takes the next bytes of a stream.
func (f *Framer) Feed(b []byte, fn func(wire.Frame) error) error {
	f.rest = append(f.rest, b...)
	pos := 0
	for {
		frame, n, err := f.scan.Next(f.rest[pos:])
		if err != nil {
			return err
		}
		if n == 0 {
			f.rest = append(f.rest[:0], f.rest[pos:]...)
			return nil
		}
		if err := fn(frame); err != nil {
			return err
		}
		pos += n
	}
}

// Accept serves connections until ctx ends, each in a goroutine that it waits for. It owns lis.
func Accept(ctx context.Context, lis net.Listener, serve func(context.Context, *net.TCPConn)) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { _ = lis.Close() })
	defer stop()
	for {
		conn, err := lis.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		wg.Go(func() { attend(ctx, conn.(*net.TCPConn), serve) })
	}
}

// attend serves one connection, closes it, and ends it early when ctx ends.
func attend(ctx context.Context, conn *net.TCPConn, serve func(context.Context, *net.TCPConn)) {
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	serve(ctx, conn)
}
