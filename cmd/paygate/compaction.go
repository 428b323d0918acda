package main

import (
	"context"
	"time"

	"go.uber.org/zap"
)

const (
	compactEvery = time.Hour
	compactPause = 100 * time.Millisecond // between two steps, for those who write
)

// compact sums up old usage in the ledger, a little at a time, now and each hour, until ctx ends.
func (s *sidecar) compact(ctx context.Context) {
	keep := time.Duration(s.cfg.Ledger.Days) * 24 * time.Hour
	for {
		steps, err := s.compactOnce(ctx, keep)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Warn("old entries of the ledger could not be summed up; trying again in an hour", zap.Error(err))
		case steps > 0:
			s.log.Info("old entries of the ledger were summed up", zap.Int("steps", steps))
		}
		if !pause(ctx, compactEvery) {
			return
		}
	}
}

// compactOnce goes on until nothing is old enough any more.
func (s *sidecar) compactOnce(ctx context.Context, keep time.Duration) (steps int, err error) {
	for {
		if !pause(ctx, compactPause) {
			return steps, nil
		}
		more, err := s.books.Compact(ctx, keep)
		if err != nil || !more {
			return steps, err
		}
		steps++
	}
}

// pause waits and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
