package pay

import (
	"slices"
	"sync"
)

// crowd is the gated peers that have no credit. Each fills one of the client's peer slots and brings nothing, so
// there is a limit, and whoever has waited longest makes room.
type crowd struct {
	mu    sync.Mutex
	limit int
	wait  []*conversation // oldest first
}

// join adds c and returns who has to go, if anybody.
func (w *crowd) join(c *conversation) (out *conversation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Contains(w.wait, c) {
		return nil
	}
	w.wait = append(w.wait, c)
	if len(w.wait) > w.limit {
		out = w.wait[0]
		w.wait = slices.Delete(w.wait, 0, 1)
	}
	return out
}

// leave takes c out, because it has paid or gone.
func (w *crowd) leave(c *conversation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i := slices.Index(w.wait, c); i >= 0 {
		w.wait = slices.Delete(w.wait, i, i+1)
	}
}
