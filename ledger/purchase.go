package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"slices"

	"paygate/units"
)

// steps are the states that a purchase may go to. What Lightning says counts even for a payment that was not marked
// as sent, or that was written off. A payment that is over, or that was once in doubt, is never sent again.
var steps = map[string][]string{
	StateIntent:     {StateSent, StateSucceeded, StateFailed, StateUnknown, StateWrittenOff},
	StateSent:       {StateSucceeded, StateFailed, StateUnknown, StateWrittenOff},
	StateUnknown:    {StateSucceeded, StateFailed, StateWrittenOff},
	StateWrittenOff: {StateSucceeded, StateFailed},
	StateSucceeded:  {},
	StateFailed:     {},
}

// kinds are the journal's words for states that it does not call by their own name.
var kinds = map[string]string{StateWrittenOff: KindGivenUp}

// change is a step of a purchase, and what is written down with it.
type change struct {
	hash     units.PaymentHash
	to       string
	fee      units.Msat
	preimage string
	reason   string
}

// Sent notes that the payment is about to be handed to Lightning: call it before, so that a crash leaves no payment
// that nobody asks about. Like the next three, it does nothing if the purchase is in that state already, and fails
// with ErrNoPurchase, or with *StateError where the state does not allow it.
func (l *Ledger) Sent(ctx context.Context, hash units.PaymentHash) error {
	_, err := l.change(ctx, "note payment as sent", change{hash: hash, to: StateSent})
	return err
}

// Succeed notes that the payment was made, and what routing it cost; first is false if that was known already.
// A fee above the limit is noted as it is.
func (l *Ledger) Succeed(ctx context.Context, hash units.PaymentHash, fee units.Msat, pre units.Preimage) (first bool, err error) {
	if fee < 0 || fee > units.MaxMsat {
		return false, errFeeLimit
	}
	return l.change(ctx, "note payment as made", change{hash: hash, to: StateSucceeded, fee: fee, preimage: pre.Hex()})
}

// Fail notes that Lightning has said that nothing was or will be paid, or that the payment was never sent; its
// amount is free to be spent again. Without that certainty, call Unknown.
func (l *Ledger) Fail(ctx context.Context, hash units.PaymentHash, reason string) error {
	_, err := l.change(ctx, "note payment as failed", change{hash: hash, to: StateFailed, reason: reason})
	return err
}

// Unknown notes that nobody can say now what became of the payment. It counts as spent until Succeed or Fail.
func (l *Ledger) Unknown(ctx context.Context, hash units.PaymentHash, reason string) error {
	_, err := l.change(ctx, "note payment as unknown", change{hash: hash, to: StateUnknown, reason: reason})
	return err
}

// WriteOffPayment notes that the owner gives up asking what became of the payment: its reservation is free again. It
// fails with ErrNotExpired while the invoice could still be paid. Before, make sure that no channel holds the payment:
// if it succeeds all the same, Succeed books it as spent, whatever the caps say.
func (l *Ledger) WriteOffPayment(ctx context.Context, hash units.PaymentHash, reason string) error {
	_, err := l.change(ctx, "write payment off", change{hash: hash, to: StateWrittenOff, reason: reason})
	return err
}

func (l *Ledger) change(ctx context.Context, doing string, c change) (moved bool, err error) {
	at := l.clock()
	err = l.write(ctx, doing, func(ctx context.Context, q querier) error {
		moved, err = take(ctx, q, at, c)
		return err
	})
	return moved && err == nil, err
}

func take(ctx context.Context, q querier, at clock, c change) (moved bool, err error) {
	var from, category string
	var expires int64
	e := Entry{Kind: cmp.Or(kinds[c.to], c.to), PaymentHash: c.hash.String(), Fee: c.fee, Note: c.reason}
	found, err := one(ctx, q, `SELECT state, expires, category, seller, info_hash, price_msat, price_per, msat, buys FROM purchases WHERE hash = ?`,
		[]any{e.PaymentHash}, &from, &expires, &category, &e.Party, &e.InfoHash, &e.Price.Msat, &e.Price.Per, &e.Msat, &e.Bytes)
	switch {
	case err != nil:
		return false, err
	case !found:
		return false, ErrNoPurchase
	case from == c.to:
		return false, nil
	case !slices.Contains(steps[from], c.to):
		return false, &StateError{Hash: c.hash, From: from, To: c.to}
	case c.to == StateWrittenOff && expires >= at.ms:
		return false, ErrNotExpired
	}
	if err := run(ctx, q, "UPDATE purchases SET state = ?, fee = ?, preimage = ?, reason = ?, updated = ? WHERE hash = ?",
		c.to, c.fee, c.preimage, c.reason, at.ms, e.PaymentHash); err != nil {
		return false, err
	}
	if err := book(ctx, q, at, e, category); err != nil {
		return false, err
	}
	return true, record(ctx, q, at, e)
}

