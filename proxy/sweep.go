package proxy

import (
	"context"
	"time"

	"go.uber.org/zap"

	"paygate/proxy/wire"
)

const (
	sweepEvery     = 5 * time.Second
	keepaliveAfter = 60 * time.Second  // BEP 3 clients drop a silent peer after 120 s
	stalledAfter   = 120 * time.Second // without progress of a write
	aliasesEvery   = 10 * time.Minute
)

// leg is what the sweeper remembers of one stream.
type leg struct {
	sent int64
	at   time.Time // when sent last changed
}

// sweep looks after all sessions until ctx ends: keepalives of our own, and an end for those that are stuck.
func (p *Proxy) sweep(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	saved := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, s := range p.alive() {
				s.tend(now)
			}
			if p.aliases != nil && now.Sub(saved) >= aliasesEvery {
				saved = now
				p.saveAliases()
			}
		}
	}
}

func (p *Proxy) saveAliases() {
	if err := p.aliases.sync(); err != nil {
		p.log.Warn("aliases not saved", zap.Error(err))
	}
}

// tend looks after one session.
func (s *Session) tend(now time.Time) {
	s.confirm()
	if s.conv == nil {
		return // blind: the two peers look after themselves
	}
	for i, to := range []*sender{&s.toRemote, &s.toClient} {
		l := &s.legs[i]
		if sent := to.sent.Load(); l.at.IsZero() || sent != l.sent {
			l.sent, l.at = sent, now
		}
		switch idle := now.Sub(l.at); {
		case to.busy.Load() && idle >= stalledAfter:
			s.Close("stalled")
		case idle >= keepaliveAfter && s.treatment != Free:
			to.keepalive(wire.FrameKeepAlive())
		}
	}
}
