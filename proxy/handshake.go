package proxy

import (
	"time"

	"paygate/proxy/wire"
)

// readHead reads the 48 bytes that name a torrent from a connection's start. If they cannot be a plain handshake it returns
// wire.ErrNotBitTorrent as soon as that shows, with what has been read.
func readHead(c *side, until time.Time) (wire.Head, []byte, error) {
	if err := c.conn.SetReadDeadline(until); err != nil {
		return wire.Head{}, nil, err
	}
	b := make([]byte, wire.HeadLen)
	n := 0
	for n < len(b) {
		m, err := c.Read(b[n:])
		n += m
		if !wire.LooksLikeBitTorrent(b[:n]) {
			return wire.Head{}, b[:n], wire.ErrNotBitTorrent
		}
		if err != nil {
			return wire.Head{}, b[:n], err
		}
	}
	head, err := wire.ParseHead(b)
	if err != nil {
		return head, b, err
	}
	return head, b, c.conn.SetReadDeadline(time.Time{})
}

// shake relays what has come of the handshake, which precedes all frames, and returns how far it got in b.
func (f *flow) shake(b []byte) (pos int, err error) {
	if f.stage == atHead {
		if !wire.LooksLikeBitTorrent(b) {
			return 0, wire.ErrNotBitTorrent
		}
		if len(b) < wire.HeadLen {
			return 0, nil
		}
		head, err := wire.ParseHead(b)
		if err != nil {
			return 0, err
		}
		f.s.seeHead(f.out, &head)
		pos = copy(b, head[:])
		if f.swallow {
			f.run = pos
		}
		f.stage = atPeerID
	}
	n := min(len(b)-pos, f.idLeft)
	f.heardID(b[pos : pos+n])
	pos += n
	if f.idLeft == 0 {
		f.stage, f.mid, f.cut = atFrames, false, pos-f.run
		f.owed |= owesShaken
	}
	return pos, nil
}

// seeHead notes what a head tells and changes it as it must reach the other side. Without the Fast extension (BEP 6)
// `choke` means that all requests are forgotten, on which the valve relies; and a client without the extension
// protocol (BEP 10) is spoken for by paygate.
func (s *Session) seeHead(fromClient bool, h *wire.Head) {
	if s.treatment == Gated {
		h.ClearFast()
	}
	if !fromClient {
		s.remoteExtended.Store(h.Extended())
		return
	}
	s.clientExtended.Store(h.Extended())
	s.of.known.add(h.InfoHash())
	s.of.known.add(s.hash)
	if !h.Extended() && s.treatment != Free {
		s.mute.Store(true)
		h.SetExtended()
	}
}

// heardID takes note of the next bytes of a peer id.
func (f *flow) heardID(b []byte) {
	copy(f.id[len(f.id)-f.idLeft:], b)
	if f.idLeft -= len(b); f.idLeft == 0 && !f.out {
		f.s.introduced.Store(true)
	}
}
