package proxy

import (
	"net/netip"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	endingsEvery = time.Minute // one line about ended sessions for each stranger at most
	endingsKept  = 4096        // strangers that are remembered; who is forgotten gets a line at once
)

// endings decides which ended sessions get a line in the log: nobody fills it by connecting again and again.
type endings struct {
	mu   sync.Mutex
	last *lru.Cache[netip.Addr, *ending]
}

// ending is what was written of one stranger.
type ending struct {
	at     time.Time
	hushed int // lines not written since
}

func newEndings() *endings {
	last, err := lru.New[netip.Addr, *ending](endingsKept)
	if err != nil {
		panic("proxy: lru refuses a constant size: " + err.Error())
	}
	return &endings{last: last}
}

// allow reports whether a line may be written now, and how many of the same stranger were not before it.
func (e *endings) allow(remote netip.Addr, now time.Time) (hushed int, ok bool) {
	key := subscriber(remote)
	e.mu.Lock()
	defer e.mu.Unlock()
	was, known := e.last.Get(key)
	if known && now.Sub(was.at) < endingsEvery {
		was.hushed++
		return 0, false
	}
	e.last.Add(key, &ending{at: now})
	if known {
		hushed = was.hushed
	}
	return hushed, true
}
