package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"paygate/units"
)

// stake is a buyer with plenty of room under every bound, asking about an unproven seller that it has paid before.
func stake(change func(*Exposure)) Exposure {
	e := Exposure{
		Paid: true, Last: 10_000, Max: 1_000_000, Cap: 10_000_000, DayCap: 100_000_000,
		Least: 10_000, Smallest: 10_000, First: 10_000, Amt: 10_000, Price: perKiB, Left: -1,
	}
	if change != nil {
		change(&e)
	}
	return e
}

func TestMayPaySeller(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Exposure)
		why    string
		most   units.Msat // if there is a reason; without one it is all
	}{
		{"nothing at stake", nil, "", 0},
		{"never paid before", func(e *Exposure) { e.Paid, e.Last = false, 0 }, "", 0},
		{"dropped by the client", func(e *Exposure) { e.Dropped = true }, WhyDropped, 0},
		{"dropped by the client, proven", func(e *Exposure) { e.Dropped, e.Proven = true, true }, WhyDropped, 0},
		{"a payment pending", func(e *Exposure) { e.Pending = true }, WhyPending, 0},
		{"a payment pending, proven", func(e *Exposure) { e.Pending, e.Proven = true, true }, WhyPending, 0},

		{"the last purchase untouched", func(e *Exposure) { e.Balance = 10_000 }, WhyUnused, 0},
		{"the last purchase touched", func(e *Exposure) { e.Balance = 9_999 }, "", 0},
		{"a grown purchase untouched", func(e *Exposure) { e.Last, e.Balance = 40_000, 45_000 }, WhyUnused, 0},
		{"less than a smallest purchase left over", func(e *Exposure) { e.Last, e.Balance = 0, 9_999 }, "", 0},
		{"proven, the last purchase untouched", func(e *Exposure) { e.Proven, e.Balance = true, 10_000 }, "", 0},
		{"proven, the limit of exposure", func(e *Exposure) { e.Proven, e.Balance = true, 1_000_000 }, WhyUnused, 0},
		{"proven, no limit told", func(e *Exposure) { e.Proven, e.Max, e.Balance = true, 0, 10_000 }, WhyUnused, 0},

		{"1 open payment to strangers", func(e *Exposure) { e.UnresolvedUnproven, e.Unresolved = 1, 7 }, "", 0},
		{"2 open payments to strangers", func(e *Exposure) { e.UnresolvedUnproven, e.Unresolved = 2, 2 }, WhyUnresolved, 0},
		{"2 open payments to strangers, proven", func(e *Exposure) { e.Proven, e.UnresolvedUnproven = true, 2 }, "", 0},
		{"8 open payments, proven", func(e *Exposure) { e.Proven, e.Unresolved = true, 8 }, WhyUnresolved, 0},

		{"1 other stranger holds money", func(e *Exposure) { e.OthersAhead = 1 }, "", 0},
		{"2 other strangers hold money", func(e *Exposure) { e.OthersAhead = 2 }, WhyStrangers, 0},
		{"2 others hold too much, proven", func(e *Exposure) { e.Proven, e.OthersAhead = true, 2 }, "", 0},
		{"2 others hold too much, proven, and as much as it has delivered", func(e *Exposure) {
			e.Proven, e.OthersAhead, e.Amt, e.Delivered = true, 2, 80_000, 80_000
		}, "", 0},
		{"2 others hold too much, proven, and more than it has delivered", func(e *Exposure) {
			e.Proven, e.OthersAhead, e.Amt, e.Delivered = true, 2, 80_017, 80_000
		}, WhyStrangers, 80_016},
		{"2 others hold too much, proven, and holds some", func(e *Exposure) {
			e.Proven, e.OthersAhead, e.Amt, e.Delivered, e.Balance = true, 2, 80_000, 80_000, 30_000
		}, WhyStrangers, 50_016},
		{"2 others hold too much, proven, and holds nearly all", func(e *Exposure) {
			e.Proven, e.OthersAhead, e.Delivered, e.Balance = true, 2, 80_000, 70_017
		}, WhyStrangers, 0},
		{"2 others hold too much, proven, and holds less than a block", func(e *Exposure) {
			e.Proven, e.OthersAhead, e.Delivered, e.Balance = true, 2, 9_985, 15
		}, "", 0},
		{"2 others hold too much, proven, and sells no less than ever so much", func(e *Exposure) {
			e.Proven, e.OthersAhead, e.Delivered, e.Smallest, e.Amt = true, 2, 10_000, 500_000, 500_000
		}, WhyStrangers, 0},
		{"proven, sells no less than a twentieth of the torrent's cap", func(e *Exposure) {
			e.Proven, e.Delivered, e.Max, e.Smallest, e.Amt = true, 10_000, 320_000, 500_000, 500_000
		}, "", 0},
		{"proven, sells no less than more", func(e *Exposure) {
			e.Proven, e.Delivered, e.Max, e.Smallest, e.Amt = true, 10_000, 320_000, 500_001, 500_001
		}, WhyStrangers, 0},
		{"proven, sells no less than more, which it has earned", func(e *Exposure) {
			e.Proven, e.Delivered, e.Max, e.Smallest, e.Amt = true, 20_000, 640_000, 500_001, 500_001
		}, "", 0},
		{"2 others hold too much, delivered, not proven", func(e *Exposure) {
			e.OthersAhead, e.Delivered = 2, 80_000
		}, WhyStrangers, 0},
		{"1 other holds too much, proven, and more than it has delivered", func(e *Exposure) {
			e.Proven, e.OthersAhead, e.Amt, e.Delivered = true, 1, 80_000, 10_000
		}, "", 0},

		{"4 first payments lost", func(e *Exposure) { e.Lost = 49_999 }, "", 0},
		{"5 first payments lost", func(e *Exposure) { e.Lost = 50_000 }, WhyLosses, 0},
		{"5 first payments lost, proven", func(e *Exposure) { e.Proven, e.Lost = true, 50_000 }, "", 0},
		{"5 first payments lost, proven, and more than it has delivered", func(e *Exposure) {
			e.Proven, e.Lost, e.Amt, e.Delivered = true, 50_000, 80_000, 20_000
		}, WhyLosses, 20_016},
		{"5 first payments lost, to a seller that sells no less than more", func(e *Exposure) {
			e.Lost, e.Smallest, e.Amt = 50_000, 40_000, 40_000
		}, WhyLosses, 0},
		{"less lost than 5 first payments that the owner makes larger", func(e *Exposure) {
			e.Lost, e.Least, e.Smallest, e.Amt = 50_000, 40_000, 40_000, 40_000
		}, "", 0},
		{"5 % of a small cap lost", func(e *Exposure) { e.Cap, e.Lost = 200_000, 10_000 }, WhyLosses, 0},
		{"less than 2 % of the day lost", func(e *Exposure) { e.LostToday = 1_999_999 }, "", 0},
		{"2 % of the day lost", func(e *Exposure) { e.LostToday = 2_000_000 }, WhyLosses, 0},

		{"a small file, no other seller", func(e *Exposure) { e.Paid, e.Left = false, 1 }, "", 0},
		{"a small file, another seller", func(e *Exposure) { e.Paid, e.Left, e.OthersPaid = false, 1, 1 }, WhySellers, 0},
		{"a small file, paid before", func(e *Exposure) { e.Left, e.OthersPaid = 1, 5 }, "", 0},
		{"a file of 12 smallest purchases, 2 others", func(e *Exposure) { e.Paid, e.Left, e.OthersPaid = false, 120_000*units.KiB, 2 }, "", 0},
		{"a file of 12 smallest purchases, 3 others", func(e *Exposure) { e.Paid, e.Left, e.OthersPaid = false, 120_000*units.KiB, 3 }, WhySellers, 0},
		{"a file of unknown size", func(e *Exposure) { e.Paid, e.OthersPaid = false, 1000 }, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := stake(c.change)
			want := c.most
			if c.why == "" {
				want = e.Amt
			}
			if most, why := MayPaySeller(e); why != c.why || most != want {
				t.Errorf("got %v, %q; want %v, %q", most, why, want, c.why)
			}
		})
	}
}

