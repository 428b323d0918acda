package pay

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"paygate/ledger"
	"paygate/proxy/wire"
	"paygate/units"
)

// TestInvoiceWaitsForThePaymentOfAnotherConnection has another connection begin a payment to the same seller while an invoice
// is on its way: it is not given back, but paid once the other payment is over.
func TestInvoiceWaitsForThePaymentOfAnotherConnection(t *testing.T) {
	for _, c := range []struct {
		name string
		busy time.Duration
		kept bool
	}{
		{"a quick one", 3 * time.Second, true},
		{"one that hangs", 2 * keptPatience, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sell, buy := simRules()
				s := newSim(t, newBank(0), sell, buy)
				defer closeAll(s.sellerL, s.buyerL)
				other := ledger.Intent{
					Hash: units.PaymentHash{9}, Seller: publicKey(s.seller.keys.Seller()), InfoHash: units.InfoHash{8},
					Price: sell.Rules[0].Price, Buys: 1000, Msat: 1000, For: wire.ForBytes, Request: "other", Expires: time.Now().Add(time.Hour),
				}
				var once sync.Once
				var refused atomic.Int64
				s.tamper = func(b []byte) []byte {
					switch m, err := wire.ParseMessage(b); {
					case err != nil:
					case m.Type() == "invoice":
						once.Do(func() {
							if err := s.buyerL.Reserve(t.Context(), other, s.buyer.rules().caps); err != nil {
								t.Error(err)
							}
						})
					case m.Type() == "no":
						refused.Add(1)
					}
					return b
				}
				s.start()
				s.transfer(c.busy)
				if _, buyer := s.totals(); buyer.Paid != 0 {
					t.Errorf("%v were paid beside another payment", buyer.Paid)
				}
				if kept := refused.Load() == 0; kept != c.kept {
					t.Errorf("%d times no was said", refused.Load())
				}
				if err := s.buyerL.Fail(t.Context(), other.Hash, "no route"); err != nil {
					t.Error(err)
				}
				s.transfer(time.Minute)
				if _, buyer := s.totals(); buyer.Paid == 0 {
					t.Error("nothing was paid afterwards")
				}
				if slow := s.buyer.payTimes.t90(0); slow >= time.Second {
					t.Errorf("waiting counts as a payment that takes long: %v", slow)
				}
				s.close()
			})
		})
	}
}
