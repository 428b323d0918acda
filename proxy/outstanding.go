package proxy

import "paygate/proxy/wire"

const (
	// maxAsked requests are outstanding at the client at most, and defaultAsked of one that does not say how many it
	// takes. Transmission 3.00 takes 512 and serves in bursts twice a second, so that 256 would cap it at 8 MB/s.
	maxAsked     = 448
	defaultAsked = 250 // what BEP 10 assumes without reqq

	maxHeld  = 2500 // requests waiting for their turn; libtorrent pipelines up to 2,000
	maxBlock = 128 << 10
)

// asked is the set of requests that the client was passed and has not answered. It never allocates. Nil is empty.
type asked struct {
	n      int
	blocks [maxAsked]wire.Block
}

func (a *asked) find(b wire.Block) int {
	if a == nil {
		return -1
	}
	for i := range a.blocks[:a.n] {
		if a.blocks[i] == b {
			return i
		}
	}
	return -1
}

func (a *asked) add(b wire.Block) {
	a.blocks[a.n] = b
	a.n++
}

// remove takes a block out, and reports whether it was there. Clients answer roughly in order, so the order is kept.
func (a *asked) remove(b wire.Block) bool {
	i := a.find(b)
	if i < 0 {
		return false
	}
	copy(a.blocks[i:a.n-1], a.blocks[i+1:a.n])
	a.n--
	return true
}

// held is the queue of requests that wait, oldest first. A canceled one leaves a hole of length 0.
type held struct {
	blocks []wire.Block
	head   int
	live   int
}

func (h *held) push(b wire.Block) bool {
	if len(h.blocks)-h.head >= maxHeld {
		h.compact()
		if len(h.blocks) >= maxHeld {
			return false
		}
	}
	h.blocks = append(h.blocks, b)
	h.live++
	return true
}

// front returns the oldest request that was not canceled.
func (h *held) front() (wire.Block, bool) {
	for ; h.head < len(h.blocks); h.head++ {
		if b := h.blocks[h.head]; b.Length != 0 {
			return b, true
		}
	}
	h.blocks, h.head = h.blocks[:0], 0
	return wire.Block{}, false
}

// pop drops what front returned.
func (h *held) pop() {
	h.head++
	h.live--
	if h.head == len(h.blocks) {
		h.blocks, h.head = h.blocks[:0], 0
	}
}

// cancel drops the oldest equal request, and reports whether there was one.
func (h *held) cancel(b wire.Block) bool {
	for i := h.head; i < len(h.blocks); i++ {
		if h.blocks[i] == b {
			h.blocks[i].Length = 0
			h.live--
			return true
		}
	}
	return false
}

func (h *held) clear() { h.blocks, h.head, h.live = h.blocks[:0], 0, 0 }

// compact closes the holes.
func (h *held) compact() {
	kept := h.blocks[:0]
	for _, b := range h.blocks[h.head:] {
		if b.Length != 0 {
			kept = append(kept, b)
		}
	}
	h.blocks, h.head = kept, 0
}
