package pay

import (
	"slices"
	"sync"
	"time"
)

// bucket allows bursts and a steady rate.
type bucket struct {
	burst, rate float64 // events, and events a second
	used        float64
	last        time.Time
}

func (b *bucket) allow(now time.Time) bool {
	b.used = max(0, b.used-now.Sub(b.last).Seconds()*b.rate)
	b.last = now
	if b.used > b.burst-1 {
		return false
	}
	b.used++
	return true
}

// undo gives one event back.
func (b *bucket) undo() { b.used = max(0, b.used-1) }

// newFloodLimit bounds the messages of one peer. The protocol allows one a second on average and bursts of ten; a
// receiver forgives four times as much before it stops talking about money.
func newFloodLimit() bucket { return bucket{burst: floodBurst, rate: 4} }

const floodBurst = 40

// speed measures how fast bytes come while they come: intervals without any (stalls) do not count.
type speed struct {
	last    time.Time
	bytes   int64
	average float64
	peak    float64
}

const speedInterval = 200 * time.Millisecond

// sample takes the cumulative count of bytes.
func (s *speed) sample(now time.Time, total int64) {
	if s.last.IsZero() {
		s.last, s.bytes = now, total
		return
	}
	dt := now.Sub(s.last)
	if dt < speedInterval {
		return
	}
	rate := float64(total-s.bytes) / dt.Seconds()
	s.last, s.bytes = now, total
	if rate <= 0 {
		return
	}
	if s.average == 0 {
		s.average = rate
	}
	s.average += 0.3 * (rate - s.average)
	s.peak = max(rate, s.peak*0.9)
}

// rate returns bytes a second, leaning to the fast side, since running out costs more than having bought early.
func (s *speed) rate() int64 { return int64(max(s.average, s.peak*0.8)) }

// slowEnd remembers how long the last payments took and tells their 90th percentile (T90).
type slowEnd struct {
	mu   sync.Mutex
	ring []time.Duration
	next int
}

const slowEndMemory = 32

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
	return sorted[min(len(sorted)-1, len(sorted)*9/10)]
}
