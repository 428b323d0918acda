package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"

	pp "github.com/anacrolix/torrent/peer_protocol"

	"paygate/proxy/wire"
)

// beRelay is what this program does when it is a relay to be measured.
func beRelay(ctx context.Context, o options) error {
	carry, ok := map[string]func(dst, src *net.TCPConn) error{
		"splice": splice, "copy": copyThrough, "decoder": decode,
	}[o.relay]
	if !ok {
		return fmt.Errorf("-relay: %q is none", o.relay)
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil
		}
		wg.Go(func() { relay(conn.(*net.TCPConn), o.to, carry) })
	}
}

func relay(near *net.TCPConn, to string, carry func(dst, src *net.TCPConn) error) {
	defer near.Close()
	conn, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	far := conn.(*net.TCPConn)
	defer far.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = carry(far, near) // it ends when a side goes away
		_ = far.CloseWrite()
	})
	_ = carry(near, far)
	_ = near.CloseWrite()
	wg.Wait()
}

func splice(dst, src *net.TCPConn) error {
	_, err := io.Copy(dst, src)
	return err
}

func copyThrough(dst, src *net.TCPConn) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, endBuffer))
	return err
}

// decode reads whole messages into structs and writes them again, as a program does that has only the library.
func decode(dst, src *net.TCPConn) error {
	in, out := bufio.NewReaderSize(src, endBuffer), bufio.NewWriterSize(dst, endBuffer)
	if _, err := io.CopyN(out, in, wire.HandshakeLen); err != nil {
		return err
	}
	d := pp.Decoder{R: in, MaxLength: 1 << 20, Pool: &sync.Pool{New: func() any {
		b := make([]byte, block)
		return &b
	}}}
	for {
		if in.Buffered() < 4 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		var m pp.Message
		if err := d.Decode(&m); err != nil {
			return err
		}
		if err := m.WriteTo(out); err != nil {
			return err
		}
		if m.Type == pp.Piece {
			b := m.Piece
			d.Pool.Put(&b)
		}
	}
}
