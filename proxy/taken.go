package proxy

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"paygate/proxy/wire"
)

// maxTaken is how many pieces a session remembers that have come and that the client has not announced.
const maxTaken = 32

// Taken is a piece of which blocks have come from the remote, and which the client has not announced to have since.
type Taken struct {
	Index uint32
	Bytes int64 // of the blocks that have come
}

// taken remembers such pieces. Both relay loops feed it. With more than maxTaken, those seen first are forgotten first.
type taken struct {
	mu   sync.Mutex
	list []Taken // nil until a block comes
	last int     // in list: the piece of the latest block
	next int     // in list: to be forgotten next
}

// came notes blocks from the remote.
func (t *taken) came(blocks []wire.Block) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, b := range blocks {
		t.list[t.find(b.Index)].Bytes += int64(b.Length)
	}
}

// find returns where in the list a piece is, and makes room for it if it is new.
func (t *taken) find(index uint32) int {
	if t.last < len(t.list) && t.list[t.last].Index == index {
		return t.last
	}
	t.last = slices.IndexFunc(t.list, func(p Taken) bool { return p.Index == index })
	switch {
	case t.last >= 0:
	case len(t.list) < maxTaken:
		if t.list == nil {
			t.list = make([]Taken, 0, maxTaken)
		}
		t.last = len(t.list)
		t.list = append(t.list, Taken{Index: index})
	default:
		t.last, t.next = t.next, (t.next+1)%maxTaken
		t.list[t.last] = Taken{Index: index}
	}
	return t.last
}

// announced notes that the client has a piece.
func (t *taken) announced(index uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = slices.DeleteFunc(t.list, func(p Taken) bool { return p.Index == index })
}

// Taken lists the pieces that the client took blocks of from the remote and has not announced to have, those with the most
// bytes first, 32 at most. A piece that was announced and came again counts anew.
func (s *Session) Taken() []Taken {
	s.taken.mu.Lock()
	list := slices.Clone(s.taken.list)
	s.taken.mu.Unlock()
	slices.SortFunc(list, func(a, b Taken) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return list
}

// PieceLength is how long a piece of the torrent is in bytes, as far as requests on this session have shown; sure tells
// that whole pieces have come since. It is never too long.
func (s *Session) PieceLength() (n int64, sure bool) {
	return s.wanted.pieceLen.Load(), s.wanted.told.Load() >= enoughTold
}

// BytesIn is how many bytes have come from the remote on the wire.
func (s *Session) BytesIn() int64 { return s.in.read.Load() }

// Lookout watches what the client says of some pieces on several sessions; see Session.Watch. It is safe for concurrent
// use.
type Lookout struct {
	pieces    []uint32
	announced atomic.Uint32 // bit i speaks of pieces[i]
	asked     atomic.Uint32
	haves     atomic.Int64
}

// NewLookout watches for at most 32 pieces; more are left out.
func NewLookout(pieces []uint32) *Lookout {
	return &Lookout{pieces: slices.Clone(pieces[:min(len(pieces), 32)])}
}

// Have notes that the client tells of having a piece.
func (l *Lookout) Have(index uint32) {
	l.haves.Add(1)
	l.note(&l.announced, index)
}

// Request notes that the client asks for a block of a piece.
func (l *Lookout) Request(index uint32) { l.note(&l.asked, index) }

// Announced reports whether the client has told of having a piece.
func (l *Lookout) Announced(index uint32) bool { return l.has(&l.announced, index) }

// Asked reports whether the client has asked for a block of a piece.
func (l *Lookout) Asked(index uint32) bool { return l.has(&l.asked, index) }

// Haves is how often the client has told of having any piece at all.
func (l *Lookout) Haves() int64 { return l.haves.Load() }

func (l *Lookout) has(set *atomic.Uint32, index uint32) bool {
	i := slices.Index(l.pieces, index)
	return i >= 0 && set.Load()&(1<<i) != 0
}

func (l *Lookout) note(set *atomic.Uint32, index uint32) {
	if i := slices.Index(l.pieces, index); i >= 0 {
		set.Or(1 << i)
	}
}

// Watch lets these lookouts hear what the client says on this session from now on, in place of those before. The list must
// not change afterwards; nil is none.
func (s *Session) Watch(list []*Lookout) {
	if len(list) == 0 {
		s.lookouts.Store(nil)
		return
	}
	s.lookouts.Store(&list)
}

// clientHasPiece notes that the client tells of having a piece.
func (s *Session) clientHasPiece(index uint32) {
	s.taken.announced(index)
	if list := s.lookouts.Load(); list != nil {
		for _, l := range *list {
			l.Have(index)
		}
	}
}

// clientAsks notes that the client asks for a block of a piece.
func (s *Session) clientAsks(index uint32) {
	if list := s.lookouts.Load(); list != nil {
		for _, l := range *list {
			l.Request(index)
		}
	}
}
