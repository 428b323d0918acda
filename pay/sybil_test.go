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
				s.wg.Go(func() {
					th.bill(b)
					if bought == 1 {
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
		stolen := got.CreditHeld + s.lost()
		t.Logf("%d payments of %v, %v held, %v written off, bound %v", got.PaymentsOut, got.Paid, got.CreditHeld, s.lost(), bound)
		if stolen > bound {
			t.Errorf("%v stolen, at most %v are allowed", stolen, bound)
		}
	})
}
