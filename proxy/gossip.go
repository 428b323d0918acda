package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"paygate/proxy/wire"
)

// What peers tell each other about further peers (BEP 11, BEP 55) is true on one side of paygate only: the client knows the
// remotes that came to it by their loopback aliases. gossip translates what it tells, and takes out what is of no use to the
// listener or could lead it into a private network.

// chatter is an extension whose messages name peers' addresses.
type chatter struct {
	id   byte
	name string
}

var gossips = []string{wire.NamePEX, wire.NameHolepunch}

// hearNames notes by which ids one side wants to hear of other peers, of which the flow towards it has to know. was is what
// it said before, nil if nothing: an id stays in use until it is given to another extension.
func hearNames(was *[]chatter, h wire.ExtHandshake) *[]chatter {
	is := make([]chatter, 0, len(gossips))
	if was != nil {
		for _, c := range *was {
			if !h.Uses(c.id) {
				is = append(is, c)
			}
		}
	}
	for _, name := range gossips {
		if id, ok := h.ID(name); ok {
			is = append(is, chatter{id, name})
		}
	}
	return &is
}

// heardBy is what the receiver of a flow has said in its extended handshakes.
func (f *flow) heardBy() *[]chatter {
	if f.out {
		return f.s.remoteNames.Load()
	}
	return f.s.clientNames.Load()
}

// gossip decides about an extended message that may name other peers.
func (s *Session) gossip(f *flow, frame *wire.Frame) verdict {
	name := f.named(frame.Ext)
	switch {
	case name == "" || !frame.Start:
		return pass
	case !frame.End:
		return drop // too long to be looked at
	case name == wire.NameHolepunch:
		if peer, ok := wire.HolepunchPeer(frame.Payload()); !ok || s.retell(f.out, peer) != peer {
			return drop
		}
		return pass
	}
	payload, changed, err := wire.RewritePEX(nil, frame.Payload(), func(peer netip.AddrPort) netip.AddrPort {
		return s.retell(f.out, peer)
	})
	switch {
	case err != nil:
		return drop // whatever it may hide
	case !changed:
		return pass
	}
	f.instead = wire.AppendExtended(nil, frame.Ext, payload)
	return apart
}

// named tells which of the extensions with addresses the receiver of the flow has given this id.
func (f *flow) named(id byte) string {
	if f.names == nil {
		return ""
	}
	for _, c := range *f.names {
		if c.id == id {
			return c.name
		}
	}
	return ""
}

// retell returns what an address that one side names is for the other; the zero AddrPort if it is nothing to it.
func (s *Session) retell(toRemote bool, peer netip.AddrPort) netip.AddrPort {
	told := peer
	if toRemote && s.aliases != nil {
		told = s.aliases.truth(peer)
	}
	switch {
	case !told.IsValid() || scopeOf(told.Addr()) > scopeOf(s.addr.Addr()):
		return netip.AddrPort{}
	case !toRemote:
		if s.aliases != nil && s.aliases.prefix.Contains(told.Addr().Unmap()) {
			return netip.AddrPort{} // our names are nobody else's to use
		}
	case told == s.self, told.Addr().Unmap() == s.addr.Addr() && s.hearsAt(told.Port()):
		return netip.AddrPort{}
	}
	return told
}

// hearsAt reports whether the remote is known to listen on a port.
func (s *Session) hearsAt(port uint16) bool {
	return port == s.addr.Port() || uint32(port) == s.listens.Load()
}

// scope is how far an address reaches.
type scope uint8

const (
	worldwide scope = iota
	network         // private and link-local ones
	machine         // loopback, and what leads there
)

// scopeOf tells how far an address reaches. A peer is told of no address that reaches less far than its own.
func scopeOf(a netip.Addr) scope {
	a = a.Unmap()
	switch {
	case a.IsLoopback(), a.Is4() && a.As4()[0] == 0, a == netip.IPv6Unspecified():
		return machine
	case a.IsPrivate(), a.IsLinkLocalUnicast():
		return network
	}
	return worldwide
}

