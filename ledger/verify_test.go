package ledger

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"paygate/units"
)

// lived makes a ledger in which every table has rows.
func lived(t *testing.T) *Ledger {
	t.Helper()
	l, w := fresh(t)
	ctx := context.Background()
	charge := func(n units.Bytes) {
		_, _, err := l.Charge(ctx, Charge{Buyer: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: n})
		check(t, err)
	}
	charge(1500)
	pay(t, l, w, 1, 1, 1, 5000)
	pay(t, l, w, 2, 1, 1, 5000)
	charge(4000)
	check(t, l.AddInvoice(ctx, invoice(w, 3, 2, 1, 5000)))
	check(t, l.MarkDefaulted(ctx, peer(3), ""))
	check(t, l.UseSample(ctx, torrent(1), subnet, 100))
	for n, to := range []string{StateSucceeded, StateFailed, StateUnknown} {
		check(t, l.Reserve(ctx, intent(w, n, 4, 1, 5000, 100), wide))
		check(t, turn(l, n, to))
	}
	check(t, l.Receive(ctx, Receipt{Seller: peer(4), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: 1024, Free: 24}))
	check(t, l.WriteOff(ctx, peer(4), torrent(1), 500, ""))
	check(t, l.Reserve(ctx, intent(w, 3, 4, 1, 5000, 100), wide))
	w.t = w.t.Add(2 * time.Hour)
	check(t, turn(l, 3, StateWrittenOff))
	_, err := l.AddBlock(ctx, torrent(2), "")
	check(t, err)
	_, err = l.AddDrop(ctx, peer(4), torrent(1), "")
	check(t, err)
	check(t, l.Verify(ctx))
	return l
}

func TestVerifyFindsEveryTampering(t *testing.T) {
	for table, statements := range map[string][]string{
		"buyers": {
			"UPDATE buyers SET paid = paid + 1 WHERE paid > 0", "UPDATE buyers SET charged = charged - 1 WHERE paid > 0",
			"UPDATE buyers SET defaulted = 0", "INSERT INTO buyers (buyer) VALUES ('x')",
		},
		"latest purchases":    {"UPDATE buyers SET last_purchase = 1 WHERE paid > 0"},
		"invoices":            {"UPDATE invoices SET settled = 1", "UPDATE invoices SET msat = msat + 1", "DELETE FROM invoices WHERE settled = 0"},
		"lots":                {"UPDATE lots SET spent = spent - 1 WHERE spent > 0", "UPDATE lots SET price_msat = 1", "DELETE FROM lots WHERE id = 1"},
		"tallies":             {"UPDATE tallies SET bytes = bytes + 1", "UPDATE tallies SET msat = msat + 1", "DELETE FROM tallies"},
		"samples":             {"UPDATE samples SET bytes = 0", "DELETE FROM samples"},
		"days of samples":     {"UPDATE sample_days SET bytes = 0", "UPDATE sample_days SET day = 0"},
		"purses":              {"UPDATE purses SET paid = 0", "UPDATE purses SET fees = 0", "UPDATE purses SET failed = 0", "UPDATE purses SET written_off = 0", "UPDATE purses SET missed = 1"},
		"purchases":           {"UPDATE purchases SET msat = 1", "UPDATE purchases SET fee_limit = 0", "UPDATE purchases SET category = 'x'", "DELETE FROM purchases WHERE state = 'unknown'"},
		"states of purchases": {"UPDATE purchases SET state = 'failed' WHERE state = 'unknown'", "UPDATE purchases SET state = 'unknown' WHERE state = 'written off'", "UPDATE purchases SET fee = 1 WHERE fee > 0"},
		"spending":            {"UPDATE spent SET msat = 0", "UPDATE spent SET fees = 0", "DELETE FROM spent", "UPDATE spent SET day = day - 1"},
		"receipts":            {"UPDATE receipts SET msat = 0", "UPDATE receipts SET free = 0"},
		"losses":              {"UPDATE losses SET msat = 0", "DELETE FROM losses"},
		"bills":               {"UPDATE buyers SET billed = 1", "UPDATE buyers SET billed_at = 1"},
		"blocks":              {"UPDATE blocks SET since = 0", "UPDATE blocks SET reason = 'x'", "DELETE FROM blocks", "INSERT INTO blocks VALUES ('00', '', 1)"},
		"drops":               {"UPDATE drops SET times = 2", "UPDATE drops SET latest = 0", "UPDATE drops SET delivered = 0", "DELETE FROM drops"},
	} {
		for _, statement := range statements {
			t.Run(statement, func(t *testing.T) {
				l := lived(t)
				check(t, run(context.Background(), l.writer, statement))
				var m *Mismatch
				if err := l.Verify(context.Background()); !errors.As(err, &m) || m.Table != table {
					t.Fatalf("Verify: %v, want a mismatch of %s", err, table)
				}
				if len(m.Journal)+len(m.Holds) == 0 || !strings.Contains(m.Error(), table) {
					t.Fatalf("the mismatch says too little: %v", m)
				}
			})
		}
	}
}

