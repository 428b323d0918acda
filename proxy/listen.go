package proxy

import (
	"context"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"
)

// accept takes connections until ctx ends. Each is served in a goroutine of its own.
func (p *Proxy) accept(ctx context.Context, l *net.TCPListener, serve func(context.Context, *net.TCPConn)) {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	wait := time.Duration(0)
	for {
		conn, err := l.AcceptTCP()
		switch {
		case err == nil:
			wait = 0
			p.wg.Go(func() { serve(ctx, conn) })
		case ctx.Err() != nil:
			return
		default:
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			p.log.Warn("accept failed", zap.Stringer("listener", l.Addr()), zap.Bool("resources", outOfFiles(err)), zap.Error(err))
			if !sleep(ctx, wait) {
				return
			}
		}
	}
}

// sleep waits, and reports false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// inbound serves a stranger's connection. It owns conn.
func (p *Proxy) inbound(ctx context.Context, conn *net.TCPConn) {
	defer conn.Close()
	remote := addrPort(conn.RemoteAddr())
	slot, err := p.limits.inbound(remote.Addr())
	if err != nil {
		p.refused(remote, err)
		return
	}
	defer slot.free()
	if err := p.admit(ctx, conn, remote, slot); err != nil {
		p.refused(remote, err)
	}
}

// admit reads who is wanted, connects to the client and runs the session. The error says why there was none.
func (p *Proxy) admit(ctx context.Context, conn *net.TCPConn, remote netip.AddrPort, slot *slot) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	l := legs{remote: side{conn: conn}, addr: remote}
	hail, err := p.hear(ctx, &l.remote, false, remote.Addr())
	if err != nil {
		return err
	}
	client, err := p.dialClient(ctx, remote.Addr())
	if err != nil {
		return err
	}
	defer p.hangUp(client, remote.Addr())
	if !stop() {
		return ctx.Err()
	}
	l.client.conn = client
	if hail.unseen != nil {
		return p.serveHidden(ctx, l, hail.unseen, slot.settle)
	}
	return p.serveHead(ctx, l, hail, slot.settle)
}

// serveHead runs a session that begins with the initiator's head.
func (p *Proxy) serveHead(ctx context.Context, l legs, h hail, settled func()) error {
	l.hash = h.head.InfoHash()
	to := p.clientRoute(&l)
	if l.initiator {
		to = p.remoteRoute(&l, h.provided)
	}
	defer to.end()
	s, err := p.newSession(l, p.desk.Admit(l.arrival()))
	if err != nil {
		return err
	}
	p.serve(ctx, s, func() error { return s.begin(ctx, h.head, to) }, settled)
	if !l.initiator && s.toRemote.sent.Load() == 0 {
		p.secrecy.doubt()
	}
	return nil
}

// serveHidden runs a blind session whose torrent is unknown. first is what the initiator has said.
func (p *Proxy) serveHidden(ctx context.Context, l legs, first []byte, settled func()) error {
	s, err := p.newSession(l, Free)
	if err != nil {
		return err
	}
	p.serve(ctx, s, func() error { return s.beginHidden(first) }, settled)
	return nil
}

// refused writes one line about a connection that became no session, but not too many of them.
func (p *Proxy) refused(remote netip.AddrPort, err error) {
	if isNoise(err) {
		p.log.Debug("connection ended early", zap.Stringer("peer", remote), zap.Error(err))
		return
	}
	if !p.quiet.Allow() {
		p.hushed.Add(1)
		return
	}
	p.log.Info("connection refused", zap.Stringer("peer", remote), zap.Error(err), zap.Int64("not_logged_before", p.hushed.Swap(0)))
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
