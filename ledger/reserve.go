package ledger

import (
	"context"
	"errors"
	"strings"

	"paygate/units"
)

var errFeeLimit = errors.New("fee limit is not between 0 and all bitcoin")

// Reserve journals a payment before it is made, in one transaction that first checks every cap against what was
// spent, what is pending or unknown, and this payment with its fee limit. It fails with *OverCap, and with ErrSeenHash
// if the hash was reserved before, whatever became of that. Only after it has returned nil may the payment be made.
func (l *Ledger) Reserve(ctx context.Context, i Intent, caps Caps) error {
	at := l.clock()
	return l.write(ctx, "reserve payment", func(ctx context.Context, q querier) error {
		if err := checkIntent(ctx, q, i); err != nil {
			return err
		}
		u, err := usage(ctx, q, windowsAt(at, caps.Zone), Payee{i.InfoHash, i.Seller, i.Category})
		if err != nil {
			return err
		}
		if err := u.fits(caps, i.Msat+i.FeeLimit); err != nil {
			return err
		}
		return insertIntent(ctx, q, at, i)
	})
}

func checkIntent(ctx context.Context, q querier, i Intent) error {
	if err := checkAmount(i.Msat); err != nil {
		return err
	}
	if i.FeeLimit < 0 || i.FeeLimit > units.MaxMsat {
		return errFeeLimit
	}
	if !i.Price.Valid() {
		return errPrice
	}
	var n int
	seen, err := one(ctx, q, "SELECT 1 FROM purchases WHERE hash = ?", []any{i.Hash.String()}, &n)
	if seen {
		return ErrSeenHash
	}
	return err
}

func insertIntent(ctx context.Context, q querier, at clock, i Intent) error {
	if err := run(ctx, q, `INSERT INTO purses (seller, purchases) VALUES (?, 1)
		ON CONFLICT DO UPDATE SET purchases = purchases + 1`, i.Seller.String()); err != nil {
		return err
	}
	if err := run(ctx, q, `INSERT INTO purchases (hash, seller, node, info_hash, price_msat, price_per, buys, msat,
		fee_limit, purpose, request, expires, state, created, updated, category)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		i.Hash.String(), i.Seller.String(), i.Node.String(), i.InfoHash.String(), i.Price.Msat, i.Price.Per, i.Buys, i.Msat,
		i.FeeLimit, i.For, i.Request, i.Expires.UnixMilli(), StateIntent, at.ms, at.ms, i.Category); err != nil {
		return err
	}
	return record(ctx, q, at, Entry{
		Kind: KindIntent, Party: i.Seller.String(), InfoHash: i.InfoHash.String(), PaymentHash: i.Hash.String(),
		Price: i.Price, Msat: i.Msat, Fee: i.FeeLimit, Bytes: i.Buys, Note: i.For, Category: i.Category,
	})
}

// used is what counts against each cap.
type used struct{ torrent, peer, category, day, week, month, total units.Msat }

// usage sums what was spent, fees included, and what open payments may yet cost. An open payment counts against
// today whenever it began, and a succeeded one against the day on which that became certain, so that one over
// midnight counts on both. What became certain after now, seen when the clock is set back, counts as today, and so with
// weeks and months.
func usage(ctx context.Context, q querier, since windows, p Payee) (u used, err error) {
	var openHere, openPeer, openCategory, open units.Msat
	err = q.QueryRowContext(ctx, `SELECT
		(SELECT coalesce(sum(msat + fees), 0) FROM spent WHERE info_hash = ?1),
		(SELECT coalesce(sum(paid + fees), 0) FROM purses WHERE seller = ?2),
		coalesce((SELECT msat + fees FROM spent_categories WHERE category = ?3), 0),
		`+spentSince("?4")+", "+spentSince("?5")+", "+spentSince("?6")+`,
		(SELECT coalesce(sum(msat + fees), 0) FROM spent),
		coalesce(sum(msat + fee_limit) FILTER (WHERE info_hash = ?1), 0),
		coalesce(sum(msat + fee_limit) FILTER (WHERE seller = ?2), 0),
		coalesce(sum(msat + fee_limit) FILTER (WHERE category = ?3), 0),
		coalesce(sum(msat + fee_limit), 0)
		FROM purchases WHERE state IN ('intent', 'sent', 'unknown')`,
		p.InfoHash.String(), p.Seller.String(), p.Category, since.day, since.week, since.month).
		Scan(&u.torrent, &u.peer, &u.category, &u.day, &u.week, &u.month, &u.total, &openHere, &openPeer, &openCategory, &open)
	u.torrent += openHere
	u.peer += openPeer
	u.category = max(u.category+openCategory, u.torrent) // a torrent takes what was spent on it to another category
	for _, sum := range []*units.Msat{&u.day, &u.week, &u.month, &u.total} {
		*sum += open
	}
	return u, err
}

// spentSince is what was spent from a moment on: whole quarters of an hour, with which days begin in all zones, and what
// else there is before the first of them.
func spentSince(moment string) string {
	return strings.ReplaceAll(`((SELECT coalesce(sum(msat + fees), 0) FROM spent_quarters WHERE quarter >= (? + 899999) / 900000) +
		(SELECT coalesce(sum(msat + fee), 0) FROM purchases
			WHERE state = 'succeeded' AND updated >= ? AND updated < (? + 899999) / 900000 * 900000))`, "?", moment)
}

// fits returns *OverCap for the first cap that wanted more would exceed.
func (u used) fits(c Caps, wanted units.Msat) error {
	for _, o := range u.against(c) {
		if o.Used > o.Limit || wanted > o.Limit-o.Used {
			o.Wanted = wanted
			return &o
		}
	}
	return nil
}

// against lists the caps that there are.
func (u used) against(c Caps) []OverCap {
	list := []OverCap{
		{Cap: "torrent", Limit: c.Torrent, Used: u.torrent},
		{Cap: "day", Limit: c.Day, Used: u.day},
		{Cap: "total", Limit: c.Total, Used: u.total},
	}
	for _, o := range []OverCap{
		{Cap: "peer", Limit: c.Peer, Used: u.peer},
		{Cap: "category", Limit: c.Category, Used: u.category},
		{Cap: "week", Limit: c.Week, Used: u.week},
		{Cap: "month", Limit: c.Month, Used: u.month},
	} {
		if o.Limit > 0 {
			list = append(list, o)
		}
	}
	return list
}

// Left returns how much, fees included, can still be spent on somebody under the tightest cap; it is never negative.
func (l *Ledger) Left(ctx context.Context, p Payee, caps Caps) (left units.Msat, err error) {
	at := l.clock()
	err = l.read(ctx, "read what is left of the caps", func(ctx context.Context, q querier) error {
		u, err := usage(ctx, q, windowsAt(at, caps.Zone), p)
		left = u.left(caps)
		return err
	})
	return left, err
}

func (u used) left(c Caps) units.Msat {
	left := units.MaxMsat
	for _, o := range u.against(c) {
		left = min(left, o.Limit-o.Used)
	}
	return max(0, left)
}
