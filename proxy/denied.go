package proxy

import (
	"errors"

	"paygate/units"
)

func (s *Session) arrival() Arrival {
	return Arrival{InfoHash: s.hash, Remote: s.addr, Initiator: s.initiator}
}

// blocked is why a session of a denied torrent ends.
const blocked = "the torrent is blocked"

// errBlocked says that a connection was closed because its torrent is denied.
var errBlocked = errors.New(blocked)

// BroughtLittle is what has come on a connection, in bytes, of a remote that gives nothing: its handshakes, and what it has
// and tells of others.
const BroughtLittle = 256 << 10

// Review ends the sessions that the Desk would not let go on as they began: those that it denies by now, those that are
// free and would be gated, which takes a new connection, those that are free, have brought next to nothing and would be
// watched, since the remote may wait to be paid, and those whose torrent is hidden while it might be one of them. It returns
// how many.
func (p *Proxy) Review() (closed int) {
	for _, s := range p.alive() {
		if reason := p.review(s); reason != "" {
			s.Close(reason)
			closed++
		}
	}
	return closed
}

func (p *Proxy) review(s *Session) (reason string) {
	if s.hash == (units.InfoHash{}) {
		if p.desk.MayCharge() {
			return "the torrent is hidden, and might be charged for or blocked"
		}
		return ""
	}
	switch now := p.desk.Admit(s.arrival()); {
	case now == Denied:
		return blocked
	case now == Gated && s.treatment == Free:
		return "the torrent is for sale now"
	case now == Watched && s.treatment == Free && s.BytesIn() < BroughtLittle:
		return "the torrent is bought now"
	}
	return ""
}
