package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"paygate/config"
	"paygate/units"
)

func TestLineOfHistory(t *testing.T) {
	for _, c := range []struct {
		percent   int
		cap, paid units.Msat
		defaulted bool
		line      units.Msat
	}{
		{5, 1000, 0, false, 0},
		{5, 1000, 10_000, false, 500},
		{10, 1000, 100_000, false, 1000},
		{10, 1000, 100_000, true, 0},
		{90, 1 << 40, 1000, false, 100}, // no rule can grant more than the protocol allows
		{0, 1000, 100_000, false, 0},
	} {
		if got := LineOf(config.Credit{Percent: c.percent, Cap: c.cap}, c.paid, c.defaulted); got != c.line {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestLineIsNeverMoreThanATenth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := config.Credit{Percent: rapid.IntRange(-5, 200).Draw(t, "percent"), Cap: units.Msat(rapid.Int64().Draw(t, "cap"))}
		paid := units.Msat(rapid.Int64Range(0, int64(units.MaxMsat)).Draw(t, "paid"))
		line := LineOf(c, paid, rapid.Bool().Draw(t, "defaulted"))
		if line < 0 || line > paid/10 || c.Cap >= 0 && line > c.Cap {
			t.Fatalf("%d for %+v and %d paid", line, c, paid)
		}
	})
}

func TestOverdueAndOwed(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, c := range []struct {
		debt    units.Msat
		billed  time.Time
		overdue bool
	}{
		{units.Sat, now.Add(-CreditTerm), true},
		{units.Sat, now.Add(-CreditTerm + 1), false},
		{units.Sat - 1, now.Add(-10 * CreditTerm), false},
		{units.BTC, time.Time{}, false},
	} {
		if got := Overdue(c.debt, c.billed, now); got != c.overdue {
			t.Errorf("%+v: %t", c, got)
		}
	}
	price := units.Price{Msat: 1000 * units.Sat, Per: units.GiB}
	for debt, least := range map[units.Msat]units.Msat{999: 0, 1000: 1000, 12_345: 12_345} {
		if got := Owed(debt, price); got < least || got > least+1 || got > 0 && price.Charge(price.Buys(got)) != got {
			t.Errorf("%d owed: pay %d", debt, got)
		}
	}
	if Owed(5000, units.Price{}) != 0 {
		t.Error("a debt at no price")
	}
}
