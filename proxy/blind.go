package proxy

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

const (
	// blindChunk is how many bytes are copied between two updates of the counters.
	blindChunk = 1 << 20
	// linger is how long the other direction may go on after one has ended.
	linger = 10 * time.Second
)

// copyBuffered is copyBlind where the kernel cannot splice.
func copyBuffered(dst, src *net.TCPConn, counts ...*atomic.Int64) error {
	for {
		n, err := io.CopyN(struct{ io.Writer }{dst}, src, blindChunk)
		for _, c := range counts {
			if c != nil {
				c.Add(n)
			}
		}
		if err != nil {
			return err
		}
	}
}

// mayGoBlind reports whether framing may end here. It may not while something waits to be injected; nor, towards the
// client, while the remote may send what the client must not see.
func (f *flow) mayGoBlind() (bool, error) {
	if !f.s.released.Load() || f.stage != atFrames || f.dropping || f.s.chatty() || !f.out && !f.s.remoteHarmless() {
		return false, nil
	}
	return f.dst.tryEnd()
}

// goBlind passes what is left in the buffer, then everything else, unseen.
func (f *flow) goBlind(rest []byte, err error) error {
	if err == nil {
		err = f.dst.rawBytes(rest)
	}
	f.letGo()
	if f.s.hush != nil {
		f.s.hush()
	}
	if err != nil {
		return err
	}
	if f.src.cipher != nil || f.dst.cipher != nil {
		return f.copyThrough()
	}
	first := f.src.first
	f.src.first = nil
	f.read.Add(int64(len(first)))
	if err := f.dst.rawBytes(first); err != nil {
		return err
	}
	return copyBlind(f.dst.conn, f.src.conn, &f.read, &f.dst.sent)
}

// copyThrough is copyBlind where bytes must come through a cipher.
func (f *flow) copyThrough() error {
	defer f.letGo()
	for {
		if err := f.readMore(); err != nil {
			return err
		}
		n := f.fill
		f.fill = 0
		if err := f.dst.rawBytes(f.buffer.b[:n]); err != nil {
			return err
		}
	}
}

// tunnel copies between two connections in both directions until both have ended, and closes them. It is for connections that are
// none of our business. The first error that is not an orderly end is returned.
func tunnel(a, b *net.TCPConn, aToB, bToA *atomic.Int64) error {
	back := make(chan error, 1)
	go oneWay(a, b, bToA, back)
	there := make(chan error, 1)
	oneWay(b, a, aToB, there)
	err := errors.Join(<-there, <-back)
	a.Close()
	b.Close()
	return err
}

// oneWay copies one direction of a tunnel and reports how it ended.
func oneWay(dst, src *net.TCPConn, count *atomic.Int64, done chan<- error) {
	err := copyBlind(dst, src, count)
	if errors.Is(err, io.EOF) {
		err = nil
		_ = dst.CloseWrite() // fails only if the other direction has failed, which reports it
		_ = dst.SetReadDeadline(time.Now().Add(linger))
	} else {
		src.Close()
		dst.Close()
	}
	done <- err
}
