package proxy

import (
	"context"
	"errors"
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
			tell := p.log.Debug
			if wait == 0 {
				tell = p.log.Warn // once, until it succeeds again
			}
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			tell("accept failed", zap.Stringer("listener", l.Addr()), zap.Bool("resources", outOfFiles(err)), zap.Error(err))
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
	var d dues
	defer d.pay()
	d.owe(func() { conn.Close() })
	remote := addrPort(conn.RemoteAddr())
	slot, err := p.limits.inbound(remote.Addr())
	if err != nil {
		p.refused(remote, err)
		return
	}
	d.owe(slot.free)
	if err := p.admit(ctx, conn, remote, slot, &d); err != nil {
		p.refused(remote, err)
	}
}

// admit reads who is wanted, connects to the client and begins the session. The error says why there was none.
func (p *Proxy) admit(ctx context.Context, conn *net.TCPConn, remote netip.AddrPort, slot *slot, d *dues) error {
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
	d.owe(func() { p.hangUp(client, remote.Addr()) })
	if !stop() {
		return ctx.Err()
	}
	l.client.conn = client
	if hail.unseen != nil {
		return p.serveHidden(l, hail.unseen, slot.settle, d)
	}
	return p.serveHead(ctx, l, hail, slot.settle, d)
}

// serveHead begins a session with the initiator's head. It takes the dues over unless it fails.
func (p *Proxy) serveHead(ctx context.Context, l legs, h hail, settled func(), d *dues) error {
	l.hash = h.head.InfoHash()
	to := p.clientRoute(&l)
	if l.initiator {
		to = p.remoteRoute(&l, h.provided)
	}
	d.owe(to.end)
	s, err := p.newSession(l, p.desk.Admit(l.arrival()))
	if err != nil {
		return err
	}
	if !l.initiator {
		d.owe(func() {
			if s.toRemote.sent.Load() == 0 {
				p.secrecy.doubt()
			}
		})
	}
	p.serve(s, func() error { return s.begin(ctx, h.head, to) }, settled, d.take())
	return nil
}

// serveHidden begins a blind session whose torrent is unknown. first is what the initiator has said. It takes the dues over unless
// it fails.
func (p *Proxy) serveHidden(l legs, first []byte, settled func(), d *dues) error {
	s, err := p.newSession(l, Free)
	if err != nil {
		return err
	}
	p.serve(s, func() error { return s.beginHidden(first) }, settled, d.take())
	return nil
}

// refused writes one line about a connection that became no session, but not too many of them.
func (p *Proxy) refused(remote netip.AddrPort, err error) {
	if isNoise(err) {
		p.log.Debug("connection ended early", zap.Stringer("peer", remote), zap.Error(err))
		return
	}
	if errors.Is(err, errFull) {
		p.full(remote)
		return
	}
	if !p.quiet.Allow() {
		p.hushed.Add(1)
		return
	}
	p.log.Info("connection refused", zap.Stringer("peer", remote), zap.Error(err), zap.Int64("not_logged_before", p.hushed.Swap(0)))
}

// full writes one line when there is no room any more, however many connections are refused until there is some again.
func (p *Proxy) full(remote netip.AddrPort) {
	if !p.limits.announce() {
		p.log.Debug("connection refused", zap.Stringer("peer", remote), zap.Error(errFull))
		return
	}
	remedy := "set limits.connections higher, if there is memory for more"
	if p.limits.total < p.cfg.Connections {
		remedy = "raise the limit of open files (ulimit -Hn, LimitNOFILE= of systemd): a connection takes two"
	}
	p.log.Warn("no more connections are taken until some have ended", zap.Int("connections", p.limits.total), zap.String("remedy", remedy))
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
