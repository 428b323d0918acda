package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"paygate/proxy/wire"
	"paygate/test/light"
)

const (
	together = 200 // visitors at once
	homes    = 500 // addresses that they come from
)

// visitors are peers without paygate that come to the seller and soon leave.
type visitors struct {
	target string
	made   atomic.Int64
	served atomic.Int64 // blocks of a free torrent
	failed atomic.Int64 // could not even connect
}

func newVisitors(target string) *visitors { return &visitors{target: target} }

// run sends as many as are due, until ctx ends; it returns when the last has left.
func (v *visitors) run(ctx context.Context, due func() int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, together)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for range due() - len(room) {
			select {
			case room <- struct{}{}:
			default:
				continue
			}
			wg.Go(func() {
				defer func() { <-room }()
				v.visit(ctx)
			})
		}
	}
}

// visit comes from one of many addresses and behaves in one of several ways.
func (v *visitors) visit(ctx context.Context) {
	n := rand.IntN(homes)
	dialer := net.Dialer{Timeout: 5 * time.Second, LocalAddr: net.TCPAddrFromAddrPort(
		netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 15, byte(1 + n/250), byte(1 + n%250)}), 0))}
	c, err := dialer.DialContext(ctx, "tcp", v.target)
	if err != nil {
		if ctx.Err() == nil {
			v.failed.Add(1)
		}
		return
	}
	v.made.Add(1)
	conn := c.(*net.TCPConn)
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	ways := []func(context.Context, *net.TCPConn){v.download, v.download, v.hope, v.vanish, v.babble, v.idle}
	ways[rand.IntN(len(ways))](ctx, conn)
}

// download takes a few blocks of a free torrent.
func (v *visitors) download(_ context.Context, conn *net.TCPConn) {
	hello := append(light.Greeting(forFree(), "-SV0001-"), wire.FrameInterested()...)
	for n := range uint32(4) {
		hello = wire.AppendRequest(hello, wire.Block{Index: n, Length: light.BlockSize})
	}
	if _, err := conn.Write(hello); err != nil {
		return
	}
	if _, err := light.Meet(conn); err != nil {
		return
	}
	var f light.Framer
	buf := make([]byte, 32<<10)
	for blocks := 0; blocks < 4; {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if err := f.Feed(buf[:n], func(m wire.Frame) error {
			if m.Kind == wire.Piece && m.End {
				blocks++
				v.served.Add(1)
			}
			return nil
		}); err != nil {
			return
		}
	}
}

// hope wants a torrent that costs money, and has none.
func (v *visitors) hope(ctx context.Context, conn *net.TCPConn) {
	if _, err := conn.Write(append(light.Greeting(torrent(0, 0), "-SV0001-"), wire.FrameInterested()...)); err != nil {
		return
	}
	_ = conn.SetDeadline(time.Now().Add(time.Duration(rand.IntN(3000)) * time.Millisecond))
	_, _ = io.Copy(io.Discard, conn)
}

// vanish resets the connection in the middle of its handshake.
func (v *visitors) vanish(_ context.Context, conn *net.TCPConn) {
	hello := light.Greeting(forFree(), "-SV0001-")
	_, _ = conn.Write(hello[:rand.IntN(len(hello))])
	_ = conn.SetLinger(0)
}

// babble speaks some other protocol.
func (v *visitors) babble(_ context.Context, conn *net.TCPConn) {
	_, _ = conn.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	_, _ = io.Copy(io.Discard, conn)
}

// idle says nothing for a while.
func (v *visitors) idle(ctx context.Context, _ *net.TCPConn) {
	wait(ctx, time.Duration(rand.IntN(2000))*time.Millisecond)
}
