package hostile

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"paygate/proxy/wire"
)

// Liar stands in front of a seeder and spoils what it gives: everything else that the two sides say passes as it is, the
// talk about money too. It reads plain streams only.
type Liar struct {
	listener net.Listener
	target   string
	honest   int64 // bytes of blocks that pass first
	given    atomic.Int64
	calls    atomic.Int64
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// Lie begins to listen for peers of the seeder at target; the first honest bytes of blocks are as they should be.
func Lie(at netip.AddrPort, target netip.AddrPort, honest int64) (*Liar, error) {
	listener, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Liar{listener: listener, target: target.String(), honest: honest, stop: stop}
	l.running.Go(func() { l.accept(ctx) })
	return l, nil
}

// Stop closes everything and waits for it. It returns how many bytes of blocks were given in all, and how often somebody
// called.
func (l *Liar) Stop() (given int64, calls int) {
	l.stop()
	l.listener.Close()
	l.running.Wait()
	return l.given.Load(), int(l.calls.Load())
}

// Given is how many bytes of blocks have been given by now.
func (l *Liar) Given() int64 { return l.given.Load() }

func (l *Liar) accept(ctx context.Context) {
	for {
		peer, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.calls.Add(1)
		l.running.Go(func() { l.serve(ctx, peer) })
	}
}

// serve lies to one peer.
func (l *Liar) serve(ctx context.Context, peer net.Conn) {
	defer peer.Close()
	var d net.Dialer
	seeder, err := d.DialContext(ctx, "tcp", l.target)
	if err != nil {
		return
	}
	defer seeder.Close()
	defer context.AfterFunc(ctx, func() { peer.Close(); seeder.Close() })()
	var asking sync.WaitGroup
	asking.Go(func() { _, _ = io.Copy(seeder, peer); seeder.Close() })
	_ = l.spoil(peer, seeder)
	peer.Close()
	asking.Wait()
}

// spoil copies what the seeder says, with changed blocks.
func (l *Liar) spoil(to io.Writer, from io.Reader) error {
	if _, err := io.CopyN(to, from, wire.HandshakeLen); err != nil {
		return err
	}
	var frames wire.Scanner
	b, fill := make([]byte, 2*wire.MaxWhole), 0
	for {
		n, err := from.Read(b[fill:])
		fill += n
		if err != nil {
			return errors.Join(err, l.pass(to, b[:fill]))
		}
		done := 0
		for done < fill {
			f, n, err := frames.Next(b[done:fill])
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			if f.Kind == wire.Piece {
				l.change(f.Payload())
			}
			done += n
		}
		if err := l.pass(to, b[:done]); err != nil {
			return err
		}
		fill = copy(b, b[done:fill])
	}
}

func (l *Liar) change(block []byte) {
	if l.given.Add(int64(len(block))) <= l.honest {
		return
	}
	for i := range block {
		block[i] ^= 0xff
	}
}

func (l *Liar) pass(to io.Writer, b []byte) error {
	_, err := to.Write(b)
	return err
}
