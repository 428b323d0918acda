package pay

import (
	"path/filepath"
	"testing"

	"paygate/ledger"
	"paygate/units"
)

func TestPaymentThatEndsTwiceEndsNoOther(t *testing.T) {
	b, seller, ih := newBook(), units.PeerKey{1}, units.InfoHash{7}
	one := ledger.Intent{Hash: units.PaymentHash{1}, Seller: seller, InfoHash: ih, Msat: 10}
	two := one
	two.Hash = units.PaymentHash{2}
	b.pending(one, true)
	b.pending(two, true)
	for range 2 { // its maker and whoever asked the node about it, or its owner and the node
		b.pending(one, false)
	}
	if _, _, unproven := b.others(ih, units.PeerKey{2}); unproven != 1 {
		t.Errorf("%d sellers hold money", unproven)
	}
	b.pending(two, false)
	if _, paid, unproven := b.others(ih, units.PeerKey{2}); unproven != 0 || paid != 1 {
		t.Errorf("%d sellers hold money, of %d that were paid", unproven, paid)
	}
}

func TestOpenPaymentsOfAnEarlierRunAreAtStake(t *testing.T) {
	d, _ := openPayments(t, 3, 0)
	defer d.ledger.Close()
	if err := d.ledger.Fail(t.Context(), units.PaymentHash{1, 2}, "no route"); err != nil {
		t.Fatal(err)
	}
	again := newDesk(t, Config{Network: "regtest"}, d.ledger, d.rail, filepath.Join(t.TempDir(), "key"))
	if err := again.recallBook(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, paid, unproven := again.book.others(units.InfoHash{7}, units.PeerKey{9}); paid != 3 || unproven != 2 {
		t.Errorf("%d sellers hold money, of %d that were asked", unproven, paid)
	}
}
