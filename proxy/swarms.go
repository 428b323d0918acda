package proxy

import (
	"net/netip"
	"sync"
	"time"

	"paygate/proxy/announce"
	"paygate/units"
)

const (
	maxSwarms    = 1000             // torrents of which peers are known
	knownFactor  = 4                // peers known of a torrent, for each that may be connected
	maxDialling  = 32               // connections that are being made at once
	usualPeriod  = 30 * time.Minute // between announces, if the tracker does not say
	leastPeriod  = time.Minute
	periodsKept  = 3 // announces that may fail to come, or to name a peer, before it is forgotten
	againFirst   = 30 * time.Second
	againMost    = 30 * time.Minute
	alreadyThere = time.Minute // until it is looked again whether a peer is connected already
)

// swarms are the peers of which trackers have told, for a client that cannot connect to any by itself. They know whom to dial next;
// who does it says begin, dialled and end. It is safe for concurrent use.
type swarms struct {
	total, perTorrent int
	self              func(netip.AddrPort) bool // whether an address is our own

	mu                sync.Mutex
	of                map[units.InfoHash]*swarm
	active, inDialing int
	wake              chan struct{}
}

// swarm is one torrent's.
type swarm struct {
	until    time.Time // then it is forgotten, unless it is announced again
	external netip.Addr
	peers    map[netip.AddrPort]*candidate
	active   int
	busy     map[netip.Addr]bool // clients take one connection from each address
}

// candidate is a peer that may be dialled.
type candidate struct {
	until time.Time // then it is forgotten, unless a tracker names it again
	next  time.Time // not to be dialled before
	wait  time.Duration
	busy  bool
}

// attempt is one dial and what may become of it.
type attempt struct {
	hash    units.InfoHash
	addr    netip.AddrPort
	swarm   *swarm
	peer    *candidate
	dialled bool
}

func newSwarms(total, perTorrent int, self func(netip.AddrPort) bool) *swarms {
	return &swarms{
		total: total, perTorrent: perTorrent, self: self, of: map[units.InfoHash]*swarm{}, wake: make(chan struct{}, 1),
	}
}

// heard keeps what a tracker has answered to an announce. It reports whether the torrent is new.
func (s *swarms) heard(asked announce.Request, a announce.Answer, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if asked.Stopped {
		delete(s.of, asked.InfoHash)
		return false
	}
	one, known := s.of[asked.InfoHash]
	if !known {
		if len(s.of) >= maxSwarms {
			return false
		}
		one = &swarm{peers: map[netip.AddrPort]*candidate{}, busy: map[netip.Addr]bool{}}
		s.of[asked.InfoHash] = one
	}
	period := a.Interval
	if period == 0 {
		period = usualPeriod
	}
	until := now.Add(periodsKept * max(period, leastPeriod))
	if until.After(one.until) {
		one.until = until
	}
	if a.External.IsValid() {
		one.external = a.External
	}
	for _, peer := range a.Peers {
		s.told(one, peer, until)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return !known
}

// told keeps a peer that a tracker has named.
func (s *swarms) told(one *swarm, peer netip.AddrPort, until time.Time) {
	if c, ok := one.peers[peer]; ok {
		if until.After(c.until) {
			c.until = until
		}
		return
	}
	if len(one.peers) >= knownFactor*s.perTorrent && !one.forgetOne() {
		return
	}
	one.peers[peer] = &candidate{until: until, wait: againFirst}
}

// forgetOne makes room by the peer that has waited in vain for longest. It reports false if all are of use.
func (one *swarm) forgetOne() bool {
	var worst netip.AddrPort
	var most time.Duration
	for addr, c := range one.peers {
		if !c.busy && c.wait > most {
			worst, most = addr, c.wait
		}
	}
	if most <= againFirst {
		return false
	}
	delete(one.peers, worst)
	return true
}

// due returns whom to dial now, each of which counts as begun, and when to ask again at the latest. connected tells which peers
// have a session already.
func (s *swarms) due(now time.Time, connected func(units.InfoHash, netip.Addr) bool) (list []*attempt, again time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	again = againFirst
	for hash, one := range s.of {
		if now.After(one.until) {
			delete(s.of, hash)
			continue
		}
		for addr, c := range one.peers {
			switch {
			case c.busy:
			case now.After(c.until) || s.isSelf(one, addr):
				delete(one.peers, addr)
			case c.next.After(now):
				again = min(again, c.next.Sub(now))
			case one.busy[subscriber(addr.Addr())] || one.active >= s.perTorrent || s.active >= s.total || s.inDialing >= maxDialling:
				// somebody's end wakes us
			case connected(hash, addr.Addr()):
				c.next = now.Add(alreadyThere)
			default:
				list = append(list, s.begin(hash, addr, one, c))
			}
		}
	}
	return list, again
}

func (s *swarms) isSelf(one *swarm, addr netip.AddrPort) bool {
	return s.self(addr) || one.external.IsValid() && s.self(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())) && addr.Addr() == one.external
}

func (s *swarms) begin(hash units.InfoHash, addr netip.AddrPort, one *swarm, c *candidate) *attempt {
	c.busy, one.busy[subscriber(addr.Addr())] = true, true
	one.active++
	s.active++
	s.inDialing++
	return &attempt{hash: hash, addr: addr, swarm: one, peer: c}
}

// dialled says that the peer has answered, or will not: another dial may begin.
func (s *swarms) dialled(a *attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialledLocked(a)
}

func (s *swarms) dialledLocked(a *attempt) {
	if !a.dialled {
		a.dialled = true
		s.inDialing--
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// end says that an attempt is over, and its session, if there was one, which has lasted for lived. jitter, from 0 to 1, spreads the
// attempts of two sides that dial each other.
func (s *swarms) end(a *attempt, lived time.Duration, now time.Time, jitter float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialledLocked(a)
	a.peer.busy = false
	delete(a.swarm.busy, subscriber(a.addr.Addr()))
	a.swarm.active--
	s.active--
	if lived >= livedWell {
		a.peer.wait = againFirst
	}
	a.peer.next = now.Add(a.peer.wait/2 + time.Duration(jitter*float64(a.peer.wait)))
	a.peer.wait = min(2*a.peer.wait, againMost)
}
