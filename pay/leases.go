package pay

import (
	"net/netip"
	"sync"

	"paygate/units"
)

// leases remembers who holds how much of which account and sample, so that two connections of one buyer cannot
// spend the same credit. It lives in memory alone: after a crash a lease that was not returned counts as unspent.
type leases struct {
	mu      sync.Mutex
	credit  map[units.PeerKey]map[*conversation]units.Msat
	on      map[purchaseKey]*conversation
	samples map[*conversation]sampleLease
}

// purchaseKey names one buyer's business with one torrent: only one connection at a time may do it.
type purchaseKey struct {
	buyer    units.PeerKey
	infoHash units.InfoHash
}

type sampleLease struct {
	infoHash units.InfoHash
	subnet   netip.Prefix
	bytes    units.Bytes
}

func newLeases() *leases {
	return &leases{
		credit:  make(map[units.PeerKey]map[*conversation]units.Msat),
		on:      make(map[purchaseKey]*conversation),
		samples: make(map[*conversation]sampleLease),
	}
}

// attach gives the buyer's business with a torrent to c and returns the connection that had it before, if any.
func (l *leases) attach(c *conversation, buyer units.PeerKey, ih units.InfoHash) (replaced *conversation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := purchaseKey{buyer, ih}
	replaced = l.on[key]
	l.on[key] = c
	if l.credit[buyer] == nil {
		l.credit[buyer] = make(map[*conversation]units.Msat)
	}
	l.credit[buyer][c] = 0
	if replaced == c {
		return nil
	}
	return replaced
}

// detach returns all that c held.
func (l *leases) detach(c *conversation, buyer units.PeerKey, ih units.InfoHash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.samples, c)
	if key := (purchaseKey{buyer, ih}); l.on[key] == c {
		delete(l.on, key)
	}
	delete(l.credit[buyer], c)
	if len(l.credit[buyer]) == 0 {
		delete(l.credit, buyer)
	}
}

// take leases up to want of a balance, after what the buyer's other connections hold, and returns what it got. account
// reads both under the lock: another connection that writes down what it has served, and then gives its lease back or
// takes another, does so wholly before or after.
func (l *leases) take(c *conversation, buyer units.PeerKey, account func() (balance, want units.Msat, err error)) (units.Msat, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	balance, want, err := account()
	if err != nil {
		return 0, err
	}
	for other, held := range l.credit[buyer] {
		if other != c {
			balance -= held
		}
	}
	got := max(0, min(balance, want))
	l.credit[buyer][c] = got
	return got, nil
}

// sampled is how much of the free samples is held and not yet given: by the subnet on the torrent, on the torrent,
// in all.
type sampled struct{ subnet, torrent, all units.Bytes }

// takeSample leases free bytes; left tells how many there are beside what others hold, and reads what was given under
// the lock, as in take.
func (l *leases) takeSample(
	c *conversation, ih units.InfoHash, subnet netip.Prefix, left func(sampled) (units.Bytes, error),
) (units.Bytes, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var held sampled
	for other, s := range l.samples {
		if other == c {
			continue
		}
		held.all += s.bytes
		if s.infoHash == ih {
			held.torrent += s.bytes
			if s.subnet == subnet {
				held.subnet += s.bytes
			}
		}
	}
	got, err := left(held)
	if err != nil {
		return 0, err
	}
	l.samples[c] = sampleLease{infoHash: ih, subnet: subnet, bytes: got}
	return got, nil
}

// gave takes what c has given of its free bytes off its lease, once the ledger has it.
func (l *leases) gave(c *conversation, n units.Bytes) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok := l.samples[c]; ok {
		s.bytes = max(0, s.bytes-n)
		l.samples[c] = s
	}
}

// credited makes the buyer's connections look at the account.
func (l *leases) credited(buyer units.PeerKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.credit[buyer] {
		c.refresh()
	}
}

// slots bound how many unpaid peers are shown to the client at once, in all and of one subnet, so that one neighbour
// cannot have them all.
type slots struct {
	mu    sync.Mutex
	free  int
	taken map[netip.Prefix]int
}

const slotsPerSubnet = 2

func newSlots(n int) *slots { return &slots{free: n, taken: make(map[netip.Prefix]int)} }

func (s *slots) take(subnet netip.Prefix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free == 0 || s.taken[subnet] >= slotsPerSubnet {
		return false
	}
	s.free--
	s.taken[subnet]++
	return true
}

func (s *slots) give(subnet netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	if s.taken[subnet]--; s.taken[subnet] == 0 {
		delete(s.taken, subnet)
	}
}
