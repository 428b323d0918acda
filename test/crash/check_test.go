package crash

import (
	"strings"
	"testing"

	"github.com/lightningnetwork/lnd/lnrpc"

	"paygate/ledger"
	"paygate/units"
)

// hash names the payments of the sound look: 1 is made, 2 failed, 3 unknown, 4 only thought of.
func hash(n byte) units.PaymentHash { return units.PaymentHash{n} }

// sound is a look at which everything adds up: 320 KiB more have passed than were charged, after one crash.
func sound() look {
	buy := func(n byte, state string) ledger.Purchase {
		return ledger.Purchase{Intent: ledger.Intent{Hash: hash(n), Msat: purchase, FeeLimit: units.Sat}, State: state}
	}
	made := buy(1, ledger.StateSucceeded)
	made.Fee = 500
	return look{
		buyerUp: true, sellerUp: true,
		buyer: books{
			totals: ledger.Totals{Paid: purchase, Fees: 500, Pending: 2 * (purchase + units.Sat), CreditHeld: purchase, Unknown: 1},
			purchases: []ledger.Purchase{
				made, buy(2, ledger.StateFailed), buy(3, ledger.StateUnknown), buy(4, ledger.StateIntent),
			},
			journal: entries(ledger.KindIntent, 1, 2, 3, 4),
		},
		seller: books{
			totals:  ledger.Totals{Received: purchase, CreditOwed: purchase},
			cursor:  7,
			journal: append(entries(ledger.KindInvoice, 1, 2, 3, 4), entries(ledger.KindSettled, 1)...),
		},
		payments: map[string]payment{
			hash(1).String(): {lnrpc.Payment_SUCCEEDED, purchase, 500},
			hash(2).String(): {lnrpc.Payment_FAILED, purchase, 0},
			hash(3).String(): {lnrpc.Payment_IN_FLIGHT, purchase, 0},
			hash(4).String(): {},
		},
		invoices:   map[string]invoice{hash(1).String(): {purchase, 7}},
		buyerNode:  nodeAccounts(90*units.Sat-500, purchase, 500, 0),
		sellerNode: nodeAccounts(30*units.Sat, 0, 0, purchase),
		buyerHad:   100 * units.Sat, sellerHad: 20 * units.Sat,
		passed: lasts + 100, loss: allowance{price: price(), largest: purchase, before: 100, crashes: 1},
	}
}

func entries(kind string, hashes ...byte) (list []ledger.Entry) {
	for _, n := range hashes {
		list = append(list, ledger.Entry{Kind: kind, PaymentHash: hash(n).String(), Msat: purchase})
	}
	return list
}

func nodeAccounts(balance, sent, fees, received units.Msat) (a accounts) {
	a.balance, a.stats.SentMsat, a.stats.FeesMsat, a.stats.ReceivedMsat = balance, sent, fees, received
	return a
}

