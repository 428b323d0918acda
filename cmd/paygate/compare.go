package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"paygate/client"
	"paygate/units"
)

// compareEvery is how often the client's counter is held against the gate's. The client is not asked for it.
const compareEvery = 15 * time.Second

// compare warns, once until the client starts anew, when the client has uploaded more than has passed through paygate.
// It returns when ctx ends.
func (f *front) compare(ctx context.Context, at *stand) {
	var tally client.Tally
	tick := time.NewTicker(compareEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		uploaded, ok := f.watcher.Uploaded()
		if !ok {
			continue
		}
		ahead, parted, news := tally.Look(time.Now(), uploaded, at.proxy.Sent(), len(at.proxy.Sessions()))
		if !parted {
			ahead = 0
		}
		f.ahead.Store(int64(ahead))
		if news {
			f.log.Warn("the client has uploaded more than has passed paygate: peers reach it some other way", zap.Stringer("past_paygate", ahead),
				zap.String("remedy", "`paygate doctor` looks for the way around, and names the setting"))
		}
	}
}

// clientState says how the client is, for a person.
func clientState(kind, version, state string, past units.Bytes) string {
	text := state
	if state == "answers" {
		text = kind + " " + version
	}
	if past > 0 {
		text += ", " + past.String() + " uploaded past paygate"
	}
	return text
}
