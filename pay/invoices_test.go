package pay

import (
	"testing"
	"testing/synctest"
	"time"

	"paygate/ledger"
	"paygate/units"
)

// TestInvoicesThatAreOverAreForgotten sweeps an invoice that the node has lost, until the ledger does not list it.
func TestInvoicesThatAreOverAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		inv := ledger.Invoice{
			Hash: units.PaymentHash{1}, Buyer: units.PeerKey{1}, InfoHash: s.infoHash, Price: sell.Rules[0].Price,
			Buys: block, Msat: sell.Rules[0].Price.Charge(block), For: "bytes", Request: "lnsim", Expires: time.Now().Add(time.Hour),
		}
		if err := s.sellerL.AddInvoice(t.Context(), inv); err != nil {
			t.Fatal(err)
		}
		done := make(map[ledger.Invoice]struct{})
		for range 2 {
			if s.seller.sweepOnce(t.Context(), done); len(done) != 1 {
				t.Fatalf("%d invoices are known to be gone", len(done))
			}
		}
		time.Sleep(26 * time.Hour)
		if s.seller.sweepOnce(t.Context(), done); len(done) != 0 {
			t.Errorf("%d invoices are remembered that nobody lists", len(done))
		}
	})
}
