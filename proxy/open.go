package proxy

import (
	"context"
	"net/netip"
	"time"

	"paygate/proxy/wire"
	"paygate/units"
)

// legs are the two connections of a session to be, and what is known of it.
type legs struct {
	remote, client side
	addr           netip.AddrPort
	hash           units.InfoHash
	initiator      bool
}

func (l legs) arrival() Arrival {
	return Arrival{InfoHash: l.hash, Remote: l.addr, Initiator: l.initiator}
}

// newSession makes a session of two connections and opens its conversation. Nothing is relayed yet.
func (p *Proxy) newSession(l legs, treatment Treatment) (*Session, error) {
	if treatment == Denied {
		return nil, errBlocked
	}
	s := &Session{
		remote: l.remote, client: l.client, addr: l.addr, hash: l.hash, initiator: l.initiator, treatment: treatment,
		since: time.Now(), port: p.cfg.PublicPort, buffers: p.buffers, parker: p.parker, of: p,
	}
	s.id = p.common.last.Add(1)
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if treatment == Free && l.hash == (units.InfoHash{}) {
		return s, nil // nothing of it can be read
	}
	if treatment != Free {
		s.converseBy(p.desk.Open(s))
	}
	p.gossips(s)
	return s, nil
}

// prepare readies the streams of a session that is framed.
func (s *Session) prepare() error {
	for _, err := range []error{
		s.toRemote.init(s.remote, s.spawn, s.fail),
		s.toClient.init(s.client, s.spawn, s.fail),
		s.in.init(s, &s.remote, &s.toClient, false),
		s.out.init(s, &s.client, &s.toRemote, true),
	} {
		if err != nil {
			return err
		}
	}
	s.toClient.bar() // some clients take a bitfield only as the first message
	return nil
}

// converseBy gives the session its conversation; none makes it Free.
func (s *Session) converseBy(conv Conversation) {
	if conv == nil {
		s.treatment = Free
		return
	}
	s.conv = conv
	s.adverts = conv.Adverts()
	s.adverts = s.adverts[:min(len(s.adverts), maxDialects)]
	if s.treatment == Gated {
		s.gate = &turnstile{
			gate: conv, toRemote: &s.toRemote, toClient: &s.toClient, notify: conv.Notify, fail: s.fail, limit: defaultAsked,
		}
	}
}

// begin passes on the head that the initiator sent, over the route to the other side. The rest of its handshake follows as
// it comes.
func (s *Session) begin(ctx context.Context, head wire.Head, to route) error {
	f := &s.in
	if s.initiator {
		f = &s.out
		s.of.known.add(head.InfoHash())
	}
	f.read.Add(wire.HeadLen)
	s.seeHead(s.initiator, &head)
	f.stage = atPeerID
	if err := s.reach(ctx, head[:], to); err != nil || f.idLeft > 0 {
		return err
	}
	return f.introduced()
}

// introduced begins the frames of a direction whose handshake is through before anything is relayed.
func (f *flow) introduced() error {
	f.stage, f.mid = atFrames, false
	if err := f.dst.relay(nil, -1, false); err != nil {
		return err
	}
	f.s.shook()
	return nil
}

// beginHidden passes on the first bytes of a stream that cannot be read.
func (s *Session) beginHidden(first []byte) error {
	if !s.initiator {
		s.in.read.Add(int64(len(first)))
		_, err := s.client.conn.Write(first)
		return err
	}
	n, err := s.remote.conn.Write(first)
	s.toRemote.sent.Add(int64(n))
	return err
}

// serve begins a session, which lives on by itself. start says the first words. over is called at its end.
func (p *Proxy) serve(s *Session, start func() error, settled, over func()) {
	p.mu.Lock()
	p.sessions[s.id] = s
	closing := p.closing
	p.mu.Unlock()
	switch {
	case closing:
		s.Close("shutdown")
	case p.desk.Admit(s.arrival()) == Denied: // since it was let in
		s.Close(blocked)
	}
	p.wg.Add(1)
	s.launch(start, p.cfg.HandshakeTimeout, settled, func() {
		p.mu.Lock()
		delete(p.sessions, s.id)
		p.sent += units.Bytes(s.toRemote.sent.Load())
		p.mu.Unlock()
		over()
		p.wg.Done()
	})
}
