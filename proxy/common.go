package proxy

import "sync/atomic"

// Common is what all proxies of a process share: the bounds on connections, which hold for all of them together, and
// the ids of sessions and of proxies.
type Common struct {
	limits  *limits
	last    atomic.Uint64
	proxies atomic.Uint64
}

// NewCommon takes the bounds (Connections, PerAddress, Handshakes) from a configuration; zero ones get their defaults.
func NewCommon(cfg Config) *Common {
	cfg.defaults()
	return &Common{limits: newLimits(cfg)}
}
