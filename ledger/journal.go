package ledger

import (
	"context"
	"database/sql"
	"time"
)

// Kinds of journal entries. Msat, Bytes, Fee and Free of an entry are:
const (
	KindInvoice  = "invoice"             // an invoice was made for Msat, to buy Bytes
	KindSettled  = "settled"             // Msat were paid to us; they become a lot named by PaymentHash
	KindCharge   = "charge"              // Bytes were served; Msat of their price came out of the lot PaymentHash, or are owed if it is empty
	KindRepaid   = "repaid"              // Msat owed for earlier charges came out of the lot PaymentHash
	KindSample   = "sample"              // Bytes were given to a subnet free
	KindDefault  = "default"             // a buyer left a debt unpaid
	KindIntent   = "intent"              // a payment of Msat, at most Fee for routing, was reserved to buy Bytes
	KindSent     = "sent"                // it is handed to Lightning
	KindSucceed  = "succeeded"           // Msat and Fee were paid
	KindFailed   = "failed"              // nothing was paid
	KindUnknown  = "unknown"             // Lightning has not said
	KindGivenUp  = "payment written off" // the owner gave up asking, and the reservation is free again
	KindReceived = "received"            // Bytes came, Free of them uncharged, the others for Msat
	KindWriteOff = "written off"         // Msat of our credit were given up
	KindFound    = "found"               // Msat of credit were found that we had counted as used or given up
	KindBlock    = "block"               // the owner has taken a torrent down
	KindUnblock  = "unblock"             // and let it back
	KindMissed   = "missed"              // Msat of our credit were given up for what was under way when a connection was cut
	KindDropped  = "dropped"             // our client has dropped a seller for bad data, after it had delivered for Msat
)

// record appends an entry; its ID and At are filled in here.
func record(ctx context.Context, q querier, at clock, e Entry) error {
	return run(ctx, q, `INSERT INTO journal
		(at, kind, party, info_hash, payment_hash, price_msat, price_per, msat, fee, bytes, free, note, category)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		at.ms, e.Kind, e.Party, e.InfoHash, e.PaymentHash, e.Price.Msat, e.Price.Per, e.Msat, e.Fee, e.Bytes, e.Free, e.Note, e.Category)
}

// Journal returns at most limit entries with an ID above after, oldest first.
func (l *Ledger) Journal(ctx context.Context, after int64, limit int) (list []Entry, err error) {
	err = l.read(ctx, "read the journal", func(ctx context.Context, q querier) error {
		list, err = all(ctx, q, scanEntry, `SELECT id, at, kind, party, info_hash, payment_hash, price_msat, price_per,
			msat, fee, bytes, free, note, category FROM journal WHERE id > ? ORDER BY id LIMIT ?`, after, max(limit, 0))
		return err
	})
	return list, err
}

func scanEntry(r *sql.Rows, e *Entry) error {
	var at int64
	err := r.Scan(&e.ID, &at, &e.Kind, &e.Party, &e.InfoHash, &e.PaymentHash, &e.Price.Msat, &e.Price.Per,
		&e.Msat, &e.Fee, &e.Bytes, &e.Free, &e.Note, &e.Category)
	e.At = time.UnixMilli(at)
	return err
}