func TestDifferences(t *testing.T) {
	if d := sound().differences(); len(d) > 0 {
		t.Fatalf("the sound look differs: %q", d)
	}
	for _, tt := range []struct {
		name   string
		doctor func(*look)
		want   string
	}{
		{"credited twice", func(l *look) {
			l.seller.journal = append(l.seller.journal, entries(ledger.KindSettled, 1)...)
		}, "credited 2 times"},
		{"credited and not paid", func(l *look) { delete(l.invoices, hash(1).String()) }, "was credited, but is not settled"},
		{"credited with another amount", func(l *look) { l.invoices[hash(1).String()] = invoice{1, 7} }, "but 1 msat were paid"},
		{"credit lost by a running seller", func(l *look) { l.seller.journal = entries(ledger.KindInvoice, 1, 2, 3, 4) }, "was paid, but not credited"},
		{"credit skipped by a dead seller", func(l *look) {
			l.sellerUp, l.seller.journal = false, entries(ledger.KindInvoice, 1, 2, 3, 4)
		}, "will never be credited"},
		{"paid an invoice that nobody journalled", func(l *look) { l.seller.journal = entries(ledger.KindSettled, 1) }, "never journalled"},
		{"received is not what was credited", func(l *look) { l.seller.totals.Received++ }, "sum of what was credited"},
		{"credit from nowhere", func(l *look) { l.seller.totals.CreditOwed++ }, "earned + credit"},
		{"served on debt", func(l *look) { l.seller.totals.Debt++; l.seller.totals.Earned++ }, "debt: 1 msat"},
		{"counted as made too early", func(l *look) { l.buyer.purchases[0].Hash = hash(3) }, "counts as made"},
		{"counted as failed and made", func(l *look) { l.buyer.purchases[1].Hash = hash(1) }, "counts as failed, but the node says SUCCEEDED"},
		{"counted as failed and still moving", func(l *look) { l.buyer.purchases[1].Hash = hash(3) }, "counts as failed, but the node says IN_FLIGHT"},
		{"sent without a note", func(l *look) { l.buyer.purchases[3].Hash = hash(3) }, "never handed over"},
		{"paid another amount", func(l *look) { l.buyer.purchases[0].Msat-- }, "was to be 9999 msat"},
		{"paid too much in fees", func(l *look) { l.buyer.purchases[0].FeeLimit = 499 }, "at most 499 in fees"},
		{"fees forgotten", func(l *look) { l.buyer.purchases[0].Fee = 0 }, "500 msat in fees, not 0"},
		{"paid is not the sum", func(l *look) { l.buyer.totals.Paid++ }, "paid, and the sum"},
		{"one intent for two payments", func(l *look) {
			l.buyer.journal = append(l.buyer.journal, entries(ledger.KindIntent, 1)...)
		}, `"intent" 2 times`},
		{"reserved for nothing", func(l *look) { l.buyer.totals.Pending++ }, "pending, and the sum"},
		{"an unknown that is not listed", func(l *look) { l.buyer.totals.Unknown++ }, "2 payments unknown, 1 listed"},
		{"outcome not taken in", func(l *look) { l.buyer.purchases[2].Hash = hash(2) }, "counts as unknown, but the node says FAILED"},
		{"paid a hash that the ledger has not", func(l *look) { l.buyerNode.stats.SentMsat += purchase }, "that it knows"},
		{"money that did not arrive", func(l *look) { delete(l.invoices, hash(1).String()) }, "but its invoice has 0"},
		{"seller's node is short", func(l *look) { l.sellerNode.balance-- }, "seller's node: balance"},
		{"buyer's node is short", func(l *look) { l.buyerNode.balance-- }, "buyer's node: balance"},
		{"charged for what did not pass", func(l *look) { l.passed = 99 }, "charged for 1 bytes more than passed"},
		{"more than a lease uncharged", func(l *look) { l.passed += 33 }, "were not charged"},
		{"uncharged without a crash", func(l *look) { l.loss.crashes = 0 }, "were not charged"},
		{"charged another price", func(l *look) { l.seller.totals.SoldBytes = 1000 }, "the price of what was sold"},
		{"given away", func(l *look) { l.seller.totals.SampleBytes = 1 }, "given free"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := sound()
			tt.doctor(&l)
			if d := strings.Join(l.differences(), "\n"); !strings.Contains(d, tt.want) {
				t.Errorf("it is not found that something like %q: %q", tt.want, d)
			}
		})
	}
}

func TestDeadMayLag(t *testing.T) {
	l := sound()
	l.buyerUp, l.sellerUp = false, false
	l.buyer.purchases[2].Hash = hash(2)                        // unknown, though the node knows
	l.seller.journal = entries(ledger.KindInvoice, 1, 2, 3, 4) // not credited,
	l.seller.totals.Received, l.seller.totals.CreditOwed = 0, 0
	l.seller.cursor = 6 // and told again by the stream
	if d := l.differences(); len(d) > 0 {
		t.Errorf("a crash may leave that: %q", d)
	}
}

func TestSettledDifferences(t *testing.T) {
	l := sound()
	d := strings.Join(l.settledDifferences(), "\n")
	if !strings.Contains(d, hash(4).String()+" is still intent") || strings.Contains(d, hash(3).String()) {
		t.Errorf("open payments are overlooked: %q", d)
	}
	l.buyer.purchases, l.buyer.totals.Pending, l.buyer.totals.Unknown = l.buyer.purchases[:2], 0, 0
	if d := l.settledDifferences(); len(d) > 0 {
		t.Errorf("it differs: %q", d)
	}
	l.buyer.totals.CreditHeld += 2
	if d := strings.Join(l.settledDifferences(), "\n"); !strings.Contains(d, "of credit, the seller") {
		t.Errorf("credit that only one side knows of is overlooked: %q", d)
	}
}
