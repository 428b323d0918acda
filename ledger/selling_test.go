package ledger

import (
	"context"
	"math"
	"net/netip"
	"testing"
	"time"

	"paygate/units"
)

func TestSettleCreditsOnce(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	check(t, l.AddInvoice(ctx, invoice(w, 1, 1, 1, 5000)))
	c, credited, err := l.Settle(ctx, settlement(1, 5000, 7))
	check(t, err)
	equal(t, "first", credited, true)
	equal(t, "credit", c, Credited{Buyer: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Msat: 5000, Balance: 5000})
	for _, again := range []Settlement{settlement(1, 5000, 7), settlement(1, 5000, 9), settlement(1, 9999, 0)} {
		c, credited, err := l.Settle(ctx, again)
		check(t, err)
		equal(t, "again", credited, false)
		equal(t, "credit", c, Credited{})
	}
	a, err := l.Account(ctx, peer(1))
	check(t, err)
	equal(t, "paid", a.Paid, 5000)
	check(t, l.Verify(ctx))
}

func TestSettleCursor(t *testing.T) {
	cases := []struct {
		name string
		s    Settlement
		want uint64
	}{
		{"ours", settlement(1, 5000, 5), 5},
		{"foreign", settlement(99, 1234, 8), 8},
		{"repeated", settlement(1, 5000, 5), 8},
		{"out of order", settlement(2, 5000, 6), 8},
		{"looked up, without an index", settlement(3, 5000, 0), 8},
		{"foreign without an amount", settlement(98, 0, 9), 9},
	}
	l, w := fresh(t)
	for n := 1; n <= 3; n++ {
		check(t, l.AddInvoice(context.Background(), invoice(w, n, 1, 1, 5000)))
	}
	for _, c := range cases {
		_, _, err := l.Settle(context.Background(), c.s)
		check(t, err)
		got, err := l.SettleIndex(context.Background())
		check(t, err)
		equal(t, c.name, got, c.want)
	}
	a, err := l.Account(context.Background(), peer(1))
	check(t, err)
	equal(t, "paid", a.Paid, 15000)
}

func TestRefusedSettlementChangesNothing(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	check(t, l.AddInvoice(ctx, invoice(w, 1, 1, 1, 5000)))
	for name, s := range map[string]Settlement{
		"no amount":          settlement(1, 0, 3),
		"negative amount":    settlement(1, -1, 3),
		"more than there is": settlement(1, units.MaxMsat+1, 3),
		"index out of range": settlement(1, 5000, math.MaxUint64),
	} {
		if _, credited, err := l.Settle(ctx, s); err == nil || credited {
			t.Errorf("%s: credited %v, error %v", name, credited, err)
		}
	}
	index, err := l.SettleIndex(ctx)
	check(t, err)
	equal(t, "cursor", index, 0)
	_, found, err := l.OpenInvoice(ctx, peer(1), torrent(1))
	check(t, err)
	equal(t, "still open", found, true)
}

func TestSettlesAfterExpiryAndInAnotherAmount(t *testing.T) {
	l, w := fresh(t)
	check(t, l.AddInvoice(context.Background(), invoice(w, 1, 1, 1, 5000)))
	w.t = w.t.Add(24 * time.Hour)
	c, credited, err := l.Settle(context.Background(), settlement(1, 6000, 1))
	check(t, err)
	equal(t, "credited", credited, true)
	equal(t, "balance", c.Balance, 6000)
}

