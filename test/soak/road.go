package main

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"paygate/test/light"
)

// road leads one client's connections to the seller, from an address in a network of its own: strangers of one network
// have to share what they may ask for.
type road struct {
	lis    net.Listener
	from   net.IP
	target string
}

func newRoad(number byte, target string) (*road, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	return &road{lis: lis, from: net.IPv4(127, 14, number, 1), target: target}, err
}

func (r *road) address() string { return r.lis.Addr().String() }

// Run relays until ctx ends.
func (r *road) Run(ctx context.Context) error { return light.Accept(ctx, r.lis, r.relay) }

func (r *road) relay(ctx context.Context, buyer *net.TCPConn) {
	dialer := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: r.from}}
	c, err := dialer.DialContext(ctx, "tcp", r.target)
	if err != nil {
		return
	}
	seller := c.(*net.TCPConn)
	stop := context.AfterFunc(ctx, func() { _ = seller.Close() })
	defer stop()
	defer func() { _ = seller.Close() }()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { pass(seller, buyer) })
	pass(buyer, seller)
}

// pass copies to the end and hands that on.
func pass(to, from *net.TCPConn) {
	_, _ = io.Copy(to, from)
	_ = to.CloseWrite()
}