// TestThievesTakeLittle lets a crowd of sellers take money and deliver nothing, and counts what they get.
func TestThievesTakeLittle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		smallest := units.Msat(rapid.Int64Range(1, 20_000).Draw(t, "smallest"))
		limit := units.Msat(rapid.Int64Range(1000, 10_000_000).Draw(t, "cap"))
		dayCap := units.Msat(rapid.Int64Range(1000, 10_000_000).Draw(t, "day"))
		holding := map[int]units.Msat{}
		var lost, paid units.Msat
		for range 200 {
			thief := rapid.IntRange(0, 20).Draw(t, "thief")
			if rapid.Bool().Draw(t, "given up") {
				lost += holding[thief]
				delete(holding, thief)
				continue
			}
			others := len(holding)
			if holding[thief] > 0 {
				others--
			}
			most, _ := MayPaySeller(Exposure{
				Balance: holding[thief], Last: holding[thief], OthersAhead: others, Least: smallest, Smallest: smallest, Amt: smallest,
				Lost: lost, Cap: limit, LostToday: lost, DayCap: dayCap, Left: -1, Price: perKiB,
			})
			if most > 0 {
				holding[thief] += most
				paid += most
			}
		}
		if most := min(LossLimit(limit, smallest), DayLossLimit(dayCap)) + 3*smallest; paid > most {
			t.Fatalf("thieves got %d, more than %d", paid, most)
		}
	})
}

