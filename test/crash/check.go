package crash

import (
	"fmt"

	"github.com/lightningnetwork/lnd/lnrpc"

	"paygate/ledger"
	"paygate/units"
)

// look is everything that can be known of a lane in a moment of rest: nothing is being transferred, and what both
// ledgers say was read before the nodes were asked.
type look struct {
	buyer, seller         books
	buyerUp, sellerUp     bool               // which paygates run
	payments              map[string]payment // what the buyer's node says of each purchase
	invoices              map[string]invoice // settled ones of the seller's node
	buyerNode, sellerNode accounts           // now
	buyerHad, sellerHad   units.Msat         // balances at the beginning
	passed                units.Bytes        // blocks that left the seller's paygate
	loss                  allowance
}

// allowance is how much may have been served and not charged.
type allowance struct {
	price   units.Price
	largest units.Msat  // purchase, and so lease
	before  units.Bytes // not charged when last looked at
	crashes int         // of the seller's paygate since then
}

// differences lists everything that does not add up; each line is a defect, unless something was not at rest.
func (l look) differences() []string {
	var d findings
	l.checkSelling(&d)
	l.checkCredit(&d)
	l.checkBuying(&d)
	l.checkReserved(&d)
	l.checkNodes(&d)
	l.checkBill(&d)
	return d
}

// findings are differences.
type findings []string

func (d *findings) add(format string, args ...any) { *d = append(*d, fmt.Sprintf(format, args...)) }

func (d *findings) equal(what string, a, b units.Msat) {
	if a != b {
		d.add("%s: %d msat and %d msat", what, int64(a), int64(b))
	}
}

// checkSelling: nothing is credited that the node has not settled, and nothing is credited twice.
func (l look) checkSelling(d *findings) {
	for hash, n := range l.seller.entries(ledger.KindSettled) {
		if n != 1 {
			d.add("invoice %s was credited %d times", hash, n)
		}
	}
	var sum units.Msat
	for hash, msat := range l.seller.settled() {
		sum += msat
		if i, ok := l.invoices[hash]; !ok {
			d.add("invoice %s was credited, but is not settled", hash)
		} else if i.msat != msat {
			d.add("invoice %s was credited with %d msat, but %d msat were paid", hash, msat, i.msat)
		}
	}
	t := l.seller.totals
	d.equal("seller's ledger: received, and the sum of what was credited", t.Received, sum)
	d.equal("seller's ledger: received + debt = earned + credit", t.Received+t.Debt, t.Earned+t.CreditOwed)
	d.equal("seller's ledger: debt", t.Debt, 0)
}

// checkCredit: what the node has settled is credited, or will be when the stream of settlements is resumed.
func (l look) checkCredit(d *findings) {
	known, credited := l.seller.entries(ledger.KindInvoice), l.seller.settled()
	for hash, i := range l.invoices {
		_, done := credited[hash]
		switch {
		case known[hash] == 0:
			d.add("invoice %s was paid, but never journalled", hash)
		case !done && l.sellerUp:
			d.add("invoice %s was paid, but not credited", hash)
		case !done && i.index <= l.seller.cursor:
			d.add("invoice %s was paid, and will never be credited: it is at %d, and the cursor at %d", hash, i.index, l.seller.cursor)
		}
	}
}

// checkBuying: the buyer's ledger and its node agree on each payment, as far as the ledger claims to know.
func (l look) checkBuying(d *findings) {
	var paid, fees units.Msat
	for _, p := range l.buyer.purchases {
		hash, node := p.Hash.String(), l.payments[p.Hash.String()]
		succeeded := node.status == lnrpc.Payment_SUCCEEDED
		switch {
		case p.State == ledger.StateSucceeded && !succeeded:
			d.add("payment %s counts as made, but the node says %s", hash, node.status)
		case p.State == ledger.StateFailed && (succeeded || moving(node.status)):
			d.add("payment %s counts as failed, but the node says %s", hash, node.status)
		case p.State == ledger.StateIntent && node != payment{}:
			d.add("payment %s was never handed over, but the node says %s", hash, node.status)
		case succeeded && (node.msat != p.Msat || node.fee > p.FeeLimit):
			d.add("payment %s was to be %d msat and at most %d in fees, and was %d and %d", hash, p.Msat, p.FeeLimit, node.msat, node.fee)
		case p.State == ledger.StateSucceeded && p.Fee != node.fee:
			d.add("payment %s cost %d msat in fees, not %d", hash, node.fee, p.Fee)
		}
		if p.State == ledger.StateSucceeded {
			paid += p.Msat
			fees += p.Fee
		}
	}
	d.equal("buyer's ledger: paid, and the sum of its payments", l.buyer.totals.Paid, paid)
	d.equal("buyer's ledger: fees, and the sum of its payments' fees", l.buyer.totals.Fees, fees)
	for _, kind := range []string{ledger.KindIntent, ledger.KindSent, ledger.KindSucceed, ledger.KindFailed} {
		for hash, n := range l.buyer.entries(kind) {
			if n != 1 {
				d.add("payment %s has become %q %d times", hash, kind, n)
			}
		}
	}
}

