package pay

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnotherNodeFreesNothing leaves a payment whose outcome is unknown and comes back with a node that has never
// heard of it.
func TestAnotherNodeFreesNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		node  byte
		freed bool
	}{
		"the same node": {2, true},
		"another node":  {3, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sell, buy := simRules()
				bank := newBank(0)
				bank.outcome = func(Payment) (Outcome, error) { return Outcome{}, errNodeDown }
				s := newSim(t, bank, sell, buy)
				defer s.sellerL.Close()
				s.start()
				s.transfer(5 * time.Second)
				s.close()
				if _, b := s.totals(); b.Pending == 0 {
					t.Fatal("nothing is pending")
				}
				clear(bank.invoices) // Track answers that it was never sent
				s.buyerL.Close()
				s.buyerL = openLedger(t, filepath.Join(s.dir, "buyer.sqlite"))
				defer s.buyerL.Close()
				again := newDesk(t, Config{Network: "regtest", Buy: buy}, s.buyerL, bank.node(tc.node), filepath.Join(s.dir, "buyer.key"))
				ctx, cancel := context.WithCancel(context.Background())
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = again.Run(ctx)
				}()
				time.Sleep(5 * time.Minute)
				cancel()
				<-done
				if _, b := s.totals(); (b.Pending == 0) != tc.freed {
					t.Errorf("%v are pending", b.Pending)
				}
			})
		})
	}
}
