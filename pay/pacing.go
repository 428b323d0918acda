package pay

import (
	"slices"
	"sync"
	"time"

	"paygate/policy"
	"paygate/units"
)

// want is what there is to know when it is asked whether to buy now.
func (b *buyer) want(room units.Msat) policy.Want {
	d := b.c.desk
	left, known := b.c.link.Wanted()
	if !known {
		left = -1
	}
	delivered, _ := d.book.standing(b.seller, time.Now())
	proven := d.book.proven(b.seller)
	w := policy.Want{
		Credit:      b.credit(),
		Outstanding: units.Bytes(min(b.c.asked.Load(), windowBytes)),
		Rate:        b.rate(),
		T90:         d.payTimes.t90(defaultT90),
		Last:        b.latest(proven), LastFailed: b.failed, Proven: proven,
		Price: b.offer(),
		Min:   d.rules().buy.Min, Max: d.rules().buy.Max, Room: room,
		SellerMin: b.terms.Min, SellerMax: b.terms.Max,
		Left: left,
	}
	delivered += b.purse.Balance - b.unused() // what came since the last count
	own := w
	own.SellerMin = 0 // a seller does not say how much is at stake
	w.Max = min(w.Max, max(policy.Stake(delivered, w.Max, policy.Smallest(own)), policy.Smallest(w)))
	return w
}

// latest is the purchase that the next one may grow from. With a seller that has cost us money, and is not proven, each is
// the first: or it would be given more the less it delivers.
func (b *buyer) latest(proven bool) units.Msat {
	if !proven && b.purse.WrittenOff > b.purse.Missed {
		return 0
	}
	return b.last
}

// gauge measures how fast bytes come. It is woken by the first of them.
func (b *buyer) gauge(now time.Time) {
	received := b.c.received.Load()
	b.speed.sample(now, received, b.credit() < block)
	if b.speed.still {
		b.c.lowIn.Store(received + 1)
	}
}

// pause is how long nothing has to be looked at unless something happens.
func (b *buyer) pause(now time.Time) time.Duration {
	if b.speed.unknown() {
		return firstInterval
	}
	if wait := b.notUntil.Sub(now); wait > 0 {
		return min(wait, activeTick)
	}
	return activeTick
}

// rate is how many bytes come a second, as far as anybody knows; slow ones count as startRate.
func (b *buyer) rate() int64 {
	if r := b.speed.rate(); r > 0 {
		return max(r, startRate)
	}
	return 0
}

// watch wakes us when credit will have fallen to where the next purchase is due.
func (b *buyer) watch(w policy.Want, why string) {
	due := w.Credit - w.Outstanding - policy.Reserve(w)
	if why == policy.WhyProving {
		due = w.Credit - block + 1
	}
	if b.speed.still {
		due = min(due, 1) // the first byte begins the measurement
	}
	if due > 0 {
		b.c.lowIn.Store(b.c.received.Load() + int64(due))
	}
}

// speed measures how fast bytes come while they come. An interval begins when they do, and one in which they had to stop
// for want of credit says only that they come at least as fast.
type speed struct {
	last    time.Time
	bytes   int64
	still   bool // nothing has come since last
	dry     bool // there was no credit when the interval began
	average float64
	peak    float64
}

const (
	speedInterval = 200 * time.Millisecond
	firstInterval = 50 * time.Millisecond // of a rate that is not known at all
)

// sample takes the cumulative count of bytes. dry says that there is no credit for more.
func (s *speed) sample(now time.Time, total int64, dry bool) {
	if begins := s.still; s.last.IsZero() || total <= s.bytes || begins {
		s.still = total <= s.bytes || s.last.IsZero()
		s.last, s.bytes, s.dry = now, total, dry
		return
	}
	dt := now.Sub(s.last)
	if dt < firstInterval || dt < speedInterval && s.average > 0 {
		return
	}
	rate := float64(total-s.bytes) / dt.Seconds()
	stopped := dry || s.dry
	s.last, s.bytes, s.dry = now, total, dry
	if stopped && rate <= s.average || dry && s.average == 0 {
		return
	}
	if s.average == 0 {
		s.average = rate
	}
	s.average += 0.3 * (rate - s.average)
	s.peak = max(rate, s.peak*0.9)
}

// unknown reports that bytes have begun to come and nobody knows yet how fast.
func (s *speed) unknown() bool { return s.average == 0 && !s.last.IsZero() && !s.still }

// rate returns bytes a second, leaning to the fast side, since running out costs more than having bought early; 0 while
// nobody knows.
func (s *speed) rate() int64 { return int64(max(s.average, s.peak*0.8)) }

// slowEnd remembers how long the last payments took and tells their slow end (T90): the 90th percentile, or, where one of
// them was much slower, slowestPart of that one. Without that a payment that is slow one time in twenty would never count.
type slowEnd struct {
	mu   sync.Mutex
	ring []time.Duration
	next int
}

const (
	slowEndMemory = 32
	slowestPart   = 0.6             // of the slowest payment counts,
	slowestMost   = 4 * time.Second // and of that at most so much, since a single seller may have made it slow
)

func (s *slowEnd) add(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ring) < slowEndMemory {
		s.ring = append(s.ring, d)
		return
	}
	s.ring[s.next] = d
	s.next = (s.next + 1) % slowEndMemory
}

// t90 returns the slow end, or d when nothing has been measured.
func (s *slowEnd) t90(d time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ring) == 0 {
		return d
	}
	sorted := slices.Sorted(slices.Values(s.ring))
	p90, slowest := sorted[min(len(sorted)-1, len(sorted)*9/10)], sorted[len(sorted)-1]
	return max(p90, min(slowestMost, time.Duration(slowestPart*float64(slowest))))
}
