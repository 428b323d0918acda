package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"paygate/ledger"
)

// A life of so many days, with so many others and torrents.
const (
	days     = 400
	buyers   = 3000
	sellers  = 800
	torrents = 500
	networks = 5000
)

// A price at which every whole KiB costs a whole millisatoshi, so that sums of charges are the charge of the sum.
const priceMsat, pricePer = 1, 1024

func hexadecimal(kind string, n, size int) string {
	return (fmt.Sprintf("%x%08x", kind, n) + strings.Repeat("0", 2*size))[:2*size]
}

func torrent(n int) string { return hexadecimal("t", n, 20) }
func peer(n int) string    { return hexadecimal("p", n, 32) }
func hash(n int) string    { return hexadecimal("h", n, 32) }

// life writes a journal.
type life struct {
	insert *sql.Stmt
	rng    *rand.Rand
	n      int // entries
	most   int
	began  int64
	hashes int
}

// live makes a ledger with so many journal entries, and everything that follows from them.
func live(ctx context.Context, path string, entries int) (err error) {
	l, err := ledger.Open(ctx, path, ledger.Options{})
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(off)&_pragma=cache_size(-200000)&_pragma=temp_store(memory)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ended(tx.Rollback())) }()
	if err := write(ctx, tx, entries); err != nil {
		return err
	}
	for _, statement := range follows {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%.60s: %w", statement, err)
		}
	}
	return tx.Commit()
}

