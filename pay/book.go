package pay

import (
	"sync"
	"time"

	"paygate/ledger"
	"paygate/proxy/wire"
	"paygate/units"
)

const bookMemory = 10_000 // past purchases that are read at start

// book is what a buyer remembers of sellers, to bound what it can lose to those that take money and deliver
// nothing.
type book struct {
	mu      sync.Mutex
	sellers map[units.PeerKey]*record
	here    map[units.PeerKey]int // live conversations
}

// record is one seller that was ever paid. least is the smallest payment made to it; first the same but for what is less
// than a block: that is served with the next purchase only. delivered is what it has delivered, in msat; paid all that was
// paid to it; bought when it was last paid; latest the torrent of the latest payment; gone since when it has had no
// conversation, as far as departed has seen.
type record struct {
	least     units.Msat
	first     units.Msat
	delivered units.Msat
	paid      units.Msat
	unused    units.Msat
	lost      units.Msat
	base      units.Msat // of delivered: what it owed from before our client last dropped it for bad data
	dropped   time.Time  // when that was; zero: never
	until     time.Time  // nothing is bought from it before
	doubted   time.Time  // until then it counts as unproven
	pending   map[units.PaymentHash]units.Msat
	torrents  map[units.InfoHash]struct{}
	bought    time.Time
	latest    units.InfoHash
	gone      time.Time
}

func newBook() *book {
	return &book{sellers: make(map[units.PeerKey]*record), here: make(map[units.PeerKey]int)}
}

// arrives notes that a conversation with a seller has begun.
func (b *book) arrives(seller units.PeerKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.here[seller]++
}

// leaves notes that one has ended.
func (b *book) leaves(seller units.PeerKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.here[seller]--; b.here[seller] <= 0 {
		delete(b.here, seller)
	}
}

// departed returns the sellers that hold money of ours, more than they are trusted with, and have been gone for some time, with the torrent of the latest payment. It has to be called again and again.
func (b *book) departed(now time.Time, after time.Duration) map[units.PeerKey]units.InfoHash {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[units.PeerKey]units.InfoHash)
	for key, r := range b.sellers {
		switch {
		case b.here[key] > 0:
			r.gone = time.Time{}
		case r.gone.IsZero():
			r.gone = now
		case now.Sub(r.gone) >= after && r.unused > 0 && len(r.pending) == 0 && (!r.earned(now) || r.ahead()):
			out[key] = r.latest
		}
	}
	return out
}

func (b *book) of(seller units.PeerKey) *record {
	r := b.sellers[seller]
	if r == nil {
		r = &record{torrents: make(map[units.InfoHash]struct{}), pending: make(map[units.PaymentHash]units.Msat)}
		b.sellers[seller] = r
	}
	return r
}

// paid notes a payment to a seller, and when it was begun.
func (b *book) paid(in ledger.Intent, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.of(in.Seller)
	if at.After(r.bought) {
		r.bought = at
	}
	r.torrents[in.InfoHash], r.latest = struct{}{}, in.InfoHash
	if in.For == wire.ForDebt {
		return // how small it is says nothing of what we have trusted the seller with
	}
	m := max(in.Msat-in.Price.Charge(block), in.Msat/2)
	if r.first == 0 || m < r.first {
		r.first, r.least = m, in.Msat
	}
}

// pending notes that a payment has begun or ended. It may be told of an end more than once.
func (b *book) pending(in ledger.Intent, begins bool) {
	if begins {
		b.paid(in, time.Now())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.of(in.Seller)
	if begins {
		r.pending[in.Hash] = in.Msat
		return
	}
	delete(r.pending, in.Hash)
}

// delivered notes the state of our account with a seller.
func (b *book) delivered(p ledger.Purse) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Purchases == 0 {
		return // a stranger; whoever says hello must cost nothing
	}
	r := b.of(p.Seller)
	if p.Paid < r.paid || p.Charged < r.delivered {
		return // read before what somebody else has told
	}
	r.paid, r.delivered, r.unused, r.lost = p.Paid, p.Charged, max(0, p.Balance), p.WrittenOff-p.Missed
}

// least is the smallest payment that was made to a seller.
func (b *book) least(seller units.PeerKey) units.Msat {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.sellers[seller]; r != nil {
		return r.least
	}
	return 0
}

func (b *book) proven(seller units.PeerKey) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sellers[seller].proven(time.Now())
}

// others tells whether seller was paid for the torrent before, how many others were, and how many of those hold more of
// ours, or have it pending, than they are trusted with.
func (b *book) others(ih units.InfoHash, seller units.PeerKey) (self bool, paid, ahead int) {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, r := range b.sellers {
		if _, ok := r.torrents[ih]; !ok {
			continue
		}
		if key == seller {
			self = true
			continue
		}
		paid++
		if (r.out(now) || r.slow(now)) && len(r.pending) == 0 {
			continue // what it holds counts as lost already
		}
		if (!r.proven(now) || r.ahead()) && (r.unused > 0 || len(r.pending) > 0) {
			ahead++
		}
	}
	return self, paid, ahead
}
