package ledger

import (
	"context"
	"errors"
	"math"

	"paygate/units"
)

var errIndex = errors.New("settle index is out of range")

// Settle credits a settlement to the account to which its invoice was made, and moves the cursor up to its
// SettleIndex, in one transaction. The credit first pays what the buyer owes. A second settlement of the same
// invoice, and one of an invoice that is not ours, only move the cursor: credited is false. The cursor never moves
// back. An error means that nothing was changed; settle again.
func (l *Ledger) Settle(ctx context.Context, s Settlement) (c Credited, credited bool, err error) {
	at := l.clock()
	err = l.write(ctx, "settle", func(ctx context.Context, q querier) error {
		if s.SettleIndex > math.MaxInt64 {
			return errIndex
		}
		c, credited, err = credit(ctx, q, at, s)
		if err != nil {
			return err
		}
		return run(ctx, q, "UPDATE cursor SET settle_index = max(settle_index, ?)", int64(s.SettleIndex))
	})
	if err != nil {
		return Credited{}, false, err
	}
	return c, credited, nil
}

// credit turns our unsettled invoice into a lot.
func credit(ctx context.Context, q querier, at clock, s Settlement) (c Credited, ours bool, err error) {
	var purpose string
	ours, err = one(ctx, q, "SELECT buyer, info_hash, price_msat, price_per, purpose FROM invoices WHERE hash = ? AND settled = 0",
		[]any{s.Hash.String()}, hexColumn(c.Buyer[:]), hexColumn(c.InfoHash[:]), &c.Price.Msat, &c.Price.Per, &purpose)
	if err != nil || !ours {
		return Credited{}, false, err
	}
	if err := checkAmount(s.Msat); err != nil {
		return Credited{}, false, err
	}
	c.Msat = s.Msat
	if err := run(ctx, q, "UPDATE invoices SET settled = 1 WHERE hash = ?", s.Hash.String()); err != nil {
		return Credited{}, false, err
	}
	if err := record(ctx, q, at, Entry{
		Kind: KindSettled, Party: c.Buyer.String(), InfoHash: c.InfoHash.String(),
		PaymentHash: s.Hash.String(), Price: c.Price, Msat: s.Msat,
	}); err != nil {
		return Credited{}, false, err
	}
	c.Balance, err = addLot(ctx, q, at, c, s.Hash, purpose == purposeBytes)
	return c, true, err
}

// purposeBytes is what an invoice is for that buys bytes, and pays no debt.
const purposeBytes = "bytes"

// addLot adds the credit to the account, uses it for the buyer's debt first, and returns the new balance. The size of the
// payment is the buyer's latest purchase if it is one.
func addLot(ctx context.Context, q querier, at clock, c Credited, hash units.PaymentHash, purchase bool) (balance units.Msat, err error) {
	err = q.QueryRowContext(ctx, `UPDATE buyers SET paid = paid + ?1, last_purchase = iif(?3, ?1, last_purchase) WHERE buyer = ?2
		RETURNING paid - charged`, c.Msat, c.Buyer.String(), purchase).Scan(&balance)
	if err != nil {
		return 0, err
	}
	if err := payBill(ctx, q, at, c.Buyer); err != nil {
		return 0, err
	}
	debt := min(max(c.Msat-balance, 0), c.Msat)
	if err := run(ctx, q, `INSERT INTO lots (hash, buyer, info_hash, price_msat, price_per, msat, spent)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		hash.String(), c.Buyer.String(), c.InfoHash.String(), c.Price.Msat, c.Price.Per, c.Msat, debt); err != nil {
		return 0, err
	}
	if debt == 0 {
		return balance, nil
	}
	return balance, record(ctx, q, at, Entry{
		Kind: KindRepaid, Party: c.Buyer.String(), InfoHash: c.InfoHash.String(), PaymentHash: hash.String(), Msat: debt,
	})
}

// SettleIndex returns the cursor: the largest SettleIndex that was taken in, 0 if none was.
func (l *Ledger) SettleIndex(ctx context.Context) (index uint64, err error) {
	err = l.read(ctx, "read the settlement cursor", func(ctx context.Context, q querier) error {
		return q.QueryRowContext(ctx, "SELECT settle_index FROM cursor").Scan(&index)
	})
	return index, err
}