// book carries the end of a payment over to the seller's purse and to what was spent.
func book(ctx context.Context, q querier, at clock, e Entry, category string) error {
	switch e.Kind {
	case StateFailed:
		return run(ctx, q, "UPDATE purses SET failed = failed + 1 WHERE seller = ?", e.Party)
	case StateSucceeded:
		return bookSpent(ctx, q, at, e, category)
	}
	return nil
}

// bookSpent adds a payment to every sum that caps look at.
func bookSpent(ctx context.Context, q querier, at clock, e Entry, category string) error {
	if err := run(ctx, q, "UPDATE purses SET paid = paid + ?, fees = fees + ? WHERE seller = ?", e.Msat, e.Fee, e.Party); err != nil {
		return err
	}
	const add = " ON CONFLICT DO UPDATE SET msat = msat + excluded.msat, fees = fees + excluded.fees"
	if err := run(ctx, q, "INSERT INTO spent_categories VALUES (?, ?, ?)"+add, category, e.Msat, e.Fee); err != nil {
		return err
	}
	if err := run(ctx, q, "INSERT INTO spent_quarters VALUES (?, ?, ?)"+add, at.ms/msPerQuarter, e.Msat, e.Fee); err != nil {
		return err
	}
	return run(ctx, q, "INSERT INTO spent VALUES (?, ?, ?, ?)"+add, e.InfoHash, at.day, e.Msat, e.Fee)
}

// OpenPurchases returns the payments whose outcome is open (intent, sent or unknown), oldest first: after a restart,
// ask Lightning about each.
func (l *Ledger) OpenPurchases(ctx context.Context) ([]Purchase, error) {
	return l.purchases(ctx, "WHERE state IN ('intent', 'sent', 'unknown') ORDER BY id")
}

// WrittenOffPurchases returns the payments that were written off and of which Lightning has not said since how they
// ended, oldest first: ask about each now and then.
func (l *Ledger) WrittenOffPurchases(ctx context.Context) ([]Purchase, error) {
	return l.purchases(ctx, "WHERE state = 'written off' ORDER BY id")
}

// Purchases returns the latest payments, at most limit, newest first.
func (l *Ledger) Purchases(ctx context.Context, limit int) ([]Purchase, error) {
	return l.purchases(ctx, "ORDER BY id DESC LIMIT ?", max(limit, 0))
}

func (l *Ledger) purchases(ctx context.Context, which string, args ...any) (list []Purchase, err error) {
	err = l.read(ctx, "read payments", func(ctx context.Context, q querier) error {
		list, err = all(ctx, q, scanPurchase, `SELECT hash, seller, node, info_hash, price_msat, price_per, buys, msat, fee_limit,
			purpose, request, expires, state, fee, preimage, reason, created, updated FROM purchases `+which, args...)
		return err
	})
	return list, err
}

func scanPurchase(r *sql.Rows, p *Purchase) error {
	var preimage string
	err := r.Scan(hexColumn(p.Hash[:]), hexColumn(p.Seller[:]), hexColumn(p.Node[:]), hexColumn(p.InfoHash[:]),
		&p.Price.Msat, &p.Price.Per, &p.Buys, &p.Msat, &p.FeeLimit, &p.For, &p.Request, timeColumn{&p.Expires},
		&p.State, &p.Fee, &preimage, &p.Reason, timeColumn{&p.Created}, timeColumn{&p.Updated})
	if err != nil || preimage == "" {
		return err
	}
	_, err = hex.Decode(p.Preimage[:], []byte(preimage))
	return err
}
