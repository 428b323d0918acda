package pay

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"paygate/ledger"
	"paygate/units"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// paidTransfer runs one whole transfer and checks the equalities that hold for each.
func paidTransfer(t *testing.T, s *sim) ledger.Totals {
	t.Helper()
	defer s.sellerL.Close()
	defer s.buyerL.Close()
	s.start()
	s.transfer(10 * time.Minute)
	time.Sleep(3 * time.Second)
	s.close()
	if s.got != s.size {
		t.Fatalf("only %d of %d bytes came", s.got, s.size)
	}
	seller, buyer := s.totals()
	if buyer.Paid != seller.Received || buyer.Paid == 0 {
		t.Errorf("paid %d msat, received %d", buyer.Paid, seller.Received)
	}
	rule := s.seller.rules().sell.Rules[0]
	if want := rule.Price.Charge(units.Bytes(s.size) - rule.Sample); seller.Earned != want {
		t.Errorf("earned %d msat, want %d", seller.Earned, want)
	}
	if seller.CreditOwed != buyer.CreditHeld {
		t.Errorf("the seller owes %d msat of credit, the buyer holds %d", seller.CreditOwed, buyer.CreditHeld)
	}
	return seller
}

func TestTransferIsPaid(t *testing.T) {
	for _, latency := range []time.Duration{0, 70 * time.Millisecond, 500 * time.Millisecond, 3 * time.Second} {
		t.Run(latency.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sell, buy := simRules()
				s := newSim(t, newBank(latency), sell, buy)
				began := time.Now()
				paidTransfer(t, s)
				ideal := time.Duration(s.size * int64(time.Second) / s.rate)
				t.Logf("%d payments, stalled %v, took %v (ideal %v)", s.bank.pays, s.stalls, time.Since(began)-3*time.Second, ideal)
			})
		})
	}
}

func TestNoMoreIsBoughtThanIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(70*time.Millisecond), sell, buy)
		s.knows = true
		if seller := paidTransfer(t, s); seller.CreditOwed > buy.Min {
			t.Errorf("%v are left of %v", seller.CreditOwed, seller.Received)
		}
	})
}

func TestManySmallPurchasesAreNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		sell.Rules[0].Min, sell.Rules[0].Max = units.Sat, units.Sat
		buy.Min, buy.Max = units.Sat, units.Sat
		s := newSim(t, newBank(time.Millisecond), sell, buy)
		s.rate, s.size = 30*int64(units.MiB), 128*int64(units.MiB)
		began := time.Now()
		paidTransfer(t, s)
		if s.bc.mute || s.sc.mute {
			t.Error("honest peers stopped talking about money")
		}
		t.Logf("%d payments in %s", s.bank.pays, time.Since(began))
	})
}
