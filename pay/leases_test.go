package pay

import (
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"paygate/units"
)

// TestConnectionsOfOneBuyerNeverSpendMoreThanItHas has connections lease, charge what they were leased and come and go
// at the same time.
func TestConnectionsOfOneBuyerNeverSpendMoreThanItHas(t *testing.T) {
	l, buyer := newLeases(), units.PeerKey{1}
	var left atomic.Int64
	left.Store(100_000)
	var wg sync.WaitGroup
	for n := range byte(4) {
		wg.Go(func() {
			c, ih := &conversation{}, units.InfoHash{n}
			l.attach(c, buyer, ih)
			for i := range 5000 {
				got, err := l.take(c, buyer, func() (units.Msat, units.Msat, error) {
					balance := units.Msat(left.Load())
					runtime.Gosched()
					return balance, 10 + units.Msat(i%7), nil
				})
				if err != nil {
					t.Error(err)
				}
				if now := left.Add(-int64(got)); now < 0 {
					t.Errorf("%d more was spent than was there", -now)
					break
				}
				if i%5 == 0 {
					l.detach(c, buyer, ih)
					l.attach(c, buyer, ih)
				}
			}
			l.detach(c, buyer, ih)
		})
	}
	wg.Wait()
	if left.Load() > 100 || len(l.credit) != 0 {
		t.Errorf("%d are left, of %d buyers", left.Load(), len(l.credit))
	}
}

// TestSubnetNeverGetsMoreThanItsSample is the same for free bytes.
func TestSubnetNeverGetsMoreThanItsSample(t *testing.T) {
	l, subnet := newLeases(), netip.MustParsePrefix("203.0.113.0/24")
	const sample = 100_000
	var used atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for used.Load() < sample {
				c := &conversation{}
				got, err := l.takeSample(c, units.InfoHash{7}, subnet, func(held sampled) (units.Bytes, error) {
					given := units.Bytes(used.Load())
					runtime.Gosched()
					return max(0, min(10, sample-given-held.subnet)), nil
				})
				if err != nil {
					t.Error(err)
				}
				if now := used.Add(int64(got)); now > sample {
					t.Errorf("%d bytes were given of %d", now, sample)
				}
				l.detach(c, units.PeerKey{}, units.InfoHash{7})
			}
		})
	}
	wg.Wait()
}
