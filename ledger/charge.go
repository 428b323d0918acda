package ledger

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"paygate/units"
)

var (
	errBytes = errors.New("number of bytes is out of range")
	errPrice = errors.New("price is not valid")
)

// Charge adds the bytes to the buyer's tally for that torrent and price, and what the tally's cost grew by to the
// account; so rounding happens once per tally, not once per call. The money comes out of the buyer's lots: those of
// the same torrent and price first, then those of the same torrent, then the others, each oldest first. What they
// cannot cover is a debt, which makes the balance negative; the next credit pays it. On credit, the first debt is billed:
// see Account.
func (l *Ledger) Charge(ctx context.Context, c Charge) (delta, balance units.Msat, err error) {
	at := l.clock()
	err = l.write(ctx, "charge", func(ctx context.Context, q querier) error {
		if !c.Price.Valid() {
			return errPrice
		}
		if c.Bytes == 0 {
			balance, err = balanceOf(ctx, q, c.Buyer)
			return err
		}
		if err := ensureBuyer(ctx, q, c.Buyer); err != nil {
			return err
		}
		if delta, err = addTally(ctx, q, c); err != nil {
			return err
		}
		err = q.QueryRowContext(ctx, "UPDATE buyers SET charged = charged + ? WHERE buyer = ? RETURNING paid - charged",
			delta, c.Buyer.String()).Scan(&balance)
		if err != nil {
			return err
		}
		if c.OnCredit {
			if err := bill(ctx, q, at, c.Buyer); err != nil {
				return err
			}
		}
		return drawLots(ctx, q, at, c, delta)
	})
	if err != nil {
		return 0, 0, err
	}
	return delta, balance, nil
}

func balanceOf(ctx context.Context, q querier, buyer units.PeerKey) (balance units.Msat, err error) {
	_, err = one(ctx, q, "SELECT paid - charged FROM buyers WHERE buyer = ?", []any{buyer.String()}, &balance)
	return balance, err
}

func addTally(ctx context.Context, q querier, c Charge) (delta units.Msat, err error) {
	var bytes units.Bytes
	var msat units.Msat
	key := []any{c.Buyer.String(), c.InfoHash.String(), c.Price.Msat, c.Price.Per}
	if _, err := one(ctx, q, `SELECT bytes, msat FROM tallies
		WHERE buyer = ? AND info_hash = ? AND price_msat = ? AND price_per = ?`, key, &bytes, &msat); err != nil {
		return 0, err
	}
	if c.Bytes < 0 || bytes > math.MaxInt64-c.Bytes {
		return 0, errBytes
	}
	bytes += c.Bytes
	cost := c.Price.Charge(bytes)
	return cost - msat, run(ctx, q, `INSERT INTO tallies VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET bytes = excluded.bytes, msat = excluded.msat`, append(key, bytes, cost)...)
}

// leastBill is what Lightning can pay at least. What is less is never due, so that a bill of which less is left gives way to
// the next.
const leastBill = units.Sat

// bill notes what a buyer owes, and since when, unless an earlier bill is not paid.
func bill(ctx context.Context, q querier, at clock, buyer units.PeerKey) error {
	return run(ctx, q, "UPDATE buyers SET billed = charged, billed_at = ? WHERE buyer = ? AND billed < paid + ? AND charged > paid",
		at.ms, buyer.String(), leastBill)
}

// payBill ends a bill that is paid, and makes the next one if more is owed by now.
func payBill(ctx context.Context, q querier, at clock, buyer units.PeerKey) error {
	return run(ctx, q, `UPDATE buyers SET billed = iif(charged > paid, charged, 0), billed_at = iif(charged > paid, ?, 0)
		WHERE buyer = ? AND billed > 0 AND billed < paid + ?`, at.ms, buyer.String(), leastBill)
}

// onCredit is the note of a charge that is billed if it is owed.
const onCredit = "on credit"

// draw is what a charge takes out of one lot; an empty hash stands for what no lot covers.
type draw struct {
	hash string
	msat units.Msat
}

