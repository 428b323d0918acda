package proxy

import (
	"net/netip"
	"sync"
)

// limits counts connections, so that strangers can make paygate hold only so much.
type limits struct {
	total, perAddress, handshakes int

	mu      sync.Mutex
	told    bool // mu: that there is no room, since there last was
	all     int
	pending int
	by      map[netip.Addr]int
}

// slot is one admitted connection. Its holder calls settle when the handshake is over and free at the end.
type slot struct {
	of      *limits
	addr    netip.Addr // zero: opened by our side
	pending bool
}

// refusal says which limit a connection ran into.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	errFull       refusal = "too many connections"
	errRelays     refusal = "too many UDP relays"
	errCrowded    refusal = "too many connections from this address"
	errHandshakes refusal = "too many handshakes under way"
)

func newLimits(cfg Config) *limits {
	return &limits{
		total: min(cfg.Connections, roomByFiles()), perAddress: cfg.PerAddress, handshakes: cfg.Handshakes, by: map[netip.Addr]int{},
	}
}

// announce reports whether it is to be told that there is no room: once, until a tenth of it is free again.
func (l *limits) announce() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.told
	l.told = true
	return !was
}

// inbound admits a stranger's connection, which is in its handshake.
func (l *limits) inbound(remote netip.Addr) (*slot, error) {
	addr := subscriber(remote)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.all >= l.total:
		return nil, errFull
	case l.pending >= l.handshakes:
		return nil, errHandshakes
	case l.by[addr] >= l.perAddress:
		return nil, errCrowded
	}
	l.all++
	l.pending++
	l.by[addr]++
	return &slot{of: l, addr: addr, pending: true}, nil
}

// outbound admits a connection that our side opens.
func (l *limits) outbound() (*slot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.total {
		return nil, errFull
	}
	l.all++
	return &slot{of: l}, nil
}

// settle ends the handshake. It may be called again.
func (s *slot) settle() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.settleLocked()
}

func (s *slot) settleLocked() {
	if s.pending {
		s.pending = false
		s.of.pending--
	}
}

// free gives the slot back.
func (s *slot) free() {
	l := s.of
	l.mu.Lock()
	defer l.mu.Unlock()
	s.settleLocked()
	if l.all--; l.all <= l.total-(l.total+9)/10 {
		l.told = false
	}
	if !s.addr.IsValid() {
		return
	}
	if l.by[s.addr]--; l.by[s.addr] == 0 {
		delete(l.by, s.addr)
	}
}

// subscriber is the part of an address that one stranger has to itself: all of an IPv4 address, the /64 of an IPv6 one.
func subscriber(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
