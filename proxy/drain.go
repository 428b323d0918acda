package proxy

import "time"

const (
	drainTick  = 50 * time.Millisecond
	drainQuiet = 300 * time.Millisecond // without a byte between two frames: nothing is lost by closing
)

// drain brings the sessions to their end: blind ones at once, gated ones when the client has served what it was asked for,
// others when they stand between two messages. Whatever is left after DrainTimeout is closed, tunnels of the SOCKS5
// listener too.
func (p *Proxy) drain() {
	p.mu.Lock()
	p.closing = true
	p.mu.Unlock()
	limit := time.Now().Add(p.cfg.DrainTimeout)
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	watch := map[*Session]*stillness{}
	for {
		now := time.Now()
		left := p.alive()
		for _, s := range left {
			p.wind(s, watch, now, now.After(limit))
		}
		if now.After(limit) || !p.tunnels.any() {
			p.tunnels.close()
			if len(left) == 0 {
				return
			}
		}
		<-tick.C
	}
}

// stillness is since when a session has been quiet.
type stillness struct {
	bytes int64
	since time.Time
}

// wind brings one session closer to its end.
func (p *Proxy) wind(s *Session, watch map[*Session]*stillness, now time.Time, over bool) {
	q := watch[s]
	if q == nil {
		q = &stillness{bytes: -1}
		watch[s] = q
		s.Shut()
	}
	if b := s.in.read.Load() + s.toRemote.sent.Load(); b != q.bytes {
		q.bytes, q.since = b, now
	}
	quiet := now.Sub(q.since) >= drainQuiet && s.Outstanding() == 0
	if over || quiet || s.treatment == Free {
		s.Close("shutdown")
	}
}
