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

// TestBookKeepsTheLatestState tells the book of an account as it was before, as a connection may that has read it early.
func TestBookKeepsTheLatestState(t *testing.T) {
	b, seller := newBook(), units.PeerKey{1}
	for _, p := range []ledger.Purse{
		{Purchases: 2, Paid: 30, Charged: 12, Balance: 18},
		{Purchases: 1, Paid: 10, Charged: 12, Balance: 0},
		{Purchases: 2, Paid: 30, Charged: 5, Balance: 25},
	} {
		p.Seller = seller
		b.delivered(p)
	}
	if r := b.sellers[seller]; r.unused != 18 || r.delivered != 12 {
		t.Errorf("%+v", r)
	}
	b.delivered(ledger.Purse{Seller: seller, Purchases: 2, Paid: 30, Charged: 12, WrittenOff: 18})
	if r := b.sellers[seller]; r.unused != 0 || r.lost != 18 {
		t.Errorf("%+v", r)
	}
}
