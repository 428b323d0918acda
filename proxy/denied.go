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

// CloseDenied ends every session whose torrent the Desk denies by now, and those whose torrent is hidden, since it may be
// one of them. It returns how many.
func (p *Proxy) CloseDenied() int {
	n := 0
	for _, s := range p.alive() {
		if s.hash == (units.InfoHash{}) || p.desk.Admit(s.arrival()) == Denied {
			s.Close(blocked)
			n++
		}
	}
	return n
}
