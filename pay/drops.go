package pay

import (
	"context"
	"math/bits"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"paygate/proxy"
	"paygate/units"
)

// Clients hang up on, and ban, a peer whose pieces fail the hash check. paygate sees a connection that ends, as it also
// does when a torrent is paused or removed, when the client is done or shuts down, or when it makes room. What tells them
// apart: the torrent goes on elsewhere, and either the client never says that it has the pieces that this seller gave it
// whole, or asks others for them again, or it refuses the seller's return.
const (
	dropBaseline = 5 * time.Second  // after the client hung up: connections that are there then, and
	dropVerdict  = 10 * time.Second // still bring data now, show that the torrent goes on
	dropLatest   = time.Minute      // by then it must have been seen to
	dropMemory   = 30 * time.Minute // how long returns are watched
	doubtFor     = 30 * time.Minute // a seller that was dropped nobody knows why is unproven for so long
	refusals     = 2                // of a seller's return that show a ban
	refusalGap   = 2 * time.Second  // between those that count
	maxSuspected = 64
	recentBlock  = 30 * time.Second // a seller that has been silent for longer is not dropped for what it sent
	sureLength   = 4 * block        // of a piece: less may be the beginning of a longer one
)

// Why a seller counts as dropped for bad data.
const (
	whyUnwanted = "the client never took its pieces over"
	whyAgain    = "the client asks others for its pieces"
	whyRefused  = "the client refuses its return"
)

// flock is all connections of one client for one torrent.
type flock struct {
	front    uint64
	infoHash units.InfoHash
}

func (c *conversation) flock() flock { return flock{c.link.Front(), c.link.InfoHash()} }

// suspicion is one connection that the client has ended while it wanted what the seller gave.
type suspicion struct {
	seller units.PeerKey
	flock
	remote  netip.Addr
	at      time.Time
	taken   []proxy.Taken
	length  int64 // of a piece, as far as the connection showed
	sure    bool
	look    *proxy.Lookout
	others  map[uint64]int64 // bytes that had come by dropBaseline on each connection that was there; nil before
	judged  bool             // all that can still be seen is a return
	refused int
	latest  time.Time // of the refusals
}

// suspicions are those that are not settled. They are few: what is too much is forgotten, the oldest first.
type suspicions struct {
	some atomic.Bool // there is any
	mu   sync.Mutex
	list []*suspicion
}

func (s *suspicions) add(x *suspicion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) >= maxSuspected {
		s.list = s.list[1:]
	}
	s.list = append(slices.Clip(s.list), x)
	s.some.Store(true)
}

func (s *suspicions) remove(gone func(*suspicion) bool) {
	if !s.some.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(slices.Clone(s.list), gone)
	s.some.Store(len(s.list) > 0)
}

// all returns a list that nobody changes.
func (s *suspicions) all() []*suspicion {
	if !s.some.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list
}

// lookouts are what the sessions of a torrent are to be watched for.
func (s *suspicions) lookouts(at flock) (list []*proxy.Lookout) {
	for _, x := range s.all() {
		if x.flock == at {
			list = append(list, x.look)
		}
	}
	return list
}

// hungUp notes that the client has ended this connection, once.
func (c *conversation) hungUp(f facts, now time.Time) {
	if c.left || !f.clientLeft || c.buyer == nil {
		return
	}
	c.left = true
	b, d := c.buyer, c.desk
	switch {
	case c.received.Load() == 0:
		d.suspicions.refuse(c.flock(), c.link.Remote().Addr(), now, d.wants(c))
	case b.purse.Purchases > 0 && f.clientInterested && b.recently(now):
		d.suspect(c, now)
	}
}

// recently reports whether blocks have come a short while ago.
func (b *buyer) recently(now time.Time) bool {
	return b.c.received.Load() != b.delivery.bytes || now.Sub(b.delivery.grew) < recentBlock
}

// suspect begins to watch what becomes of the pieces that came on a connection.
func (d *Desk) suspect(c *conversation, now time.Time) {
	x := &suspicion{
		seller: c.buyer.seller, flock: c.flock(), remote: c.link.Remote().Addr(), at: now, taken: c.link.Taken(),
	}
	x.length, x.sure = c.link.PieceLength()
	pieces := make([]uint32, len(x.taken))
	for i, t := range x.taken {
		pieces[i] = t.Index
	}
	x.look = proxy.NewLookout(pieces)
	d.suspicions.add(x)
	d.lookOut(x.flock)
}

// lookOut has all sessions of a torrent watched.
func (d *Desk) lookOut(at flock) {
	list := d.suspicions.lookouts(at)
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.talks {
		if c.flock() == at {
			c.link.Watch(list)
		}
	}
}

// wants reports whether the client asks anybody else for blocks of a conversation's torrent.
func (d *Desk) wants(but *conversation) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.talks {
		if c != but && c.flock() == but.flock() && c.asked.Load() > 0 && c.received.Load() > 0 {
			return true
		}
	}
	return false
}