func TestOpenInvoice(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	want := func(what string, n int) {
		t.Helper()
		i, found, err := l.OpenInvoice(ctx, peer(1), torrent(1))
		check(t, err)
		equal(t, what, found, n > 0)
		if n > 0 {
			equal(t, what, i.Hash, payment(n))
		}
	}
	want("none", 0)
	first := invoice(w, 1, 1, 1, 5000)
	check(t, l.AddInvoice(ctx, first))
	got, _, err := l.OpenInvoice(ctx, peer(1), torrent(1))
	check(t, err)
	equal(t, "expiry", got.Expires.UnixMilli(), first.Expires.UnixMilli())
	got.Expires = first.Expires
	equal(t, "every field", got, first)
	check(t, l.AddInvoice(ctx, invoice(w, 2, 2, 1, 5000)))
	check(t, l.AddInvoice(ctx, invoice(w, 3, 1, 2, 5000)))
	want("other buyers and torrents do not count", 1)
	check(t, l.AddInvoice(ctx, invoice(w, 4, 1, 1, 5000)))
	want("the newest", 4)
	_, _, err = l.Settle(ctx, settlement(4, 5000, 1))
	check(t, err)
	want("a settled one is not open", 1)
	w.t = w.t.Add(time.Hour)
	want("nor an expired one", 0)
	if err := l.AddInvoice(ctx, first); err == nil {
		t.Error("the same hash was taken twice")
	}
	if err := l.AddInvoice(ctx, invoice(w, 9, 1, 1, 0)); err == nil {
		t.Error("an invoice for nothing was taken")
	}
}

func TestStrangerHasAnEmptyAccount(t *testing.T) {
	l, _ := fresh(t)
	a, err := l.Account(context.Background(), peer(1))
	check(t, err)
	equal(t, "account", a, Account{Buyer: peer(1)})
}

func TestChargeRoundsOncePerTally(t *testing.T) {
	l, _ := fresh(t)
	ctx := context.Background()
	third := units.Price{Msat: 1, Per: 3}
	var sum units.Msat
	for i, want := range []units.Msat{1, 0, 0, 1, 0, 0, 1} {
		delta, balance, err := l.Charge(ctx, Charge{Buyer: peer(1), InfoHash: torrent(1), Price: third, Bytes: 1})
		check(t, err)
		sum += delta
		if delta != want || balance != -sum {
			t.Fatalf("byte %d: delta %d, balance %d; want %d, %d", i, delta, balance, want, -sum)
		}
	}
	check(t, l.Verify(ctx))
}

func TestChargeDrawsLotsInOrder(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	dear := units.Price{Msat: 2000, Per: 1024}
	pay(t, l, w, 1, 1, 2, 1000) // oldest, another torrent
	other := invoice(w, 2, 1, 1, 1000)
	other.Price = dear
	check(t, l.AddInvoice(ctx, other)) // same torrent, other price
	_, _, err := l.Settle(ctx, settlement(2, 1000, 2))
	check(t, err)
	pay(t, l, w, 3, 1, 1, 1000) // same torrent and price
	pay(t, l, w, 4, 1, 1, 1000) // same, newer
	pay(t, l, w, 5, 2, 1, 9000) // another buyer

	for _, c := range []struct {
		charge  units.Bytes
		unspent map[int64]units.Msat
		balance units.Msat
	}{
		{512, map[int64]units.Msat{1: 1000, 2: 1000, 3: 500, 4: 1000}, 3500},
		{1024, map[int64]units.Msat{1: 1000, 2: 1000, 4: 500}, 2500},
		{1024, map[int64]units.Msat{1: 1000, 2: 500}, 1500},
		{1024, map[int64]units.Msat{1: 500}, 500},
		{1024, map[int64]units.Msat{}, -500},
	} {
		_, balance, err := l.Charge(ctx, Charge{Buyer: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: c.charge})
		check(t, err)
		equal(t, "balance", balance, c.balance)
		a, err := l.Account(ctx, peer(1))
		check(t, err)
		got := map[int64]units.Msat{}
		for _, lot := range a.Lots {
			got[lot.ID] = lot.Msat - lot.Spent
		}
		equal(t, "unspent lots", got, c.unspent)
		check(t, l.Verify(ctx))
	}
}

func TestNextCreditPaysTheDebt(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	charge := func(n units.Bytes) {
		_, _, err := l.Charge(ctx, Charge{Buyer: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: n})
		check(t, err)
	}
	charge(3 * units.KiB)
	equal(t, "a first payment of part of it", pay(t, l, w, 1, 1, 1, 1000).Balance, -2000)
	equal(t, "a second of more", pay(t, l, w, 2, 1, 1, 5000).Balance, 3000)
	a, err := l.Account(ctx, peer(1))
	check(t, err)
	equal(t, "lots", a.Lots, []Lot{{ID: 2, InfoHash: torrent(1), Price: oneSatPerKiB, Msat: 5000, Spent: 2000}})
	equal(t, "last purchase", a.LastPurchase, 5000)
	totals, err := l.Totals(ctx)
	check(t, err)
	equal(t, "owed credit and debt", []units.Msat{totals.CreditOwed, totals.Debt}, []units.Msat{3000, 0})
	check(t, l.Verify(ctx))
}

