package ledger

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"paygate/units"
)

// ErrNotHeld is the error of a WriteOff that what we have paid the seller cannot explain.
var ErrNotHeld = errors.New("more than the credit with this seller can explain")

var errFree = errors.New("free bytes are more than the bytes received")

// Receive adds bytes received from a seller to our own count, and their cost to the purse. Like a seller's tally,
// the cost is rounded once for all bytes of a torrent at a price.
func (l *Ledger) Receive(ctx context.Context, r Receipt) error {
	at := l.clock()
	return l.write(ctx, "note received bytes", func(ctx context.Context, q querier) error {
		switch {
		case !r.Price.Valid():
			return errPrice
		case r.Free < 0 || r.Free > r.Bytes:
			return errFree
		case r.Bytes == 0:
			return nil
		}
		if err := run(ctx, q, "INSERT INTO purses (seller) VALUES (?) ON CONFLICT DO NOTHING", r.Seller.String()); err != nil {
			return err
		}
		cost, err := addReceipt(ctx, q, r)
		if err != nil {
			return err
		}
		if err := run(ctx, q, "UPDATE purses SET charged = charged + ?, received = received + ?, free = free + ? WHERE seller = ?",
			cost, r.Bytes, r.Free, r.Seller.String()); err != nil {
			return err
		}
		return record(ctx, q, at, Entry{
			Kind: KindReceived, Party: r.Seller.String(), InfoHash: r.InfoHash.String(),
			Price: r.Price, Msat: cost, Bytes: r.Bytes, Free: r.Free,
		})
	})
}

func addReceipt(ctx context.Context, q querier, r Receipt) (delta units.Msat, err error) {
	var bytes, free units.Bytes
	var msat units.Msat
	key := []any{r.Seller.String(), r.InfoHash.String(), r.Price.Msat, r.Price.Per}
	if _, err := one(ctx, q, `SELECT bytes, free, msat FROM receipts
		WHERE seller = ? AND info_hash = ? AND price_msat = ? AND price_per = ?`, key, &bytes, &free, &msat); err != nil {
		return 0, err
	}
	if bytes > math.MaxInt64-r.Bytes {
		return 0, errBytes
	}
	bytes += r.Bytes
	free += r.Free
	cost := r.Price.Charge(bytes - free)
	return cost - msat, run(ctx, q, `INSERT INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET bytes = excluded.bytes, free = excluded.free, msat = excluded.msat`,
		append(key, bytes, free, cost)...)
}

// Purse returns our account with a seller; that with a stranger is empty.
func (l *Ledger) Purse(ctx context.Context, seller units.PeerKey) (p Purse, err error) {
	p.Seller = seller
	err = l.read(ctx, "read purse", func(ctx context.Context, q querier) error {
		key := seller.String()
		if _, err := one(ctx, q, `SELECT paid, fees, charged, written_off, missed, received, free, purchases, failed FROM purses
			WHERE seller = ?`, []any{key},
			&p.Paid, &p.Fees, &p.Charged, &p.WrittenOff, &p.Missed, &p.Received, &p.Free, &p.Purchases, &p.Failed); err != nil {
			return err
		}
		p.Balance = p.Paid - p.Charged - p.WrittenOff
		return q.QueryRowContext(ctx, `SELECT coalesce(sum(msat + fee_limit), 0) FROM purchases
			WHERE state IN ('intent', 'sent', 'unknown') AND seller = ?`, key).Scan(&p.Pending)
	})
	return p, err
}

// Miss gives up some of our credit with a seller for bytes that were under way when a connection to it was cut: like
// WriteOff, but it is no loss that WrittenOff would tell of.
func (l *Ledger) Miss(ctx context.Context, seller units.PeerKey, ih units.InfoHash, m units.Msat, note string) error {
	at := l.clock()
	return l.write(ctx, "note what a cut has cost", func(ctx context.Context, q querier) error {
		e := Entry{Kind: KindMissed, Party: seller.String(), InfoHash: ih.String(), Msat: m, Note: note}
		if err := giveUp(ctx, q, m, m, e); err != nil {
			return err
		}
		return record(ctx, q, at, e)
	})
}

// giveUp takes an amount off the balance with the seller, missed of it for bytes under way.
func giveUp(ctx context.Context, q querier, m, missed units.Msat, e Entry) error {
	if err := checkAmount(e.Msat); err != nil {
		return err
	}
	held, err := changed(ctx, q, `UPDATE purses SET written_off = written_off + ?1, missed = missed + ?3
		WHERE seller = ?2 AND written_off + ?1 BETWEEN -charged AND max(paid - charged, written_off)`, m, e.Party, missed)
	if err == nil && !held {
		err = ErrNotHeld
	}
	return err
}

