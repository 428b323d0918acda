package pay

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"paygate/units"
)

// TestPaymentThatWasWrittenOffIsStillFollowed has the owner give up on a payment that then succeeds.
func TestPaymentThatWasWrittenOffIsStillFollowed(t *testing.T) {
	for name, succeeds := range map[string]bool{"it succeeds": true, "it stays open": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sell, buy := simRules()
				s := newSim(t, newBank(0), sell, buy)
				defer s.sellerL.Close()
				defer s.buyerL.Close()
				s.bank.outcome = func(Payment) (Outcome, error) { return Outcome{}, errNodeDown }
				s.start()
				s.transfer(10 * time.Second)
				open, err := s.buyerL.OpenPurchases(t.Context())
				if err != nil || len(open) == 0 {
					t.Fatalf("%v, %v", open, err)
				}
				s.stop()
				s.wg.Wait()
				// From now on nobody pays; what is open is followed.
				desk := newDesk(t, Config{Network: "regtest"}, s.buyerL, s.bank.node(2), filepath.Join(s.dir, "buyer.key"))
				ctx, stop := context.WithCancel(context.Background())
				s.stop = stop
				s.wg.Go(func() { _ = desk.Run(ctx) })
				time.Sleep(2 * time.Hour)
				for _, p := range open {
					if err := s.buyerL.WriteOffPayment(t.Context(), p.Hash, "the owner"); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				var paid units.Msat
				for _, p := range open {
					if succeeds {
						if out, err := s.bank.settle(p.Hash); err != nil || out.State != Succeeded {
							t.Fatalf("%+v, %v", out, err)
						}
						paid += p.Msat
					}
				}
				time.Sleep(givenUpEvery + time.Minute)
				s.close()
				_, buyer := s.totals()
				off, err := s.buyerL.WrittenOffPurchases(t.Context())
				if err != nil || (len(off) == 0) != succeeds || buyer.Paid != paid || buyer.Pending != 0 {
					t.Errorf("%d are written off, %v paid of %v, %v pending, %v", len(off), buyer.Paid, paid, buyer.Pending, err)
				}
			})
		})
	}
}
