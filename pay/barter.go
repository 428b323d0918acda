package pay

import (
	"net/netip"

	lru "github.com/hashicorp/golang-lru/v2"

	"paygate/units"
)

const (
	// maxBarter bounds how far a peer's own uploads can run ahead of what it is given for them.
	maxBarter = 16 * units.MiB
	// advance is the least free sample where a rule sells what the client has not completed: of two peers that both do so,
	// one has to begin. It comes out of the same budgets as any sample.
	advance = units.MiB
	// barterMemory is how many peers' balances outlive their connections.
	barterMemory = 4096
)

// barters remembers what peers have given and not yet been given for it when their connections end, so that two that
// trade do not have to begin anew. It is never worth money, and forgotten with the process.
type barters struct {
	left *lru.Cache[barterKey, units.Bytes] // safe for concurrent use
}

// barterKey names a peer by its neighbourhood, as samples do.
type barterKey struct {
	infoHash units.InfoHash
	subnet   netip.Prefix
}

func newBarters() *barters {
	left, err := lru.New[barterKey, units.Bytes](barterMemory)
	if err != nil {
		panic("pay: lru refuses a constant size: " + err.Error())
	}
	return &barters{left}
}

// take returns what an earlier connection has left, once.
func (b *barters) take(k barterKey) units.Bytes {
	n, ok := b.left.Peek(k)
	if !ok || !b.left.Remove(k) {
		return 0 // or another connection was quicker
	}
	return n
}

// leave adds to what the next connection may have.
func (b *barters) leave(k barterKey, n units.Bytes) {
	if n > 0 {
		b.left.Add(k, min(maxBarter, b.take(k)+n))
	}
}

func (s *stock) barterKey() barterKey { return barterKey{s.c.link.InfoHash(), s.subnet} }

// trade turns bytes received from the peer into bytes it may have, one for one, where a rule sells what the client
// has not completed itself; or two sellers would starve each other. They are never worth money.
func (s *stock) trade(when string) (fresh units.Bytes) {
	n := units.Bytes(s.c.wanted.Load() - s.traded)
	if when != "always" {
		return 0
	}
	s.traded += int64(n)
	if !s.recalled {
		s.recalled = true
		n += s.c.desk.barters.take(s.barterKey())
	}
	return n
}

// keepBarter leaves what was not used to the next connection.
func (s *stock) keepBarter(when string) {
	s.c.desk.barters.leave(s.barterKey(), s.left(bartered)+s.trade(when))
}

// free is how many more bytes the seller gives us for nothing: the rest of its sample, and what we have given to it, one
// for one. A seller that takes bytes of us has not completed the torrent, and so does the same as barter.
func (b *buyer) free() units.Bytes {
	return b.freeLeft + units.Bytes(min(int64(maxBarter), b.c.served.Load()-b.bartered))
}

// useFree takes n of them, the sample first, and returns what gives them back.
func (b *buyer) useFree(n units.Bytes) (undo func()) {
	b.bartered = max(b.bartered, b.c.served.Load()-int64(maxBarter)) // what is more is lost
	left, bartered := b.freeLeft, b.bartered
	sample := min(n, b.freeLeft)
	b.freeLeft -= sample
	b.bartered += int64(n - sample)
	return func() { b.freeLeft, b.bartered = left, bartered }
}
