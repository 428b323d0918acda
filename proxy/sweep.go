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
	at   int64 // when sent last changed, in nanoseconds since 1970; 0: never looked at
}

// sweep looks after all sessions until ctx ends: keepalives of our own, and an end for those that are stuck.
func (p *Proxy) sweep(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	tick, beats := time.NewTicker(sweepEvery), time.NewTicker(beat)
	defer tick.Stop()
	defer beats.Stop()
	saved := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beats.C:
			p.parker.cool()
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
	if s.gate != nil {
		s.gate.trim()
	}
	for i, to := range []*sender{&s.toRemote, &s.toClient} {
		l := &s.legs[i]
		if sent := to.sent.Load(); l.at == 0 || sent != l.sent {
			l.sent, l.at = sent, now.UnixNano()
		}
		switch idle := time.Duration(now.UnixNano() - l.at); {
		case to.busy.Load() && idle >= stalledAfter:
			s.Close("stalled")
		case idle >= keepaliveAfter && s.treatment != Free:
			to.keepalive(wire.FrameKeepAlive())
		}
	}
}
