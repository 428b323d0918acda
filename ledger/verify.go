package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"paygate/units"
)

// Mismatch is the error of a Verify that found a table to hold something else than the journal explains.
type Mismatch struct {
	Table   string
	Journal []string // rows as the journal has them, a few at most, columns joined by "|"
	Holds   []string // rows as the table has them
}

func (e *Mismatch) Error() string {
	return fmt.Sprintf("%s do not follow from the journal: it says [%s], the table holds [%s]",
		e.Table, strings.Join(e.Journal, ", "), strings.Join(e.Holds, ", "))
}

// audit compares two queries: what the journal says a table must hold, and what it holds.
type audit struct{ table, journal, holds string }

var audits = []audit{
	{
		"buyers", `SELECT party, sum(iif(kind = 'settled', msat, 0)), sum(iif(kind = 'charge', msat, 0)), max(kind = 'default')
			FROM entries WHERE kind IN ('invoice', 'settled', 'charge', 'default') GROUP BY party`,
		"SELECT buyer, paid, charged, defaulted FROM buyers",
	},
	{
		"latest purchases", `SELECT s.party, s.msat, max(s.id) > 0 FROM journal s
			JOIN journal i ON i.kind = 'invoice' AND i.payment_hash = s.payment_hash AND i.note = 'bytes'
			WHERE s.kind = 'settled' GROUP BY s.party`,
		"SELECT buyer, last_purchase, 1 FROM buyers WHERE last_purchase > 0",
	},
	{
		"invoices", `SELECT payment_hash, party, info_hash, price_msat, price_per, msat, bytes, note,
			payment_hash IN (SELECT payment_hash FROM journal WHERE kind = 'settled') FROM journal WHERE kind = 'invoice'`,
		"SELECT hash, buyer, info_hash, price_msat, price_per, msat, buys, purpose, settled FROM invoices",
	},
	{
		"lots", `SELECT s.payment_hash, s.party, s.info_hash, s.price_msat, s.price_per, s.msat, coalesce(d.spent, 0)
			FROM journal s LEFT JOIN (SELECT payment_hash, sum(msat) AS spent FROM entries
				WHERE kind IN ('charge', 'repaid') GROUP BY payment_hash) d ON d.payment_hash = s.payment_hash
			WHERE s.kind = 'settled'`,
		"SELECT hash, buyer, info_hash, price_msat, price_per, msat, spent FROM lots",
	},
	{
		"spent lots", "SELECT buyer, min(paid, charged) FROM buyers WHERE paid > 0",
		"SELECT buyer, sum(spent) FROM lots GROUP BY buyer",
	},
	{
		"tallies", `SELECT party, info_hash, price_msat, price_per, sum(bytes), sum(msat)
			FROM entries WHERE kind = 'charge' GROUP BY party, info_hash, price_msat, price_per`,
		"SELECT buyer, info_hash, price_msat, price_per, bytes, msat FROM tallies",
	},
	{
		"samples", "SELECT info_hash, party, sum(bytes) FROM entries WHERE kind = 'sample' GROUP BY info_hash, party",
		"SELECT info_hash, subnet, bytes FROM samples",
	},
	{
		"days of samples", "SELECT at / 86400000, info_hash, sum(bytes) FROM entries WHERE kind = 'sample' GROUP BY 1, 2",
		"SELECT day, info_hash, bytes FROM sample_days",
	},
	{
		"purses", `SELECT party, sum(iif(kind = 'succeeded', msat, 0)), sum(iif(kind = 'succeeded', fee, 0)),
			sum(iif(kind = 'received', msat, 0)), sum(CASE kind WHEN 'written off' THEN msat WHEN 'missed' THEN msat WHEN 'found' THEN -msat ELSE 0 END),
			sum(iif(kind = 'missed', msat, 0)), sum(iif(kind = 'received', bytes, 0)), sum(free), sum(kind = 'intent'), sum(kind = 'failed')
			FROM entries WHERE kind IN ('intent', 'succeeded', 'failed', 'received', 'written off', 'missed', 'found') GROUP BY party`,
		"SELECT seller, paid, fees, charged, written_off, missed, received, free, purchases, failed FROM purses",
	},
	{
		"purchases", `SELECT payment_hash, party, info_hash, price_msat, price_per, msat, fee, bytes, note, at, category
			FROM journal WHERE kind = 'intent'`,
		"SELECT hash, seller, info_hash, price_msat, price_per, msat, fee_limit, buys, purpose, created, category FROM purchases",
	},
	{
		"states of purchases", `SELECT payment_hash, iif(kind = 'payment written off', 'written off', kind), iif(kind = 'succeeded', fee, 0),
			at, max(id) > 0 FROM journal
			WHERE kind IN ('intent', 'sent', 'succeeded', 'failed', 'unknown', 'payment written off') GROUP BY payment_hash`,
		"SELECT hash, state, fee, updated, 1 FROM purchases",
	},
	{
		"spending", `SELECT info_hash, at / 86400000, sum(msat), sum(fee) FROM journal WHERE kind = 'succeeded' GROUP BY 1, 2`,
		"SELECT info_hash, day, msat, fees FROM spent",
	},
	{
		"spending by category", `SELECT i.category, sum(s.msat), sum(s.fee) FROM journal s JOIN journal i
			ON i.payment_hash = s.payment_hash AND i.kind = 'intent' WHERE s.kind = 'succeeded' GROUP BY 1`,
		"SELECT category, msat, fees FROM spent_categories",
	},
	{
		"spending by quarter of an hour", "SELECT at / 900000, sum(msat), sum(fee) FROM journal WHERE kind = 'succeeded' GROUP BY 1",
		"SELECT quarter, msat, fees FROM spent_quarters",
	},
	{
		"receipts", `SELECT party, info_hash, price_msat, price_per, sum(bytes), sum(free), sum(msat)
			FROM entries WHERE kind = 'received' GROUP BY party, info_hash, price_msat, price_per`,
		"SELECT seller, info_hash, price_msat, price_per, bytes, free, msat FROM receipts",
	},
	{
		"losses", `SELECT party, info_hash, at / 86400000, sum(iif(kind = 'found', -msat, msat)) FROM journal
			WHERE kind IN ('written off', 'found') GROUP BY 1, 2, 3`,
		"SELECT seller, info_hash, day, msat FROM losses",
	},
	{
		"drops", `SELECT party, count(*), at, info_hash, note, msat, max(id) > 0 FROM journal WHERE kind = 'dropped' GROUP BY party`,
		"SELECT seller, times, latest, info_hash, reason, delivered, 1 FROM drops",
	},
	{
		"marks", `SELECT party, sum(iif(kind = 'settled', msat, 0)), sum(iif(kind = 'charge', msat, 0)) FROM entries
			WHERE kind IN ('settled', 'charge') AND id <= (SELECT upto FROM compacted) GROUP BY party`,
		"SELECT buyer, paid, charged FROM marks",
	},
	{
		"blocks", `SELECT info_hash, note, at FROM (SELECT info_hash, note, at, kind, max(id) FROM journal
			WHERE kind IN ('block', 'unblock') GROUP BY info_hash) WHERE kind = 'block'`,
		"SELECT info_hash, reason, since FROM blocks",
	},
}