// chatty reports whether the two sides may tell each other about further peers, in words that must be looked at. Until
// both have said in their first extended handshakes what they take, nobody knows.
func (s *Session) chatty() bool {
	if !s.up.Load() {
		return true
	}
	if !s.remoteExtended.Load() || !s.clientExtended.Load() {
		return false
	}
	r, c := s.remoteNames.Load(), s.clientNames.Load()
	return r == nil || c == nil || s.translates && len(*r) > 0 && len(*c) > 0
}

// saysNoMore gives up waiting for an extended handshake once its sender asks for blocks or sends one: BEP 10 has it follow the
// handshake immediately.
func (s *Session) saysNoMore(k wire.Kind, names *atomic.Pointer[[]chatter]) {
	if (k == wire.Request || k == wire.Piece) && names.Load() == nil {
		names.Store(new([]chatter))
	}
}

// silence makes of an extended handshake of the remote one that takes no word about other peers (BEP 10: an id of 0
// switches an extension off). The client goes on hearing them from the remote.
func (s *Session) silence(frame *wire.Frame) []byte {
	payload := frame.Payload()
	h, err := wire.ParseExtHandshake(payload)
	if err != nil {
		return frame.Bytes
	}
	var off []wire.Name
	for _, name := range gossips {
		if _, ok := h.ID(name); ok {
			off = append(off, wire.Name{Name: name})
		}
	}
	rewritten, err := wire.RewriteExtHandshake(nil, payload, wire.Rewrite{Names: off})
	if err != nil {
		return frame.Bytes
	}
	return wire.AppendExtended(nil, 0, rewritten)
}

// bystander is the conversation of a free session that is framed for as long as its extended handshakes need it: it
// charges nothing and says nothing.
type bystander struct{}

func (bystander) Request(int) bool      { return true }
func (bystander) Release(int)           {}
func (bystander) Moved(int, bool, bool) {}
func (bystander) Adverts() []Advert     { return nil }
func (bystander) Notify(Event)          {}
func (bystander) Message(int, []byte)   {}
func (bystander) Begin()                {}
func (bystander) End()                  {}

// gossips decides how a session deals with what its sides tell of other peers. A free one is framed only while its
// extended handshakes have to be seen, and after that if its gossip has to be translated. That costs up to twice the CPU time
// of blind copying where connections are many, and as what is told in a few spreads through the swarm, not all may.
func (p *Proxy) gossips(s *Session) {
	s.aliases, s.translates = p.aliases, true
	s.self = netip.AddrPortFrom(addrPort(s.remote.conn.LocalAddr()).Addr(), s.port)
	if s.aliases != nil && s.initiator {
		s.aliases.learned(addrPort(s.client.conn.LocalAddr()), s.addr.Port())
	}
	if s.treatment != Free {
		return
	}
	s.conv = bystander{}
	s.released.Store(true)
	s.translates = p.aliases != nil && p.gossipy.Add(1) <= int64(p.cfg.FreePEX)
	s.quiet = p.aliases != nil && !s.translates
	if s.translates {
		s.hush = sync.OnceFunc(func() { p.gossipy.Add(-1) })
	} else if s.quiet {
		p.gossipy.Add(-1)
	}
}

// hearOfPeers notes what an extended handshake of the remote tells of where it listens, and of what it wants to hear about other
// peers.
func (s *Session) hearOfPeers(h wire.ExtHandshake) {
	if port, ok := h.Port(); ok {
		s.listens.Store(uint32(port))
		if s.aliases != nil && !s.initiator {
			s.aliases.learned(addrPort(s.client.conn.LocalAddr()), port)
		}
	}
	if s.quiet {
		h = wire.ExtHandshake{}
	}
	s.remoteNames.Store(hearNames(s.remoteNames.Load(), h))
}
