package proxy

import (
	"errors"
	"sync"
	"sync/atomic"

	"paygate/proxy/wire"
)

const (
	bigBuffer   = 256 << 10
	smallBuffer = 16 << 10
	// bigBuffers may be out at once. Whoever asks for more while they are held up in slow writes gets a small one, so
	// that a thousand peers who do not read cost 16 KiB each, not 256.
	bigBuffers = 48
	// carryFree is what a half-arrived message may hold while its session waits for the rest; larger ones draw on
	// carryBudget, which all sessions share.
	carryFree   = 4 << 10
	carryLeast  = 64
	carryBudget = 8 << 20
)

// errCarry ends a session that has half of a large message while too many others do.
var errCarry = errors.New("too many unfinished messages")

// buffers lends read buffers to relay loops. Nobody holds one while waiting for a socket to become readable.
type buffers struct {
	big, small sync.Pool
	tallies    sync.Pool
	out        atomic.Int32
	carried    atomic.Int64
}

// buffer is one that was lent.
type buffer struct{ b []byte }

// tally is what has been written of a run that the gate has not heard of.
type tally struct {
	n      int
	blocks [maxDone]wire.Block
}

func newBuffers() *buffers {
	p := &buffers{}
	p.big.New = func() any { return &buffer{b: make([]byte, bigBuffer)} }
	p.small.New = func() any { return &buffer{b: make([]byte, smallBuffer)} }
	p.tallies.New = func() any { return &tally{} }
	return p
}

func (p *buffers) get() *buffer {
	if p.out.Load() >= bigBuffers {
		return p.small.Get().(*buffer)
	}
	return p.getBig()
}

func (p *buffers) getBig() *buffer {
	p.out.Add(1)
	return p.big.Get().(*buffer)
}

func (p *buffers) put(b *buffer) {
	if len(b.b) == bigBuffer {
		p.out.Add(-1)
		p.big.Put(b)
		return
	}
	p.small.Put(b)
}

// open lends an empty tally, and close takes it back; nil is none.
func (p *buffers) open() *tally { return p.tallies.Get().(*tally) }

func (p *buffers) close(t *tally) {
	if t != nil {
		t.n = 0
		p.tallies.Put(t)
	}
}

// carry accounts for growing a kept half-message from was to is bytes, and reports whether there is room for it.
func (p *buffers) carry(was, is int) bool {
	delta := int64(overFree(is) - overFree(was))
	if delta == 0 {
		return true
	}
	if p.carried.Add(delta) <= carryBudget || delta < 0 {
		return true
	}
	p.carried.Add(-delta)
	return false
}

// carryRoom is how much is taken to keep n bytes of a message in place of was: twice as much as before, so that who sends it
// byte by byte does not have it moved each time, but no more than such a message needs.
func carryRoom(n, was int) int {
	most := wire.MaxWhole
	if n <= carryFree {
		most = carryFree
	}
	return max(n, carryLeast, min(2*was, most))
}

func overFree(n int) int {
	if n <= carryFree {
		return 0
	}
	return n
}
