package pay

import (
	"context"
	"sync"
	"time"

	"paygate/config"
	"paygate/units"
)

const (
	gaugeEvery = time.Second
	// slack is how quickly a torrent's speed follows what comes: about 5 s.
	slack = 0.2
	// rareSeeds is how many seeds a swarm has at most that counts as rare.
	rareSeeds = 2
)

// flows measures how fast each torrent comes that we may buy, from everybody together.
type flows struct {
	mu   sync.Mutex
	each map[units.InfoHash]*flow
}

// flow is one torrent.
type flow struct {
	ended int64 // bytes of conversations that are over
	total int64
	rate  float64                   // bytes a second
	slow  map[units.Bytes]time.Time // for each rate that was asked about: since when it has been below
	free  bool                      // somebody who has all of it gives it away
	idle  time.Time                 // since when nobody has been connected
}

func newFlows() *flows { return &flows{each: make(map[units.InfoHash]*flow)} }

func (f *flows) of(ih units.InfoHash) *flow {
	w := f.each[ih]
	if w == nil {
		w = &flow{slow: make(map[units.Bytes]time.Time)}
		f.each[ih] = w
	}
	return w
}

// watch begins to measure a torrent, and how long it is slower than a rate.
func (f *flows) watch(ih units.InfoHash, rate units.Bytes, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.of(ih)
	if _, ok := w.slow[rate]; !ok {
		w.slow[rate] = now
	}
}

// slowFor tells for how long a torrent has come at less than a rate, as far as anybody has looked.
func (f *flows) slowFor(ih units.InfoHash, rate units.Bytes, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	since, watched := f.of(ih).slow[rate]
	if !watched {
		return 0
	}
	return now.Sub(since)
}

// isFree tells whether somebody who has all of a torrent gives it away.
func (f *flows) isFree(ih units.InfoHash) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of(ih).free
}

// leaves keeps what a conversation has received when it ends.
func (f *flows) leaves(ih units.InfoHash, received int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := f.each[ih]; w != nil {
		w.ended += received
	}
}

// snap is what is seen of one torrent at a moment.
type snap struct {
	received int64
	free     bool
}

// measure takes in what all live conversations have received. A torrent that nobody has been connected for in a while is
// forgotten.
func (f *flows) measure(now time.Time, live map[units.InfoHash]snap) {
	const forget = time.Hour
	f.mu.Lock()
	defer f.mu.Unlock()
	for ih, w := range f.each {
		s, ok := live[ih]
		if ok {
			w.idle = time.Time{}
		} else if w.idle.IsZero() {
			w.idle = now
		}
		if !ok && now.Sub(w.idle) > forget {
			delete(f.each, ih)
			continue
		}
		total := w.ended + s.received
		w.rate += slack * (float64(max(0, total-w.total))/gaugeEvery.Seconds() - w.rate)
		w.total, w.free = total, s.free
		for rate := range w.slow {
			if w.rate >= float64(rate) {
				w.slow[rate] = now
			}
		}
	}
}

// gauge measures all torrents that somebody waits for, until ctx ends.
func (d *Desk) gauge(ctx context.Context) {
	for sleep(ctx, gaugeEvery) {
		live := make(map[units.InfoHash]snap)
		d.mu.Lock()
		for c := range d.talks {
			if !c.buys.Load() {
				continue
			}
			s := live[c.link.InfoHash()]
			s.received += c.received.Load()
			s.free = s.free || c.generous.Load()
			live[c.link.InfoHash()] = s
		}
		d.mu.Unlock()
		d.flows.measure(time.Now(), live)
		d.judgeDrops(ctx, time.Now())
	}
}

// whyNotYet says that a rule's `when` does not hold now.
const whyNotYet = "not-yet"

// plan takes over how the rule buys.
func (b *buyer) plan(bid units.Price, when config.BuyWhen) {
	b.bid, b.when = bid, when
	if b.waits() {
		b.c.desk.flows.watch(b.c.link.InfoHash(), when.Rate, time.Now())
	}
}

// timely reports whether the rule pays at a time like this.
func (b *buyer) timely(now time.Time) bool {
	flows, ih := b.c.desk.flows, b.c.link.InfoHash()
	switch b.when.Kind {
	case config.BuySlower:
		return flows.slowFor(ih, b.when.Rate, now) >= b.when.For
	case config.BuyNoFreeSeeds:
		return !flows.isFree(ih)
	case config.BuyRare:
		f := b.c.known()
		b.c.desk.look(&f)
		return f.Torrent != nil && f.Torrent.Seeds >= 0 && f.Torrent.Seeds <= rareSeeds
	}
	return true
}

// waits reports whether the rule asks for more than this connection can tell.
func (b *buyer) waits() bool {
	return b.when.Kind == config.BuySlower || b.when.Kind == config.BuyNoFreeSeeds
}