// refuse notes that the client has hung up on a peer before it took anything from it.
func (s *suspicions) refuse(at flock, remote netip.Addr, now time.Time, goesOn bool) {
	if !s.some.Load() || !goesOn {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.list {
		if x.flock == at && x.remote == remote && now.Sub(x.latest) >= refusalGap {
			x.refused++
			x.latest = now
		}
	}
}

// takenBack notes that the client takes blocks of a seller again.
func (d *Desk) takenBack(seller units.PeerKey, by flock) {
	if !d.suspicions.some.Load() {
		return
	}
	d.suspicions.remove(func(x *suspicion) bool {
		back := x.seller == seller && x.flock == by
		if back {
			d.book.doubt(seller, time.Time{})
		}
		return back
	})
	d.lookOut(by)
}

// judgeDrops settles what can be settled by now.
func (d *Desk) judgeDrops(ctx context.Context, now time.Time) {
	for _, x := range d.suspicions.all() {
		over, why := d.judge(x, now)
		if why != "" {
			over = d.drop(ctx, x, why)
		}
		if over {
			d.suspicions.remove(func(y *suspicion) bool { return x == y })
			d.lookOut(x.flock)
		}
	}
}

// judge looks at one suspicion. It is over when it is settled or old; why is not empty where it has proven right.
func (d *Desk) judge(x *suspicion, now time.Time) (over bool, why string) {
	age := now.Sub(x.at)
	switch {
	case d.suspicions.refusals(x) >= refusals:
		return true, whyRefused
	case age >= dropMemory:
		return true, ""
	case x.judged || age < dropBaseline:
		return false, ""
	case x.others == nil:
		x.others = d.bytesIn(x)
		return false, ""
	case age < dropVerdict || !d.goesOn(x) && age < dropLatest:
		return false, ""
	case !d.goesOn(x):
		x.judged = true // paused, stopped, done, or nobody else was there
		return false, ""
	}
	verdict, why := x.verdict(d.pieceLength(x))
	switch {
	case why != "":
		return true, why
	case verdict == clean:
		return true, ""
	case verdict == unclear && age < dropLatest:
		return false, ""
	}
	x.judged = true
	d.book.doubt(x.seller, now.Add(doubtFor))
	d.log.Info("the client has hung up on a seller that it bought of, nobody knows why; it counts as unproven for a while",
		zap.Stringer("seller", x.seller), zap.Stringer("info_hash", x.infoHash), zap.Duration("for", doubtFor))
	return false, ""
}

func (s *suspicions) refusals(x *suspicion) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return x.refused
}

// verdict is what can be said of the pieces that came on a connection.
type verdict uint8

const (
	unclear verdict = iota // not yet
	nothing                // nothing to be said: no piece came whole
	clean                  // the client has them
)

// verdict looks at those that came whole. A client that has one says so to all peers; one that has not, although it came,
// has found it to be bad, and asks for it anew sooner or later.
func (x *suspicion) verdict(length int64, sure bool) (verdict, string) {
	if !sure {
		return unclear, ""
	}
	found := nothing
	for _, t := range x.taken {
		switch {
		case t.Bytes < length:
		case x.look.Asked(t.Index):
			return nothing, whyAgain
		case !x.look.Announced(t.Index) && x.look.Haves() == 0:
			return unclear, "" // nobody here hears what the client has
		case !x.look.Announced(t.Index):
			return nothing, whyUnwanted
		default:
			found = clean
		}
	}
	return found, ""
}

// pieceLength is how long a piece of the torrent is, as far as all its connections show.
func (d *Desk) pieceLength(x *suspicion) (n int64, sure bool) {
	n, sure = x.length, x.sure
	d.mu.Lock()
	for c := range d.talks {
		if c.flock() == x.flock {
			m, s := c.link.PieceLength()
			n, sure = max(n, m), sure || s
		}
	}
	d.mu.Unlock()
	return n, sure || n >= sureLength && bits.OnesCount64(uint64(n)) == 1 && x.look.Haves() > 0
}

// bytesIn is how much has come by now on each other connection of the torrent that was there when the client hung up.
func (d *Desk) bytesIn(x *suspicion) map[uint64]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[uint64]int64)
	for c := range d.talks {
		if c.flock() == x.flock && c.born.Before(x.at) {
			out[c.link.ID()] = c.link.BytesIn()
		}
	}
	return out
}

// goesOn reports whether one of those has brought more since.
func (d *Desk) goesOn(x *suspicion) bool {
	for id, n := range d.bytesIn(x) {
		if was, ok := x.others[id]; ok && n-was >= block {
			return true
		}
	}
	return false
}

// drop leaves a seller out for a while, and reports whether that could be written down.
func (d *Desk) drop(ctx context.Context, x *suspicion, why string) bool {
	kept, err := d.ledger.AddDrop(ctx, x.seller, x.infoHash, why)
	d.wrote(err)
	if err != nil {
		return ctx.Err() != nil // or again in the next round
	}
	purse, err := d.ledger.Purse(ctx, x.seller)
	if err == nil {
		d.book.delivered(purse)
	}
	d.book.drop(kept)
	_, until := d.book.standing(x.seller, time.Now())
	d.log.Warn("the client has dropped a seller for bad data; nothing is paid to it for a while, and what it holds counts as lost",
		zap.Stringer("seller", x.seller), zap.Stringer("info_hash", x.infoHash), zap.String("reason", why),
		zap.Int("times", kept.Times), zap.Time("until", until), zap.Int64("msat", int64(max(0, purse.Balance))))
	d.wakeAll()
	return true
}