// checkReserved: the reserved sum is that of the payments that are listed as open.
func (l look) checkReserved(d *findings) {
	var sum units.Msat
	unknown := 0
	for _, p := range l.buyer.open() {
		sum += p.Msat + p.FeeLimit
		if p.State == ledger.StateUnknown {
			unknown++
		}
		if node := l.payments[p.Hash.String()]; l.buyerUp && final(node.status) {
			d.add("payment %s counts as %s, but the node says %s", p.Hash, p.State, node.status)
		}
	}
	d.equal("buyer's ledger: pending, and the sum of the open payments", l.buyer.totals.Pending, sum)
	if l.buyer.totals.Unknown != unknown {
		d.add("buyer's ledger: %d payments unknown, %d listed", l.buyer.totals.Unknown, unknown)
	}
}

func moving(s lnrpc.Payment_PaymentStatus) bool {
	return s == lnrpc.Payment_IN_FLIGHT || s == lnrpc.Payment_INITIATED
}

func final(s lnrpc.Payment_PaymentStatus) bool {
	return s == lnrpc.Payment_SUCCEEDED || s == lnrpc.Payment_FAILED
}

// checkNodes: the nodes agree with each other, with their balances, and know no payment that the buyer's ledger does
// not know.
func (l look) checkNodes(d *findings) {
	var paid, fees, received units.Msat
	for hash, p := range l.payments {
		if p.status != lnrpc.Payment_SUCCEEDED {
			continue
		}
		paid += p.msat
		fees += p.fee
		if i, ok := l.invoices[hash]; !ok || i.msat != p.msat {
			d.add("payment %s has succeeded with %d msat, but its invoice has %d", hash, p.msat, i.msat)
		}
	}
	for _, i := range l.invoices {
		received += i.msat
	}
	from, to := l.buyerNode.stats, l.sellerNode.stats
	d.equal("buyer's node sent, and the sum of the ledger's payments that it knows", from.SentMsat, paid)
	d.equal("buyer's node paid fees, and the sum of those payments' fees", from.FeesMsat, fees)
	d.equal("seller's node received, and the sum of its settled invoices", to.ReceivedMsat, received)
	d.equal("seller's node: balance", l.sellerNode.balance, l.sellerHad+to.ReceivedMsat)
	if from.InFlight == 0 {
		d.equal("buyer's node: balance", l.buyerNode.balance, l.buyerHad-from.SentMsat-from.FeesMsat)
		d.equal("sent by one node, received by the other", from.SentMsat, to.ReceivedMsat)
	}
}

// checkBill: what was charged is what passed, but for one lease for each crash of the seller's paygate, in the buyer's
// favour.
func (l look) checkBill(d *findings) {
	t := l.seller.totals
	if fresh := l.lost() - l.loss.before; fresh < 0 {
		d.add("the seller charged for %d bytes more than passed", -int64(fresh))
	} else if cost, most := l.loss.price.Charge(fresh), units.Msat(l.loss.crashes)*(l.loss.largest); cost > most {
		d.add("%d bytes passed and were not charged: %d msat after %d crashes, at most %d", fresh, cost, l.loss.crashes, most)
	}
	d.equal("seller's ledger: earned, and the price of what was sold", t.Earned, l.loss.price.Charge(t.SoldBytes))
	if t.SampleBytes != 0 || l.buyer.totals.FreeBytes != 0 {
		d.add("%d bytes were given free, %d taken so", t.SampleBytes, l.buyer.totals.FreeBytes)
	}
}

// lost is how many bytes passed and were never charged.
func (l look) lost() units.Bytes { return l.passed - l.seller.totals.SoldBytes }

// resolvedDifferences are those of a look at which no payment may be open, unless the node itself does not know how it
// will end.
func (l look) resolvedDifferences() []string {
	d := findings(l.differences())
	for _, p := range l.buyer.open() {
		if !moving(l.payments[p.Hash.String()].status) {
			d.add("payment %s is still %s", p.Hash, p.State)
		}
	}
	return d
}

// settledDifferences are those of a look after both sides have compared their books.
func (l look) settledDifferences() []string {
	d := findings(l.resolvedDifferences())
	b, s := l.buyer.totals, l.seller.totals
	d.equal("paid in the buyer's ledger, received in the seller's", b.Paid, s.Received)
	if diff := b.CreditHeld - s.CreditOwed; diff < -1 || diff > 1 {
		d.add("the buyer thinks that it has %d msat of credit, the seller %d", b.CreditHeld, s.CreditOwed)
	}
	return d
}

// apart is by how much the books differ on the buyer's credit.
func (l look) apart() units.Msat {
	t := l.buyer.totals
	diff := t.CreditHeld - l.seller.totals.CreditOwed
	return max(diff, -diff)
}