func TestLossLimits(t *testing.T) {
	for _, c := range []struct {
		name          string
		cap, smallest units.Msat
		want          units.Msat
	}{
		{"5 first payments are less", 1_000_000, 1000, 5000},
		{"5 % are less", 50_000, 1000, 2500},
		{"no cap, no loss", 0, 1000, 0},
		{"smallest unknown", 1_000_000, 0, 5},
		{"a huge smallest", units.MaxMsat, units.MaxMsat, units.MaxMsat / 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := LossLimit(c.cap, c.smallest); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestMaxSellers(t *testing.T) {
	for _, c := range []struct {
		name     string
		left     units.Bytes
		smallest units.Msat
		want     int
	}{
		{"not known", -1, 1000, 1 << 30},
		{"nothing left", 0, 1000, 1},
		{"less than two fours", 7999 * units.KiB, 1000, 1},
		{"two fours", 8000 * units.KiB, 1000, 2},
		{"no smallest", 8 * units.KiB, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := MaxSellers(c.left, perKiB, c.smallest); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestCreditLine(t *testing.T) {
	for _, c := range []struct {
		name          string
		granted, paid units.Msat
		defaulted     bool
		want          units.Msat
	}{
		{"a stranger", 1000, 0, false, 0},
		{"a tenth of what was paid", 1000, 5000, false, 500},
		{"what was granted", 1000, 50_000, false, 1000},
		{"nothing granted", 0, 50_000, false, 0},
		{"a negative grant", -5, 50_000, false, 0},
		{"after a default", 1000, 50_000, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := CreditLine(c.granted, c.paid, c.defaulted); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestStakeGrowsWithWhatWasDelivered(t *testing.T) {
	for _, c := range []struct {
		name                            string
		delivered, most, smallest, want units.Msat
	}{
		{"a stranger", 0, 1_000_000, 10_000, 40_000},
		{"a debtor of ours", -5, 1_000_000, 10_000, 40_000},
		{"a first purchase", 10_000, 1_000_000, 10_000, 320_000},
		{"some more", 31_249, 1_000_000, 10_000, 999_968},
		{"the owner's limit", 31_250, 1_000_000, 10_000, 1_000_000},
		{"all there is", units.MaxMsat, 1_000_000, 10_000, 1_000_000},
		{"no limit to speak of", 10_000, units.MaxMsat, 10_000, 320_000},
		{"a stranger's second purchase is above the limit", 0, 30_000, 10_000, 30_000},
		{"the smallest purchase is above the limit", 0, 5_000, 10_000, 10_000},
		{"a stranger that sells dear", 0, units.MaxMsat, units.MaxMsat, units.MaxMsat},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Stake(c.delivered, c.most, c.smallest); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

// TestStakeKeepsItsBounds: it never falls as more is delivered, and keeps between its limits.
func TestStakeKeepsItsBounds(t *testing.T) {
	amount := rapid.Int64Range(0, int64(units.MaxMsat))
	rapid.Check(t, func(t *rapid.T) {
		less, more := units.Msat(amount.Draw(t, "less")), units.Msat(amount.Draw(t, "more"))
		most, smallest := units.Msat(amount.Draw(t, "most")), units.Msat(amount.Draw(t, "smallest"))
		low, high := Stake(min(less, more), most, smallest), Stake(max(less, more), most, smallest)
		if low > high || high > max(most, smallest) || low < smallest {
			t.Fatalf("%d and %d", low, high)
		}
	})
}

func TestDroppedFor(t *testing.T) {
	const day = 24 * time.Hour
	for times, want := range map[int]time.Duration{-1: 0, 0: 0, 1: 6 * time.Hour, 2: 2 * day, 3: 16 * day, 4: 30 * day, 1 << 40: 30 * day} {
		if got := DroppedFor(times); got != want {
			t.Errorf("%d times: %v, want %v", times, got, want)
		}
	}
}