func ended(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

func write(ctx context.Context, tx *sql.Tx, entries int) error {
	insert, err := tx.PrepareContext(ctx, `INSERT INTO journal
		(at, kind, party, info_hash, payment_hash, price_msat, price_per, msat, fee, bytes, free, note, category)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')`)
	if err != nil {
		return err
	}
	defer insert.Close()
	l := &life{
		insert: insert, rng: rand.New(rand.NewPCG(1, 2)), most: entries,
		began: time.Now().Add(-days * 24 * time.Hour).UnixMilli(),
	}
	for l.n < l.most {
		switch p := l.rng.IntN(100); {
		case p < 45:
			err = l.sale()
		case p < 75:
			err = l.purchase()
		default:
			err = l.entry("sample", fmt.Sprintf("10.%d.%d.0/24", l.rng.IntN(networks)/250, l.rng.IntN(250)), "", 0, 0, 16384, "")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entry writes one line, at a time that goes on evenly through the days.
func (l *life) entry(kind, party, paymentHash string, msat, fee, bytes int64, note string) error {
	at := l.began + int64(float64(l.n)/float64(l.most)*days*24*3600*1000)
	l.n++
	price, per := int64(priceMsat), int64(pricePer)
	if kind == "sample" {
		price, per = 0, 0
	}
	ih := torrent(l.n / 50 % torrents)
	if paymentHash != "" {
		ih = torrent(int(paymentHash[10]) % torrents)
	}
	_, err := l.insert.Exec(at, kind, party, ih, paymentHash, price, per, msat, fee, bytes, 0, note)
	return err
}

// amount is that of every payment, in millisatoshi, and the KiB that it buys.
const amount = 30_000

// sale is an invoice, most often paid, and what is charged for it.
func (l *life) sale() error {
	l.hashes++
	h, buyer := hash(l.hashes), peer(l.rng.IntN(buyers))
	err := l.entry("invoice", buyer, h, amount, 0, amount*pricePer, "bytes")
	if l.rng.IntN(10) == 0 {
		return err
	}
	err = errors.Join(err, l.entry("settled", buyer, h, amount, 0, 0, ""))
	for range 1 + l.rng.IntN(4) {
		err = errors.Join(err, l.entry("charge", buyer, h, amount/5, 0, amount/5*pricePer, ""))
	}
	return err
}

// purchase is a payment of ours, which seldom fails, and what comes for it. The latest are still open.
func (l *life) purchase() error {
	l.hashes++
	h, seller := hash(l.hashes), peer(buyers+l.rng.IntN(sellers))
	err := errors.Join(l.entry("intent", seller, h, amount, 500, amount*pricePer, "bytes"),
		l.entry("sent", seller, h, amount, 0, amount*pricePer, ""))
	switch {
	case l.most-l.n < 40:
		return err
	case l.rng.IntN(20) == 0:
		return errors.Join(err, l.entry("failed", seller, h, amount, 0, amount*pricePer, "no route"))
	}
	err = errors.Join(err, l.entry("succeeded", seller, h, amount, 100, amount*pricePer, ""))
	for range 1 + l.rng.IntN(2) {
		err = errors.Join(err, l.entry("received", seller, "", amount/4, 0, amount/4*pricePer, ""))
	}
	return err
}

// follows fills all other tables from the journal.
var follows = []string{
	"CREATE TEMP TABLE paid AS SELECT payment_hash, sum(msat) AS spent FROM journal WHERE kind = 'charge' GROUP BY payment_hash",
	"CREATE UNIQUE INDEX temp.paid_by_hash ON paid (payment_hash)",
	`CREATE TEMP TABLE ends AS SELECT payment_hash, kind, at, iif(kind = 'succeeded', fee, 0) AS fee, max(id) FROM journal
		WHERE kind IN ('intent', 'sent', 'succeeded', 'failed') GROUP BY payment_hash`,
	"CREATE UNIQUE INDEX temp.ends_by_hash ON ends (payment_hash)",
	`INSERT INTO buyers (buyer, paid, charged, last_purchase) SELECT party, sum(iif(kind = 'settled', msat, 0)),
		sum(iif(kind = 'charge', msat, 0)), max(iif(kind = 'settled', msat, 0)) FROM journal
		WHERE kind IN ('invoice', 'settled', 'charge') GROUP BY party`,
	`INSERT INTO invoices (hash, buyer, info_hash, price_msat, price_per, buys, msat, purpose, request, created, expires, settled)
		SELECT i.payment_hash, i.party, i.info_hash, i.price_msat, i.price_per, i.bytes, i.msat, i.note,
			'lnbcrt' || hex(zeroblob(150)), i.at, i.at + 3600000, s.id IS NOT NULL
		FROM journal i LEFT JOIN journal s ON s.id = i.id + 1 AND s.kind = 'settled' WHERE i.kind = 'invoice' ORDER BY i.id`,
	`INSERT INTO lots (hash, buyer, info_hash, price_msat, price_per, msat, spent)
		SELECT j.payment_hash, party, info_hash, price_msat, price_per, msat, coalesce(spent, 0)
		FROM journal j LEFT JOIN paid p ON p.payment_hash = j.payment_hash WHERE kind = 'settled' ORDER BY id`,
	`INSERT INTO tallies SELECT party, info_hash, price_msat, price_per, sum(bytes), sum(msat)
		FROM journal WHERE kind = 'charge' GROUP BY 1, 2, 3, 4`,
	"INSERT INTO samples SELECT info_hash, party, sum(bytes) FROM journal WHERE kind = 'sample' GROUP BY 1, 2",
	"INSERT INTO sample_days SELECT at / 86400000, info_hash, sum(bytes) FROM journal WHERE kind = 'sample' GROUP BY 1, 2",
	`INSERT INTO purses (seller, paid, fees, charged, received, purchases, failed)
		SELECT party, sum(iif(kind = 'succeeded', msat, 0)), sum(iif(kind = 'succeeded', fee, 0)), sum(iif(kind = 'received', msat, 0)),
			sum(iif(kind = 'received', bytes, 0)), sum(kind = 'intent'), sum(kind = 'failed')
		FROM journal WHERE kind IN ('intent', 'succeeded', 'failed', 'received') GROUP BY party`,
	`INSERT INTO purchases (hash, seller, node, info_hash, price_msat, price_per, buys, msat, fee_limit, purpose, request, expires,
			state, fee, preimage, created, updated)
		SELECT i.payment_hash, i.party, '02' || i.party, i.info_hash, i.price_msat, i.price_per, i.bytes, i.msat, i.fee, i.note,
			'lnbcrt' || hex(zeroblob(150)), i.at + 3600000, e.kind, e.fee, iif(e.kind = 'succeeded', i.payment_hash, ''), i.at, e.at
		FROM journal i JOIN ends e ON e.payment_hash = i.payment_hash WHERE i.kind = 'intent' ORDER BY i.id`,
	"INSERT INTO spent SELECT info_hash, at / 86400000, sum(msat), sum(fee) FROM journal WHERE kind = 'succeeded' GROUP BY 1, 2",
	"INSERT INTO spent_categories SELECT '', sum(msat), sum(fee) FROM journal WHERE kind = 'succeeded' HAVING count(*) > 0",
	"INSERT INTO spent_quarters SELECT at / 900000, sum(msat), sum(fee) FROM journal WHERE kind = 'succeeded' GROUP BY 1",
	`INSERT INTO receipts SELECT party, info_hash, price_msat, price_per, sum(bytes), sum(free), sum(msat)
		FROM journal WHERE kind = 'received' GROUP BY 1, 2, 3, 4`,
}
