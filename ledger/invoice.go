package ledger

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"paygate/units"
)

var errAmount = errors.New("amount is not between 1 msat and all bitcoin")

func checkAmount(m units.Msat) error {
	if m <= 0 || m > units.MaxMsat {
		return errAmount
	}
	return nil
}

// AddInvoice journals an invoice. Do it before the invoice is sent to anyone: only what is journalled can be
// credited. A second one with the same payment hash is an error.
func (l *Ledger) AddInvoice(ctx context.Context, i Invoice) error {
	at := l.clock()
	return l.write(ctx, "journal invoice", func(ctx context.Context, q querier) error {
		if err := checkAmount(i.Msat); err != nil {
			return err
		}
		if err := ensureBuyer(ctx, q, i.Buyer); err != nil {
			return err
		}
		if err := run(ctx, q, `INSERT INTO invoices
			(hash, buyer, info_hash, price_msat, price_per, buys, msat, purpose, request, created, expires)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			i.Hash.String(), i.Buyer.String(), i.InfoHash.String(), i.Price.Msat, i.Price.Per, i.Buys, i.Msat,
			i.For, i.Request, at.ms, i.Expires.UnixMilli()); err != nil {
			return err
		}
		return record(ctx, q, at, Entry{
			Kind: KindInvoice, Party: i.Buyer.String(), InfoHash: i.InfoHash.String(),
			PaymentHash: i.Hash.String(), Price: i.Price, Msat: i.Msat, Bytes: i.Buys, Note: i.For,
		})
	})
}

func ensureBuyer(ctx context.Context, q querier, buyer units.PeerKey) error {
	return run(ctx, q, "INSERT INTO buyers (buyer) VALUES (?) ON CONFLICT DO NOTHING", buyer.String())
}

// OpenInvoice returns the buyer's newest invoice for a torrent that is neither settled nor expired, and false if
// there is none.
func (l *Ledger) OpenInvoice(ctx context.Context, buyer units.PeerKey, ih units.InfoHash) (i Invoice, found bool, err error) {
	at := l.clock()
	err = l.read(ctx, "find open invoice", func(ctx context.Context, q querier) error {
		i = Invoice{Buyer: buyer, InfoHash: ih}
		found, err = one(ctx, q, `SELECT hash, price_msat, price_per, buys, msat, purpose, request, expires FROM invoices
			WHERE buyer = ? AND info_hash = ? AND settled = 0 AND expires > ? ORDER BY id DESC LIMIT 1`,
			[]any{buyer.String(), ih.String(), at.ms},
			hexColumn(i.Hash[:]), &i.Price.Msat, &i.Price.Per, &i.Buys, &i.Msat, &i.For, &i.Request, timeColumn{&i.Expires})
		return err
	})
	if err != nil || !found {
		return Invoice{}, false, err
	}
	return i, true, nil
}

// lateSettlement is how long after its expiry an invoice is still looked after: a payment that was accepted just
// before it may settle a little later.
const lateSettlement = 24 * time.Hour

// UnsettledInvoices returns the invoices that may still settle, newest first, at most limit. Ask the node about each
// where its stream of settlements cannot be relied on.
func (l *Ledger) UnsettledInvoices(ctx context.Context, limit int) (list []Invoice, err error) {
	since := l.clock().ms - lateSettlement.Milliseconds()
	err = l.read(ctx, "list unsettled invoices", func(ctx context.Context, q querier) error {
		list, err = all(ctx, q, scanInvoice, `SELECT hash, buyer, info_hash, price_msat, price_per, buys, msat, purpose,
			request, expires FROM invoices INDEXED BY invoices_by_expiry WHERE settled = 0 AND expires > ? ORDER BY id DESC LIMIT ?`, since, max(limit, 0))
		return err
	})
	return list, err
}

func scanInvoice(r *sql.Rows, i *Invoice) error {
	return r.Scan(hexColumn(i.Hash[:]), hexColumn(i.Buyer[:]), hexColumn(i.InfoHash[:]), &i.Price.Msat, &i.Price.Per,
		&i.Buys, &i.Msat, &i.For, &i.Request, timeColumn{&i.Expires})
}