// Verify computes every sum again from the journal (and the days that Compact has taken out of it), compares it with the tables, and checks that each tally costs
// what its bytes cost at its price. A difference is a *Mismatch. It reads the whole journal: minutes on a large one,
// during which others can go on writing; ctx can end it between two tables.
func (l *Ledger) Verify(ctx context.Context) error {
	list, err := l.Mismatches(ctx)
	if err == nil && len(list) > 0 {
		err = fmt.Errorf("verify: %w", list[0])
	}
	return err
}

// Mismatches is Verify with every difference, at most one for each table and comparison.
func (l *Ledger) Mismatches(ctx context.Context) (list []*Mismatch, err error) {
	err = l.read(ctx, "verify", func(inner context.Context, q querier) error {
		list, err = mismatches(ctx, inner, q)
		return err
	})
	return list, err
}

// mismatches runs every comparison under inner; ctx can end it between two of them.
func mismatches(ctx, inner context.Context, q querier) (list []*Mismatch, err error) {
	compare := make([]func() (*Mismatch, error), 0, len(audits)+3)
	for _, a := range audits {
		compare = append(compare, func() (*Mismatch, error) { return a.run(inner, q) })
	}
	for _, c := range costs {
		compare = append(compare, func() (*Mismatch, error) { return checkCosts(inner, q, c.table, c.query) })
	}
	compare = append(compare, func() (*Mismatch, error) { return checkBills(inner, q) })
	for _, run := range compare {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m, err := run()
		if err != nil {
			return nil, err
		}
		if m != nil {
			list = append(list, m)
		}
	}
	return list, nil
}

func (a audit) run(ctx context.Context, q querier) (*Mismatch, error) {
	m := Mismatch{Table: a.table}
	var err error
	if m.Journal, err = except(ctx, q, a.journal, a.holds); err != nil {
		return nil, fmt.Errorf("%s: %w", a.table, err)
	}
	if m.Holds, err = except(ctx, q, a.holds, a.journal); err != nil {
		return nil, fmt.Errorf("%s: %w", a.table, err)
	}
	if len(m.Journal)+len(m.Holds) > 0 {
		return &m, nil
	}
	return nil, nil
}

// except returns a few rows of one query that another does not return.
func except(ctx context.Context, q querier, have, not string) ([]string, error) {
	return all(ctx, q, scanText, "SELECT * FROM ("+have+") EXCEPT SELECT * FROM ("+not+") LIMIT 3")
}

func scanText(r *sql.Rows, line *string) error {
	columns, err := r.Columns()
	if err != nil {
		return err
	}
	values := make([]any, len(columns))
	for i := range values {
		values[i] = new(string)
	}
	err = r.Scan(values...)
	for i, v := range values {
		if i > 0 {
			*line += "|"
		}
		*line += *v.(*string)
	}
	return err
}

// costs are the tables whose amounts must be what their bytes cost.
var costs = []struct{ table, query string }{
	{"tallies", "SELECT price_msat, price_per, bytes, msat FROM tallies"},
	{"receipts", "SELECT price_msat, price_per, bytes - free, msat FROM receipts"},
}

// cost is a row of a table of bytes and what they cost.
type cost struct {
	price units.Price
	bytes units.Bytes
	msat  units.Msat
}

func scanCost(r *sql.Rows, c *cost) error {
	return r.Scan(&c.price.Msat, &c.price.Per, &c.bytes, &c.msat)
}

func checkCosts(ctx context.Context, q querier, table, query string) (*Mismatch, error) {
	list, err := all(ctx, q, scanCost, query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", table, err)
	}
	for _, c := range list {
		if want := c.price.Charge(c.bytes); want != c.msat {
			return &Mismatch{
				Table:   table,
				Journal: []string{fmt.Sprintf("%s at %s cost %s", c.bytes, c.price, want)},
				Holds:   []string{c.msat.String()},
			}, nil
		}
	}
	return nil, nil
}
