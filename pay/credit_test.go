package pay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"paygate/config"
	"paygate/ledger"
	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

// creditSim is a sale to buyers with history, of which one transfer has been paid.
func creditSim(t *testing.T, credit config.Credit, before func(*sim)) *sim {
	t.Helper()
	sell, buy := simRules()
	sell.Rules[0].Credit, sell.Rules[0].Sample = credit, 0
	s := newSim(t, newBank(70*time.Millisecond), sell, buy)
	s.size = 256 << 20
	if before != nil {
		before(s)
	}
	s.start()
	s.transfer(10 * time.Second)
	return s
}

// again ends both sides in good order and starts them.
func (s *sim) again() {
	s.t.Helper()
	s.stop()
	s.wg.Wait()
	for _, l := range []*ledger.Ledger{s.sellerL, s.buyerL} {
		if err := l.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
	s.openSeller()
	s.openBuyer()
	s.start()
}

func (s *sim) account() ledger.Account {
	s.t.Helper()
	a, err := s.sellerL.Account(context.Background(), publicKey(s.buyer.keys.Buyer(publicKey(s.seller.keys.Seller()))))
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func TestRegularIsServedOnCreditAndPaysItsDebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := creditSim(t, config.Credit{Percent: 10, Cap: 1000 * units.Sat}, nil)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		s.bank.set(func() { s.bank.down = true })
		s.transfer(30 * time.Second)
		a := s.account()
		line := a.Paid / 10
		if a.Balance >= 0 || -a.Balance > line || -a.Balance < line-100 {
			t.Errorf("balance %v with a line of %v", a.Balance, line)
		}
		if a.Billed == 0 || a.Defaulted {
			t.Errorf("%+v", a)
		}
		s.bank.set(func() { s.bank.down = false })
		s.transfer(5 * time.Minute)
		time.Sleep(10 * time.Second)
		s.close()
		if a := s.account(); s.got != s.size || a.Balance < 0 || a.Billed != 0 || a.Defaulted {
			t.Errorf("%d of %d bytes; %+v", s.got, s.size, a)
		}
		if seller, buyer := s.totals(); seller.CreditOwed != buyer.CreditHeld || s.lost() != 0 {
			t.Errorf("seller owes %v, buyer holds %v, %v lost", seller.CreditOwed, buyer.CreditHeld, s.lost())
		}
	})
}

// TestDebtIsPaidForItself has a buyer that wants nothing more, and owes.
func TestDebtIsPaidForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := creditSim(t, config.Credit{Percent: 10, Cap: 1000 * units.Sat}, nil)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		s.bank.set(func() { s.bank.down = true })
		s.transfer(30 * time.Second)
		s.bc.Notify(proxy.Event{Kind: proxy.ClientNotInterested})
		s.bank.set(func() { s.bank.down = false })
		time.Sleep(time.Minute)
		if a := s.account(); a.Balance < 0 || a.Balance > 2 || a.Billed != 0 {
			t.Errorf("%+v", a)
		}
		list, err := s.buyerL.Purchases(t.Context(), 1)
		if err != nil || len(list) == 0 || list[0].For != wire.ForDebt || list[0].State != ledger.StateSucceeded {
			t.Errorf("%+v, %v", list, err)
		}
		s.close()
	})
}

// TestDefaultIsForGood has a buyer leave with a debt for more than a day.
func TestDefaultIsForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := creditSim(t, config.Credit{Percent: 10, Cap: 1000 * units.Sat}, nil)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		s.bank.set(func() { s.bank.down = true })
		s.transfer(30 * time.Second)
		debt := -s.account().Balance
		s.stop()
		s.wg.Wait()
		time.Sleep(25 * time.Hour)
		s.bank.set(func() { s.bank.down = false })
		s.again()
		time.Sleep(2 * time.Second)
		if a := s.account(); !a.Defaulted || debt <= 0 {
			t.Errorf("%+v after a debt of %v", a, debt)
		}
		s.transfer(time.Minute)
		if a := s.account(); s.sc.seller.stock.line != 0 || a.Balance < 0 || a.Paid == 0 {
			t.Errorf("%+v, line %v", a, s.sc.seller.stock.line)
		}
		s.close()
	})
}

func TestStrangersAndRulesWithoutCreditGiveNone(t *testing.T) {
	for name, credit := range map[string]config.Credit{"none": {}, "a cap of nothing": {Percent: 10}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := creditSim(t, credit, nil)
				defer func() { s.sellerL.Close(); s.buyerL.Close() }()
				s.bank.set(func() { s.bank.down = true })
				s.transfer(30 * time.Second)
				if a := s.account(); a.Balance < 0 || a.Billed != 0 {
					t.Errorf("%+v", a)
				}
				s.close()
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		bank := newBank(0)
		bank.down = true
		sell, buy := simRules()
		sell.Rules[0].Credit, sell.Rules[0].Sample = config.Credit{Percent: 10, Cap: units.BTC}, 0
		s := newSim(t, bank, sell, buy)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		s.start()
		s.transfer(10 * time.Second)
		s.close()
		if s.got != 0 {
			t.Errorf("%d bytes for a stranger", s.got)
		}
	})
}

// TestDebtAboveTheLargestPurchaseIsPaidInParts has a seller that sells no more at once than a part of what is owed.
func TestDebtAboveTheLargestPurchaseIsPaidInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 10 * units.Sat
		s := creditSim(t, config.Credit{Percent: 10, Cap: 1000 * units.Sat}, func(s *sim) {
			rules := s.sell
			rules.Rules = []config.SellRule{s.sell.Rules[0]}
			rules.Rules[0].Max = most
			s.seller.SetRules(rules, config.Buy{})
		})
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		s.transfer(5 * time.Second)
		s.bank.set(func() { s.bank.down = true })
		s.transfer(20 * time.Second)
		if a := s.account(); -a.Balance <= most {
			t.Fatalf("owes %v, no more than one purchase", -a.Balance)
		}
		s.bc.Notify(proxy.Event{Kind: proxy.ClientNotInterested})
		s.bank.set(func() { s.bank.down = false })
		time.Sleep(2 * time.Minute)
		if a := s.account(); a.Balance < -units.Sat || a.Balance > 2 {
			t.Errorf("%+v", a)
		}
		s.close()
	})
}