// WriteOff corrects our credit with a seller where its books and ours have parted: a positive amount is given up, a
// negative one was found. It counts for the torrents that the seller was paid for and has not delivered, or that it had
// cost us something on, and for ih as far as there are none. It is ErrNotHeld to give up more than the balance, so that
// nothing is lost twice, or to find more than was ever charged or given up, so that no seller can claim a balance above
// what it was paid.
func (l *Ledger) WriteOff(ctx context.Context, seller units.PeerKey, ih units.InfoHash, m units.Msat, note string) error {
	at := l.clock()
	return l.write(ctx, "write credit off", func(ctx context.Context, q querier) error {
		e := Entry{Kind: KindWriteOff, Party: seller.String(), InfoHash: ih.String(), Msat: m, Note: note}
		if m < 0 {
			e.Kind, e.Msat = KindFound, -m
		}
		if err := giveUp(ctx, q, m, 0, e); err != nil {
			return err
		}
		parts, err := divide(ctx, q, e)
		if err != nil {
			return err
		}
		for _, p := range parts {
			e.InfoHash, e.Msat = p.torrent, p.msat
			lost := p.msat
			if m < 0 {
				lost = -lost
			}
			if err := run(ctx, q, "INSERT INTO losses VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET msat = msat + excluded.msat",
				e.Party, e.InfoHash, at.day, lost); err != nil {
				return err
			}
			if err := record(ctx, q, at, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// part is what of an amount falls to a torrent.
type part struct {
	torrent string
	msat    units.Msat
}

func scanPart(r *sql.Rows, p *part) error { return r.Scan(&p.torrent, &p.msat) }

const (
	// notDelivered is what a seller was paid for each torrent, and has neither delivered nor lost.
	notDelivered = `SELECT info_hash, sum(m) AS left FROM (
		SELECT info_hash, msat AS m FROM purchases WHERE seller = ?1 AND state = 'succeeded'
		UNION ALL SELECT info_hash, -msat FROM receipts WHERE seller = ?1
		UNION ALL SELECT info_hash, -msat FROM losses WHERE seller = ?1)
		GROUP BY info_hash HAVING left > 0 ORDER BY left DESC, info_hash`
	lostBefore = `SELECT info_hash, sum(msat) AS left FROM losses WHERE seller = ?1
		GROUP BY info_hash HAVING left > 0 ORDER BY left DESC, info_hash`
)

// divide divides what is given up or found by torrents: a seller that is paid for one does not say on which it counts as lost.
func divide(ctx context.Context, q querier, e Entry) (parts []part, err error) {
	query := notDelivered
	if e.Kind == KindFound {
		query = lostBefore
	}
	all, err := all(ctx, q, scanPart, query, e.Party)
	left := e.Msat
	for _, p := range all {
		if p.msat = min(p.msat, left); p.msat > 0 {
			parts, left = append(parts, p), left-p.msat
		}
	}
	if left > 0 {
		parts = append(parts, part{e.InfoHash, left})
	}
	return parts, err
}

// WrittenOff returns what was ever lost on a torrent, and what was lost today (UTC) on all of them. What was found
// again makes up for what the same seller took, never for what another did.
func (l *Ledger) WrittenOff(ctx context.Context, ih units.InfoHash) (torrent, today units.Msat, err error) {
	at := l.clock()
	err = l.read(ctx, "read losses", func(ctx context.Context, q querier) error {
		return q.QueryRowContext(ctx, `SELECT
			(SELECT coalesce(sum(max(m, 0)), 0) FROM (SELECT sum(msat) AS m FROM losses WHERE info_hash = ? GROUP BY seller)),
			(SELECT coalesce(sum(max(m, 0)), 0) FROM (SELECT sum(msat) AS m FROM losses WHERE day >= ? GROUP BY seller))`,
			ih.String(), at.day).Scan(&torrent, &today)
	})
	return torrent, today, err
}

// Lots returns what we have paid a seller for a torrent and not yet received, the oldest first: what was bought at a
// price is delivered at that price. It does not know of what was given up.
func (l *Ledger) Lots(ctx context.Context, seller units.PeerKey, ih units.InfoHash) (list []Bought, err error) {
	err = l.read(ctx, "read what was bought", func(ctx context.Context, q querier) error {
		list, err = all(ctx, q, scanBought, `SELECT price_msat, price_per, min(msat, upto - charged), bytes FROM (
			SELECT p.id, p.price_msat, p.price_per, p.msat, coalesce(r.msat, 0) AS charged, coalesce(r.bytes - r.free, 0) AS bytes,
				sum(p.msat) OVER (PARTITION BY p.price_msat, p.price_per ORDER BY p.id) AS upto
			FROM purchases p LEFT JOIN receipts r ON r.seller = p.seller AND r.info_hash = p.info_hash
				AND r.price_msat = p.price_msat AND r.price_per = p.price_per
			WHERE p.seller = ? AND p.info_hash = ? AND p.state = 'succeeded' AND p.purpose IN ('bytes', 'debt'))
			WHERE upto > charged ORDER BY id`, seller.String(), ih.String())
		return err
	})
	return list, err
}

func scanBought(r *sql.Rows, b *Bought) error {
	return r.Scan(&b.Price.Msat, &b.Price.Per, &b.Left, &b.Bytes)
}
