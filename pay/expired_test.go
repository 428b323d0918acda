package pay

import (
	"testing"
	"testing/synctest"
	"time"

	"paygate/proxy/wire"
)

// TestInvoiceThatExpiresIsNotPaid has a buyer that never sees its invoice.
func TestInvoiceThatExpiresIsNotPaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.tamper = func(b []byte) []byte {
			if m, err := wire.ParseMessage(b); err == nil && (m.Type() == "invoice" || m.Type() == "state") {
				return nil
			}
			return b
		}
		s.start()
		s.transfer(5 * time.Second)
		synctest.Wait()
		if s.sc.seller.invoice == nil {
			t.Fatal("no invoice was made")
		}
		used := func() float64 {
			s.seller.quota.mu.Lock()
			defer s.seller.quota.mu.Unlock()
			b, _ := s.seller.quota.subnets.Peek(s.sc.seller.stock.subnet)
			return b.used
		}
		for range 5 { // as if others of its neighbourhood had asked just now
			s.seller.quota.allow(s.sc.seller.stock.subnet, s.sc.seller.invoice.Expires)
		}
		was := used()
		time.Sleep(time.Until(s.sc.seller.invoice.Expires) + time.Second)
		s.seller.wakeAll()
		synctest.Wait()
		if s.sc.seller.invoice != nil {
			t.Error("an invoice that has expired is kept")
		}
		if now := used(); now != was {
			t.Errorf("%v unpaid invoices became %v", was, now)
		}
		if s.sc.seller.told.Gate == wire.GateOpen {
			t.Error("the gate is said to be open")
		}
		s.close()
	})
}
