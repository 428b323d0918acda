package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"paygate/admin"
	"paygate/test/process"
	"paygate/units"
)

// settleTimeout is how long both ledgers may take to come to rest after the last byte.
const settleTimeout = 20 * time.Second

// Bill is what a paid download came to, as each of the parties tells it.
type Bill struct {
	Price         units.Price
	Seller, Buyer admin.Totals
	Received      units.Msat // by the seller's Lightning node
	Sent, Fees    units.Msat // by the buyer's Lightning node
	Payments      int        // settled at the seller's Lightning node
}

// Bill asks both paygates and both Lightning nodes, until at least so many bytes have been served and all agree with
// each other, or settleTimeout has passed; the error then names every equality that does not hold. Both paygates must
// be running.
func (p *Pair) Bill(ctx context.Context, served units.Bytes) (Bill, error) {
	var bill Bill
	wrong := errors.New("nobody was asked")
	waiting, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	err := process.Poll(waiting, pollEvery, func() error {
		now, err := p.read(ctx)
		if err != nil {
			return err
		}
		bill, wrong = now, now.Check()
		if n := now.Seller.SoldBytes + now.Seller.SampleBytes; n < served {
			wrong = errors.Join(wrong, fmt.Errorf("%d bytes served: want at least %d", n, served))
		}
		return wrong
	})
	if err != nil && wrong != nil {
		return bill, wrong
	}
	return bill, err
}

// Snapshot is the bill as it stands, which need not add up in the middle of a download.
func (p *Pair) Snapshot(ctx context.Context) (Bill, error) { return p.read(ctx) }

func (p *Pair) read(ctx context.Context) (Bill, error) {
	seller, err := p.SellerGate.Status(ctx)
	if err != nil {
		return Bill{}, err
	}
	buyer, err := p.BuyerGate.Status(ctx)
	if err != nil {
		return Bill{}, err
	}
	b := Bill{Price: p.Plan.Terms.Price, Seller: seller.Totals, Buyer: buyer.Totals}
	if p.Network != nil {
		to, err := p.Network.Seller.Stats(ctx)
		if err != nil {
			return Bill{}, err
		}
		from, err := p.Network.Buyer.Stats(ctx)
		if err != nil {
			return Bill{}, err
		}
		b.Received, b.Payments, b.Sent, b.Fees = to.ReceivedMsat, to.Settled, from.SentMsat, from.FeesMsat
	}
	return b, nil
}

// Check returns an error that names every equality between bytes and money that does not hold.
func (b Bill) Check() error {
	var wrong []error
	equal := func(what string, a, b units.Msat) {
		if a != b {
			wrong = append(wrong, fmt.Errorf("%s: %d msat and %d msat", what, int64(a), int64(b)))
		}
	}
	equal("paid by the buyer = received by the seller's node", b.Buyer.Paid, b.Received)
	equal("sent by the buyer's node = received by the seller's", b.Sent, b.Received)
	equal("fees in the buyer's ledger = fees of its node", b.Buyer.Fees, b.Fees)
	equal("received in the seller's ledger = by its node", b.Seller.Received, b.Received)
	equal("earned = ceil((served - sample) x price)", b.Seller.Earned, b.Price.Charge(b.Seller.SoldBytes))
	equal("charged at the buyer's = earned", b.Buyer.Paid-b.Buyer.CreditHeld, b.Seller.Earned)
	equal("credit held = credit owed", b.Buyer.CreditHeld, b.Seller.CreditOwed)
	equal("received = earned + credit", b.Seller.Received, b.Seller.Earned+b.Seller.CreditOwed)
	equal("nothing pending", b.Buyer.Pending, 0)
	if b.Seller.SoldBytes != b.Buyer.BoughtBytes || b.Seller.SampleBytes != b.Buyer.FreeBytes {
		wrong = append(wrong, fmt.Errorf("bytes sold and bought: %d and %d, free: %d and %d",
			b.Seller.SoldBytes, b.Buyer.BoughtBytes, b.Seller.SampleBytes, b.Buyer.FreeBytes))
	}
	if b.Buyer.Unknown != 0 {
		wrong = append(wrong, fmt.Errorf("payments of unknown outcome: %d", b.Buyer.Unknown))
	}
	return errors.Join(wrong...)
}

// String is one line for a log.
func (b Bill) String() string {
	return fmt.Sprintf("%d B sold at %s, %d B free: paid %s in %d payments (fees %s), received %s, earned %s, credit %s",
		b.Seller.SoldBytes, b.Price, b.Seller.SampleBytes, b.Buyer.Paid, b.Payments, b.Fees, b.Received, b.Seller.Earned, b.Seller.CreditOwed)
}
