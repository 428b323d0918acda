package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"paygate/doctor"
)

const watchEvery = time.Minute

// watch tells the log, once for each change, what the node lacks beside being up, which the desk tells itself:
// liquidity, rights, a clock in step. It returns when ctx ends.
func (s *sidecar) watch(ctx context.Context) {
	if s.node == nil {
		return
	}
	told := verdicts{}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		for _, f := range doctor.Lightning(ctx, s.current(), s.node, time.Now()) {
			if ctx.Err() == nil && f.Check != doctor.CheckNode && told.change(f) {
				tellFinding(s.log, f)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func tellFinding(log *zap.Logger, f doctor.Finding) {
	if f.Verdict == doctor.Pass {
		log.Info("what was wrong with the Lightning node is well again", zap.String("check", f.Check), zap.String("now", f.Text))
		return
	}
	log.Warn("the Lightning node cannot do all that the rules ask for", zap.String("check", f.Check), zap.String("why", f.Line()))
}

// verdicts remembers what was told last of each check. What passes at first needs no word.
type verdicts map[string]doctor.Verdict

// change takes a finding in and reports whether it is news. A check that could not be made says nothing.
func (v verdicts) change(f doctor.Finding) bool {
	if f.Verdict == doctor.Skip {
		return false
	}
	last, known := v[f.Check]
	v[f.Check] = f.Verdict
	return f.Verdict != last && (known || f.Verdict != doctor.Pass)
}
