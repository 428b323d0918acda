package pay

import "time"

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

// forget takes n events back, as if they had not happened.
func (b *bucket) forget(n int) { b.used = max(0, b.used-float64(n)) }

// newFloodLimit bounds the messages of one peer, beside those of purchases that are paid. The protocol allows one a second
// on average and bursts of ten; a receiver forgives four times as much before it stops talking about money.
func newFloodLimit() bucket { return bucket{burst: floodBurst, rate: 4} }

const (
	floodBurst       = 40
	purchaseMessages = 4 // of one side, for one purchase: they do not count, once it is paid
)