func TestChargeRefuses(t *testing.T) {
	l, _ := fresh(t)
	ctx := context.Background()
	good := Charge{Buyer: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: math.MaxInt64}
	_, _, err := l.Charge(ctx, good)
	check(t, err)
	for name, c := range map[string]Charge{
		"negative bytes":         {Buyer: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: -1},
		"a tally that overflows": {Buyer: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB, Bytes: 1},
		"an invalid price":       {Buyer: peer(1), InfoHash: torrent(1), Price: units.Price{Msat: 1}, Bytes: 1},
	} {
		if _, _, err := l.Charge(ctx, c); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	check(t, l.Verify(ctx))
}

func TestOverflowingAccountIsAnError(t *testing.T) {
	l, _ := fresh(t)
	ctx := context.Background()
	var charged units.Msat
	for n := range 6 {
		delta, _, err := l.Charge(ctx, Charge{Buyer: peer(1), InfoHash: torrent(n), Price: units.Price{Msat: units.MaxMsat, Per: 1}, Bytes: 1})
		if err != nil {
			break
		}
		charged += delta
	}
	a, err := l.Account(ctx, peer(1))
	check(t, err)
	equal(t, "charged", a.Charged, charged)
	equal(t, "as many as fit", charged, 4*units.MaxMsat)
	check(t, l.Verify(ctx))
}

func TestChargeOfNothingLeavesNoTrace(t *testing.T) {
	l, _ := fresh(t)
	delta, balance, err := l.Charge(context.Background(), Charge{Buyer: peer(1), InfoHash: torrent(1), Price: oneSatPerKiB})
	check(t, err)
	equal(t, "delta and balance", delta+balance, 0)
	entries, err := l.Journal(context.Background(), 0, 10)
	check(t, err)
	equal(t, "entries", len(entries), 0)
}

func TestDefaultStays(t *testing.T) {
	l, w := fresh(t)
	check(t, l.MarkDefaulted(context.Background(), peer(1), "left owing 5 sat"))
	pay(t, l, w, 1, 1, 1, 5000)
	a, err := l.Account(context.Background(), peer(1))
	check(t, err)
	equal(t, "defaulted", a.Defaulted, true)
	check(t, l.Verify(context.Background()))
}

func TestSamples(t *testing.T) {
	l, w := fresh(t)
	ctx := context.Background()
	use := func(n int, subnet string, b units.Bytes) {
		t.Helper()
		check(t, l.UseSample(ctx, torrent(n), netip.MustParsePrefix(subnet), b))
	}
	want := func(what string, n int, subnet string, s Sample) {
		t.Helper()
		got, err := l.SampleUsed(ctx, torrent(n), netip.MustParsePrefix(subnet))
		check(t, err)
		equal(t, what, got, s)
	}
	want("nothing yet", 1, "203.0.113.0/24", Sample{})
	use(1, "203.0.113.0/24", 100)
	use(1, "203.0.113.77/24", 10) // the same subnet
	use(1, "198.51.100.0/24", 20)
	use(2, "203.0.113.0/24", 5)
	want("this subnet", 1, "203.0.113.0/24", Sample{Subnet: 110, TorrentDay: 130, Day: 135})
	want("another", 1, "2001:db8::/48", Sample{TorrentDay: 130, Day: 135})
	w.t = w.t.Add(time.Hour) // midnight
	want("tomorrow", 1, "203.0.113.0/24", Sample{Subnet: 110})
	use(1, "203.0.113.0/24", 1)
	want("and on", 1, "203.0.113.0/24", Sample{Subnet: 111, TorrentDay: 1, Day: 1})
	if err := l.UseSample(ctx, torrent(1), subnet, -1); err == nil {
		t.Error("a negative sample was taken")
	}
	check(t, l.Verify(ctx))
}