func TestVerifyFindsWrongCosts(t *testing.T) {
	for table, kind := range map[string]string{"tallies": KindCharge, "receipts": KindReceived} {
		t.Run(table, func(t *testing.T) {
			l := lived(t)
			ctx := context.Background()
			// A program error would write the same wrong number everywhere.
			check(t, record(ctx, l.writer, clock{}, Entry{
				Kind: kind, Party: peer(4).String(), InfoHash: torrent(8).String(), Price: oneSatPerKiB, Msat: 1, Bytes: 1024,
			}))
			check(t, run(ctx, l.writer, "INSERT INTO buyers (buyer) VALUES (?) ON CONFLICT DO NOTHING", peer(4).String()))
			if kind == KindCharge {
				check(t, run(ctx, l.writer, "UPDATE buyers SET charged = charged + 1 WHERE buyer = ?", peer(4).String()))
				check(t, run(ctx, l.writer, "INSERT INTO tallies VALUES (?, ?, 1000, 1024, 1024, 1)", peer(4).String(), torrent(8).String()))
			} else {
				check(t, run(ctx, l.writer, "DELETE FROM buyers WHERE buyer = ?", peer(4).String()))
				check(t, run(ctx, l.writer, "UPDATE purses SET charged = charged + 1, received = received + 1024"))
				check(t, run(ctx, l.writer, "INSERT INTO receipts VALUES (?, ?, 1000, 1024, 1024, 0, 1)", peer(4).String(), torrent(8).String()))
			}
			var m *Mismatch
			if err := l.Verify(ctx); !errors.As(err, &m) || m.Table != table || !strings.Contains(err.Error(), "cost") {
				t.Fatalf("Verify: %v", err)
			}
		})
	}
}

func TestJournalExplainsALife(t *testing.T) {
	l := lived(t)
	ctx := context.Background()
	var all []Entry
	for after := int64(0); ; {
		page, err := l.Journal(ctx, after, 5)
		check(t, err)
		if len(page) == 0 {
			break
		}
		all = append(all, page...)
		after = page[len(page)-1].ID
	}
	type line struct {
		kind  string
		msat  units.Msat
		bytes units.Bytes
	}
	var got []line
	for _, e := range all {
		got = append(got, line{e.Kind, e.Msat, e.Bytes})
	}
	equal(t, "journal", got, []line{
		{KindCharge, 1465, 1500},
		{KindInvoice, 5000, 5120},
		{KindSettled, 5000, 0},
		{KindRepaid, 1465, 0},
		{KindInvoice, 5000, 5120},
		{KindSettled, 5000, 0},
		{KindCharge, 3535, 4000},
		{KindCharge, 372, 0},
		{KindInvoice, 5000, 5120},
		{KindDefault, 0, 0},
		{KindSample, 0, 100},
		{KindIntent, 5000, 5120},
		{KindSucceed, 5000, 5120},
		{KindIntent, 5000, 5120},
		{KindFailed, 5000, 5120},
		{KindIntent, 5000, 5120},
		{KindUnknown, 5000, 5120},
		{KindReceived, 977, 1024},
		{KindWriteOff, 500, 0},
		{KindIntent, 5000, 5120},
		{KindGivenUp, 5000, 5120},
		{KindBlock, 0, 0},
		{KindDropped, 4500, 0},
	})
	none, err := l.Journal(ctx, 0, -1)
	check(t, err)
	equal(t, "a negative limit", len(none), 0)
}

func TestTotals(t *testing.T) {
	got, err := lived(t).Totals(context.Background())
	check(t, err)
	equal(t, "totals", got, Totals{
		SoldBytes: 5500, SampleBytes: 100, Received: 10000, Earned: 5372, CreditOwed: 4628,
		BoughtBytes: 1000, FreeBytes: 24, Paid: 5000, Fees: 7, Pending: 5100, CreditHeld: 5000 - 977 - 500,
		PaymentsIn: 2, PaymentsOut: 1, Unknown: 1,
	})
}