// drawLots takes amount out of the lots and journals the charge: one entry for each lot that pays, the bytes on the
// first, and one for what is owed.
func drawLots(ctx context.Context, q querier, at clock, c Charge, amount units.Msat) error {
	draws, err := chooseLots(ctx, q, c, amount)
	if err != nil {
		return err
	}
	bytes, note := c.Bytes, ""
	if c.OnCredit {
		note = onCredit
	}
	for _, d := range draws {
		if err := run(ctx, q, "UPDATE lots SET spent = spent + ? WHERE hash = ?", d.msat, d.hash); err != nil {
			return err
		}
		if err := record(ctx, q, at, Entry{
			Kind: KindCharge, Party: c.Buyer.String(), InfoHash: c.InfoHash.String(),
			PaymentHash: d.hash, Price: c.Price, Msat: d.msat, Bytes: bytes, Note: note,
		}); err != nil {
			return err
		}
		bytes = 0
	}
	return nil
}

// chooseLots returns at least one draw, and draws that add up to amount.
func chooseLots(ctx context.Context, q querier, c Charge, amount units.Msat) (draws []draw, err error) {
	if amount == 0 {
		return []draw{{}}, nil
	}
	ih := c.InfoHash.String()
	rows, err := q.QueryContext(ctx, `SELECT hash, msat - spent FROM lots WHERE buyer = ? AND spent < msat
		ORDER BY info_hash = ? AND price_msat = ? AND price_per = ? DESC, info_hash = ? DESC, id`,
		c.Buyer.String(), ih, c.Price.Msat, c.Price.Per, ih)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for amount > 0 && rows.Next() {
		var d draw
		if err := rows.Scan(&d.hash, &d.msat); err != nil {
			return nil, err
		}
		d.msat = min(d.msat, amount)
		amount -= d.msat
		draws = append(draws, d)
	}
	if amount > 0 {
		draws = append(draws, draw{msat: amount})
	}
	return draws, rows.Err()
}

// MarkDefaulted notes, for good, that a buyer left a debt unpaid.
func (l *Ledger) MarkDefaulted(ctx context.Context, buyer units.PeerKey, note string) error {
	at := l.clock()
	return l.write(ctx, "note a default", func(ctx context.Context, q querier) error {
		if err := ensureBuyer(ctx, q, buyer); err != nil {
			return err
		}
		if err := run(ctx, q, "UPDATE buyers SET defaulted = 1 WHERE buyer = ?", buyer.String()); err != nil {
			return err
		}
		return record(ctx, q, at, Entry{Kind: KindDefault, Party: buyer.String(), Note: note})
	})
}

// Account returns a buyer's account; a stranger's is empty.
func (l *Ledger) Account(ctx context.Context, buyer units.PeerKey) (a Account, err error) {
	a.Buyer = buyer
	err = l.read(ctx, "read account", func(ctx context.Context, q querier) error {
		key := buyer.String()
		if _, err := one(ctx, q, "SELECT paid, charged, last_purchase, defaulted, billed, billed_at FROM buyers WHERE buyer = ?", []any{key},
			&a.Paid, &a.Charged, &a.LastPurchase, &a.Defaulted, &a.Billed, timeColumn{&a.BilledAt}); err != nil {
			return err
		}
		if a.Billed == 0 {
			a.BilledAt = time.Time{}
		}
		a.Balance = a.Paid - a.Charged
		if a.Lots, err = all(ctx, q, scanLot, `SELECT id, info_hash, price_msat, price_per, msat, spent FROM lots
			WHERE buyer = ? AND spent < msat ORDER BY id`, key); err != nil {
			return err
		}
		a.Tallies, err = all(ctx, q, scanTally, `SELECT info_hash, price_msat, price_per, bytes, msat FROM tallies
			WHERE buyer = ?`, key)
		return err
	})
	return a, err
}

func scanLot(r *sql.Rows, l *Lot) error {
	return r.Scan(&l.ID, hexColumn(l.InfoHash[:]), &l.Price.Msat, &l.Price.Per, &l.Msat, &l.Spent)
}

func scanTally(r *sql.Rows, t *Tally) error {
	return r.Scan(hexColumn(t.InfoHash[:]), &t.Price.Msat, &t.Price.Per, &t.Bytes, &t.Msat)
}
