package pay

import (
	"testing"
	"time"

	"paygate/ledger"
	"paygate/policy"
	"paygate/proxy/wire"
)

// TestSellersThatProveThemselvesAndGoCostNoMoreThanTheBound meets seller after seller that delivers its first purchase,
// takes a larger one, and is never seen again.
func TestSellersThatProveThemselvesAndGoCostNoMoreThanTheBound(t *testing.T) {
	robbed(t, 100*time.Millisecond, func(s *sim) {
		for range 40 {
			bought := 0
			th := s.thief(func(th *thief, b wire.Buy) {
				bought++
				first := bought == 1
				s.wg.Go(func() {
					th.bill(b)
					if first {
						time.Sleep(time.Second)
						th.deliver(b)
					}
				})
			})
			time.Sleep(20 * time.Second)
			th.leave()
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Hour)
	}, func(s *sim, got ledger.Totals) {
		stake := policy.Stake(thiefTerms.Min, s.buy.Max, thiefTerms.Min)
		bound := policy.LossLimit(s.buy.PerTorrent, thiefTerms.Min) + 2*2*stake
		s.stolen(got, bound)
	})
}

// TestSellersThatProveThemselvesTogetherCostNoMoreThanTheBound meets crowds of sellers that deliver their first purchase and
// then, all at once, ask for the money for the next one, which they do not deliver.
func TestSellersThatProveThemselvesTogetherCostNoMoreThanTheBound(t *testing.T) {
	robbed(t, 100*time.Millisecond, func(s *sim) {
		for range 5 {
			var kept orders
			var here []*thief
			for range 20 {
				bought := 0
				here = append(here, s.thief(func(th *thief, b wire.Buy) {
					if bought++; bought > 1 {
						kept.keep(th, b)
						return
					}
					s.wg.Go(func() {
						th.bill(b)
						time.Sleep(time.Second)
						th.deliver(b)
					})
				}))
			}
			time.Sleep(40 * time.Second)
			kept.answer()
			time.Sleep(time.Minute)
			for _, th := range here {
				th.leave()
			}
			time.Sleep(time.Hour)
		}
	}, func(s *sim, got ledger.Totals) {
		// The second purchase may be sixteen times the first, and none of it is delivered.
		bound := policy.LossLimit(s.buy.PerTorrent, thiefTerms.Min) + 2*16*thiefTerms.Min
		stolen := s.stolen(got, bound)
		if got.PaymentsOut < 20 || stolen < 2*thiefTerms.Min {
			t.Error("the bound was not tried")
		}
	})
}
