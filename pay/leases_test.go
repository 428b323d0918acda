package pay

import (
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// TestSubnetNeverGetsMoreThanItsSample is the same for free bytes. Half of the connections stay, and what they have been
// given counts once.
func TestSubnetNeverGetsMoreThanItsSample(t *testing.T) {
	l, subnet := newLeases(), netip.MustParsePrefix("203.0.113.0/24")
	const sample = 10_000
	var used atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range sample {
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
				if i%2 == 0 {
					l.gave(c, got)
				} else {
					l.detach(c, units.PeerKey{}, units.InfoHash{7})
				}
				if used.Load() == sample {
					return
				}
			}
		})
	}
	wg.Wait()
	if n := used.Load(); n != sample {
		t.Errorf("%d bytes were given of %d", n, sample)
	}
}

func TestSlotsOfOneSubnet(t *testing.T) {
	s := newSlots(3)
	near, far := netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.0/24")
	for i, step := range []struct {
		subnet netip.Prefix
		give   bool
		want   bool
	}{
		{subnet: near, want: true},
		{subnet: near, want: true},
		{subnet: near, want: false},
		{subnet: far, want: true},
		{subnet: far, want: false}, // none are left
		{subnet: near, give: true},
		{subnet: far, want: true},
		{subnet: near, want: false},
		{subnet: far, give: true},
		{subnet: near, want: true},
	} {
		if step.give {
			s.give(step.subnet)
		} else if got := s.take(step.subnet); got != step.want {
			t.Errorf("step %d: got %v", i, got)
		}
	}
	s.give(near)
	s.give(near)
	s.give(far)
	if s.free != 3 || len(s.taken) != 0 {
		t.Errorf("%d are free, %d subnets have some", s.free, len(s.taken))
	}
}

// TestDeclinedPeerRests has a peer be declined while it is shown to the client.
func TestDeclinedPeerRests(t *testing.T) {
	sell, buy := simRules()
	s := newSim(t, newBank(0), sell, buy)
	defer s.sellerL.Close()
	defer s.buyerL.Close()
	one := s.seller.open(&simLink{s: s, remote: newPeerAddr}).seller
	now := time.Now()
	if !one.takeSlot(now) {
		t.Fatal("there is no slot")
	}
	one.mode = offered
	one.decline("busy", 5)
	if one.slot || one.takeSlot(now.Add(slotRest-time.Second)) {
		t.Error("a declined peer is shown again at once")
	}
	if !one.takeSlot(now.Add(slotRest + time.Minute)) {
		t.Error("a declined peer is never shown again")
	}
}
