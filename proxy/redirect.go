package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Mark is what paygate's own outgoing connections carry (SO_MARK), if there is a transparent listener and the process
// may set it, so that firewall rules can let them pass: "pg". The rules of `paygate firewall` also give it to packets
// that are to be delivered here whatever their address.
const Mark = 0x7067

var (
	errDialled = errors.New("somebody has connected to listen.redirect directly: it serves only connections that the firewall " +
		"redirects; see that the rules are there (paygate firewall apply), and that nothing else uses this port")
	errLoop = errors.New("paygate's own connections are redirected to itself: run it as another user than the client, " +
		"or give it the capability CAP_NET_ADMIN, with which it marks them")
	errOwnAddress = errors.New("the client has connected to listen.tproxy directly, and not through the rules of paygate firewall")
)

// ownDials are the local addresses of the connections that redirected ones have led to. One of them coming back in is
// a loop.
type ownDials struct {
	mu   sync.Mutex
	from map[netip.AddrPort]bool
}

func (o *ownDials) add(a netip.AddrPort) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.from[a] = true
}

func (o *ownDials) remove(a netip.AddrPort) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.from, a)
}

func (o *ownDials) has(a netip.AddrPort) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.from[a]
}

// listenRedirected opens the listeners for connections that the kernel brings here.
func (p *Proxy) listenRedirected() (err error) {
	if p.cfg.Redirect != "" {
		if p.redir, err = listenTCP(p.cfg.Redirect); err != nil {
			return fmt.Errorf("listen for redirected connections: %w", err)
		}
	}
	if p.cfg.TProxy != "" {
		if p.tproxy, err = listenTransparent(p.cfg.TProxy); err != nil {
			return fmt.Errorf("listen for TPROXY: %w", err)
		}
		if p.cfg.PublicPort == 0 {
			p.cfg.PublicPort = uint16(p.client.Port)
		}
	}
	if (p.redir != nil || p.tproxy != nil) && may(markDial) == nil {
		p.mark = markDial
		return p.markListeners()
	}
	return nil
}

// markListeners marks what paygate answers to those who connect to it, so that it may even run as the client's user.
// Accepted connections inherit the mark.
func (p *Proxy) markListeners() error {
	for _, l := range append([]*net.TCPListener{p.peers, p.redir, p.tproxy}, p.also...) {
		if l == nil {
			continue
		}
		raw, err := l.SyscallConn()
		if err == nil {
			err = p.mark("tcp", "", raw)
		}
		if err != nil {
			return fmt.Errorf("mark the connections of %s: %w", l.Addr(), err)
		}
	}
	return nil
}

// findPeerWay sees whether the client can be reached from its peers' own addresses, if it is to be.
func (p *Proxy) findPeerWay() (err error) {
	if !p.cfg.FromPeer {
		return nil
	}
	if err := may(transparent); err != nil {
		return fmt.Errorf("connect to the client from the addresses of its peers (client.source): %w", notPermitted(err))
	}
	if p.cfg.ClientIPv6 != "" {
		if p.client6, err = net.ResolveTCPAddr("tcp6", p.cfg.ClientIPv6); err != nil {
			return fmt.Errorf("client's IPv6 address: %w", err)
		}
	}
	return nil
}

// serveRedirected serves a connection that the client has made to somebody else and that netfilter has redirected
// here. It owns conn.
func (p *Proxy) serveRedirected(ctx context.Context, conn *net.TCPConn) {
	var d dues
	defer d.pay()
	d.owe(func() { conn.Close() })
	target, err := originalDst(conn)
	switch {
	case err != nil:
		err = fmt.Errorf("ask for the original destination: %w", err)
	case target == addrPort(conn.LocalAddr()):
		err = errDialled
	default:
		err = p.forward(ctx, conn, target, &d)
	}
	if err != nil {
		p.refused(addrPort(conn.RemoteAddr()), err)
	}
}

// serveTransparent serves a connection that TPROXY has brought here, so that its local address is where it was going:
// a stranger's on its way to the client, or the client's own. It owns conn.
func (p *Proxy) serveTransparent(ctx context.Context, conn *net.TCPConn) {
	if from := addrPort(conn.RemoteAddr()).Addr(); !p.isClient(from) {
		p.inbound(ctx, conn)
		return
	}
	var d dues
	defer d.pay()
	d.owe(func() { conn.Close() })
	target := addrPort(conn.LocalAddr())
	err := errOwnAddress
	if !isOwn(target.Addr()) {
		err = p.forward(ctx, conn, target, &d)
	}
	if err != nil {
		p.refused(addrPort(conn.RemoteAddr()), err)
	}
}

// isClient reports whether an address is the client's, and not one that many share.
func (p *Proxy) isClient(a netip.Addr) bool {
	return slices.ContainsFunc([]*net.TCPAddr{p.client, p.client6}, func(c *net.TCPAddr) bool {
		return c != nil && c.AddrPort().Addr().Unmap() == a && !a.IsLoopback()
	})
}

// isOwn reports whether an address is this machine's.
func isOwn(a netip.Addr) bool {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return true // then nothing is dialled, and no loop can begin
	}
	return a.IsLoopback() || slices.ContainsFunc(list, func(n net.Addr) bool {
		prefix, err := netip.ParsePrefix(n.String())
		return err == nil && prefix.Addr() == a
	})
}

// forward connects to where the client wanted to go, and carries the connection. A client that cannot be served
// sees a reset, as from a peer that refuses.
func (p *Proxy) forward(ctx context.Context, conn *net.TCPConn, target netip.AddrPort, d *dues) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	slot, err := p.limits.outbound()
	if err != nil {
		return errors.Join(err, conn.SetLinger(0))
	}
	d.owe(slot.free)
	remote, err := p.dialOut(ctx, conn, target)
	if err != nil {
		return errors.Join(err, conn.SetLinger(0))
	}
	own := addrPort(remote.LocalAddr())
	d.owe(func() { p.own.remove(own) })
	d.owe(func() { remote.Close() })
	if !stop() {
		return ctx.Err()
	}
	stopBoth := context.AfterFunc(ctx, func() { conn.Close(); remote.Close() })
	defer stopBoth()
	return p.carry(ctx, conn, remote, stopBoth, d)
}

// dialOut connects to target on behalf of conn, unless conn is itself such a connection. What it returns is listed in
// p.own; its caller takes it out.
func (p *Proxy) dialOut(ctx context.Context, conn *net.TCPConn, target netip.AddrPort) (*net.TCPConn, error) {
	from := addrPort(conn.RemoteAddr())
	if p.own.has(from) {
		return nil, errLoop
	}
	remote, err := p.dialRemote(ctx, target.String())
	if err != nil {
		var socks *socksError
		if errors.As(err, &socks) {
			err = socks.err // nobody speaks SOCKS5 here
		}
		return nil, err
	}
	own := addrPort(remote.LocalAddr())
	p.own.add(own)
	if p.own.has(from) { // the dial that made conn may have returned only now
		p.own.remove(own)
		remote.Close()
		return nil, errLoop
	}
	return remote, nil
}
