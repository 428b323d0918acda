package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"

	"paygate/proxy/mse"
	"paygate/proxy/wire"
	"paygate/units"
)

const (
	redialFirst = time.Second
	redialMost  = 30 * time.Second
	livedWell   = 30 * time.Second // a session this long starts the waits over
)

// dialAll starts keeping the configured connections. They stop when ctx ends.
func (p *Proxy) dialAll(ctx context.Context) {
	for _, d := range p.cfg.Dial {
		for _, peer := range d.Peers {
			p.wg.Go(func() { p.keepDialled(ctx, d.InfoHash, peer) })
		}
	}
}

// keepDialled keeps one connection between the client and a peer, by opening both legs again and again.
func (p *Proxy) keepDialled(ctx context.Context, h units.InfoHash, peer string) {
	wait := redialFirst
	for {
		began := time.Now()
		addr, err := p.cross(ctx, h, peer)
		if err != nil && ctx.Err() == nil {
			p.refused(addr, fmt.Errorf("connect the client to %s: %w", peer, err))
		}
		if time.Since(began) >= livedWell {
			wait = redialFirst
		}
		if !sleep(ctx, wait/2+rand.N(wait)) {
			return
		}
		wait = min(2*wait, redialMost)
	}
}

// cross dials the client, then the peer, crosses their handshakes and runs the session until its end. Each side believes that the
// other has called. The client is told of nothing but the extension protocol, since nobody knows yet what the peer
// can do; so the peer is told of nothing else either.
func (p *Proxy) cross(ctx context.Context, h units.InfoHash, peer string) (netip.AddrPort, error) {
	slot, err := p.limits.outbound()
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer slot.free()
	addr, err := resolve(ctx, peer)
	if err != nil {
		return addr, err
	}
	return addr, p.join(ctx, h, addr, nil)
}

// join is cross for a peer whose address is known. remote is a fresh connection to it, or nil: then it is dialled once the client has
// answered. Who made remote closes it.
func (p *Proxy) join(ctx context.Context, h units.InfoHash, addr netip.AddrPort, remote *net.TCPConn) error {
	client, err := p.dialClient(ctx, addr.Addr())
	if err != nil {
		return err
	}
	defer p.hangUp(client, addr.Addr())
	l := legs{client: side{conn: client}, addr: addr, hash: h, initiator: true}
	called := p.clientRoute(&l)
	defer called.end()
	hand, err := p.askClient(ctx, &l, called)
	if err != nil {
		return fmt.Errorf("handshake with the client: %w", err)
	}
	if remote == nil {
		if remote, err = p.dialRemote(ctx, addr.String()); err != nil {
			return err
		}
		defer remote.Close()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.remote.conn = remote
	s, err := p.newSession(l, p.desk.Admit(l.arrival()))
	if err != nil {
		return err
	}
	to := p.remoteRoute(&l, p.secrecy.asClient(&l.client))
	over := make(chan struct{})
	p.serve(s, func() error { return s.beginBoth(ctx, hand, to) }, func() {}, func() { close(over) })
	<-over
	return nil
}

// askClient sends the client a head and returns its whole handshake.
func (p *Proxy) askClient(ctx context.Context, l *legs, to route) ([]byte, error) {
	var failed error
	for i, way := range to.ways {
		if i > 0 {
			conn, err := to.redial(ctx)
			if err != nil {
				return nil, errors.Join(err, failed)
			}
			l.client.conn.Close()
			l.client = side{conn: conn}
		}
		hand, err := p.askIn(ctx, &l.client, l.hash, way)
		if err == nil {
			to.learn(way)
			return hand, nil
		}
		failed = errors.Join(failed, err)
	}
	p.secrecy.doubt()
	return nil, failed
}

// askIn is askClient in one way.
func (p *Proxy) askIn(ctx context.Context, c *side, h units.InfoHash, way mse.Method) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.HandshakeTimeout)
	defer cancel()
	head := wire.NewHead(h)
	if way != bareWay {
		r, err := mse.Initiate(ctx, c.conn, h, way, head[:], p.secrecy.budget)
		if err != nil {
			return nil, err
		}
		*c = seated(c.conn, r)
	} else if _, err := c.conn.Write(head[:]); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(past) })()
	hand := make([]byte, wire.HandshakeLen)
	if _, err := io.ReadFull(c, hand); err != nil {
		return nil, err
	}
	if !wire.LooksLikeBitTorrent(hand) {
		return nil, wire.ErrNotBitTorrent
	}
	return hand, nil
}

// beginBoth is begin for a session of which the client has had a head already: hand is its handshake, which goes to the
// remote; of the remote's only the peer id goes to the client.
func (s *Session) beginBoth(ctx context.Context, hand []byte, to route) error {
	head, err := wire.ParseHead(hand)
	if err != nil {
		return err
	}
	extended := head.Extended()
	clear(head[20:28])
	if extended {
		head.SetExtended()
	}
	s.of.known.add(s.hash)
	s.out.read.Add(wire.HandshakeLen)
	s.seeHead(true, &head)
	copy(hand, head[:])
	s.in.swallow = true
	if err := s.reach(ctx, hand, to); err != nil {
		return err
	}
	return s.out.introduced()
}

// resolve finds the address of host:port.
func resolve(ctx context.Context, hostport string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port of %q: %w", hostport, err)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(ip.Unmap(), uint16(n)), nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if len(ips) == 0 {
		return netip.AddrPort{}, errors.New("no address of " + host)
	}
	return netip.AddrPortFrom(ips[0].Unmap(), uint16(n)), nil
}
