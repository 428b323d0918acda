package policy

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paygate/config"
	"paygate/units"
)

func TestBuyingRules(t *testing.T) {
	mine := config.BuyRule{InfoHash: []units.InfoHash{torrent(1)}, MaxPrice: perGiB}
	never := config.BuyRule{InfoHash: []units.InfoHash{torrent(2)}}
	rest := config.BuyRule{Any: true, MaxPrice: units.Price{Msat: 1, Per: 1}}
	neverRest := config.BuyRule{Any: true}
	money := config.Buy{PerTorrent: 1, PerDay: 1, Total: 1}
	cases := []struct {
		name    string
		rules   []config.BuyRule
		budget  config.Buy
		torrent byte
		price   units.Price
		might   bool
	}{
		{"no rules", nil, money, 1, units.Price{}, false},
		{"a rule for it", []config.BuyRule{mine}, money, 1, perGiB, true},
		{"a rule for others", []config.BuyRule{mine}, money, 3, units.Price{}, false},
		{"never, before any", []config.BuyRule{never, rest}, money, 2, units.Price{}, false},
		{"any", []config.BuyRule{never, rest}, money, 3, rest.MaxPrice, true},
		{"hidden behind never any", []config.BuyRule{neverRest, mine}, money, 1, units.Price{}, false},
		{"a rule without torrents", []config.BuyRule{{MaxPrice: perGiB}}, money, 1, units.Price{}, false},
		{"no budget at all", []config.BuyRule{mine}, config.Buy{}, 1, perGiB, false},
		{"no budget per day", []config.BuyRule{mine}, config.Buy{PerTorrent: 1, Total: 1}, 1, perGiB, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.budget.Rules = c.rules
			b := NewBuying(c.budget)
			f := Facts{InfoHashes: []units.InfoHash{torrent(c.torrent)}}
			if d := b.Decide(f); d.Max != c.price || d.Pay != !c.price.Free() {
				t.Errorf("Decide: %v, %v; want %v", d.Max, d.Pay, c.price)
			}
			if got := b.MightPay(f); got != c.might {
				t.Errorf("MightPay: %v", got)
			}
		})
	}
}

// growth is how many times the purchase before the next one may be.
func growth(w Want) units.Msat {
	if w.Proven {
		return provenGrowth
	}
	return strangerGrowth
}

// perKiB makes 1 KiB cost 1 msat: a block is 16 msat, a MiB 1024.
var perKiB = units.Price{Msat: 1, Per: units.KiB}

// wanting is a buyer in mid-download: 1 MiB/s, nothing left, purchases of 10 sat, room for a lot.
func wanting(change func(*Want)) Want {
	w := Want{
		Rate: int64(units.MiB), T90: 2 * time.Second, Last: 1000, Price: perKiB,
		Min: 100, Max: 1_000_000, Room: 10_000_000, Left: -1,
	}
	if change != nil {
		change(&w)
	}
	return w
}

func TestPurchase(t *testing.T) {
	b := NewBuying(config.Buy{FeeMax: 10, FeePercent: 1})
	cases := []struct {
		name   string
		change func(*Want)
		amt    units.Msat
		why    string
	}{
		{"two payment times at the measured rate", func(w *Want) { w.Last = 3000 }, 4096, ""},
		{"at most four times the last", nil, 4000, ""},
		{"the first is the smallest", func(w *Want) { w.Last = 0 }, 100, ""},
		{"the first is the seller's smallest if that is more", func(w *Want) { w.Last, w.SellerMin = 0, 300 }, 300, ""},
		{"at least a block", func(w *Want) { w.Last, w.Min = 0, 1 }, 16, ""},
		{"half after a failure", func(w *Want) { w.LastFailed = true }, 500, ""},
		{"after a failure the smallest at least", func(w *Want) { w.Last, w.LastFailed = 150, true }, 100, ""},
		{"a failure before any purchase", func(w *Want) { w.Last, w.LastFailed = 0, true }, 100, ""},
		{"a slow peer", func(w *Want) { w.Rate = 1 }, 100, ""},
		{"sixteen times, once the seller is proven", func(w *Want) { w.Last, w.Proven = 200, true }, 3200, ""},
		{"two payment times, of a proven seller", func(w *Want) { w.Proven = true }, 4096, ""},
		{"the first from a proven seller", func(w *Want) { w.Last, w.Proven = 0, true }, 1600, ""},
		{"no rate yet, of a proven seller", func(w *Want) { w.Rate, w.Proven = 0, true }, 4000, ""},
		{"half after a failure, of a proven seller", func(w *Want) { w.LastFailed, w.Proven = true, true }, 500, ""},
		{"a purchase that is soon used up", func(w *Want) { w.Credit = units.MiB/5*2 - 1 }, 0, WhyProving},
		{"one that lasts longer", func(w *Want) { w.Credit = units.MiB/5*2 + 1 }, 4000, ""},
		{"one that is soon used up, of a proven seller", func(w *Want) { w.Credit, w.Proven, w.Last = units.MiB/5, true, 3000 }, 4096, ""},
		{"one of which nobody knows how long it lasts", func(w *Want) { w.Credit, w.Outstanding, w.Rate = 2*block, 2*block, 0 }, 0, WhyProving},

		{"no rate yet", func(w *Want) { w.Rate = 0 }, 100, ""},
		{"a fast payment counts as two seconds", func(w *Want) { w.T90, w.Last = time.Millisecond, 3000 }, 4096, ""},
		{"an absurd rate", func(w *Want) { w.Rate, w.T90, w.Last = math.MaxInt64, time.Hour, 900_000 }, 1_000_000, ""},

		{"credit just runs low", func(w *Want) { w.Credit = 3*units.MiB - 1 }, 4000, ""},
		{"credit lasts", func(w *Want) { w.Credit = 3 * units.MiB }, 0, WhyEnough},
		{"but much of it is asked for", func(w *Want) { w.Credit, w.Outstanding = 4*units.MiB, units.MiB+1 }, 4000, ""},
		{"not even a block is left", func(w *Want) { w.Rate, w.Credit = 0, block-1 }, 100, ""},
		{"a block is left", func(w *Want) { w.Rate, w.Credit = 0, block }, 0, WhyEnough},
		{"in debt", func(w *Want) { w.Credit = math.MinInt64 }, 4000, ""},

		{"the owner's largest", func(w *Want) { w.Max = 2000 }, 2000, ""},
		{"the seller's largest", func(w *Want) { w.SellerMax = 1500 }, 1500, ""},
		{"the seller's smallest above the owner's largest", func(w *Want) { w.SellerMin = 1_000_001 }, 0, WhyNoSize},
		{"the owner's smallest above the seller's largest", func(w *Want) { w.SellerMax = 99 }, 0, WhyNoSize},
		{"a block above the owner's largest", func(w *Want) { w.Price.Msat, w.Max = 1000, 15_999 }, 0, WhyNoSize},

		{"what is left is less", func(w *Want) { w.Left = units.MiB }, 1024, ""},
		{"what is left is partly paid for", func(w *Want) { w.Left, w.Credit = units.MiB, 512*units.KiB }, 512, ""},
		{"what is left is paid for", func(w *Want) { w.Left, w.Credit = units.MiB, units.MiB }, 0, WhyEnough},
		{"what is left costs less than the smallest", func(w *Want) { w.Left = 5 * units.KiB }, 100, ""},
		{"nothing is left", func(w *Want) { w.Left = 0 }, 0, WhyEnough},

		{"room for amount and fee", func(w *Want) { w.Room = 2000 }, 1980, ""}, // with a fee limit of 19
		{"room for the fixed fee", func(w *Want) { w.Room = 500 }, 490, ""},
		{"room for less than the fee", func(w *Want) { w.Room = 105 }, 100, ""},
		{"room for the smallest alone", func(w *Want) { w.Room = 100 }, 100, ""},
		{"no room for the smallest", func(w *Want) { w.Room = 99 }, 0, WhyOverBudget},
		{"no room", func(w *Want) { w.Room = 0 }, 0, WhyOverBudget},
		{"overdrawn", func(w *Want) { w.Room = -5 }, 0, WhyOverBudget},
		{"free", func(w *Want) { w.Price = units.Price{} }, 0, WhyFree},

		{"whole bytes at a price above 1 msat a byte", func(w *Want) {
			w.Price, w.Min, w.Max, w.Last = units.Price{Msat: 7, Per: 1}, 200_000, 200_010, 0
		}, 200_004, ""},
		{"no whole bytes between smallest and largest", func(w *Want) {
			w.Price, w.Min, w.Max, w.Last = units.Price{Msat: 7, Per: 1}, 200_000, 200_003, 0
		}, 0, WhyNoSize},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			amt, buy, why := b.Purchase(wanting(c.change))
			if amt != c.amt || why != c.why || buy != (c.why == "") {
				t.Errorf("got %d, %v, %q; want %d, %q", amt, buy, why, c.amt, c.why)
			}
		})
	}
}

func TestFeeLimit(t *testing.T) {
	for _, c := range []struct {
		name       string
		amt, fixed units.Msat
		percent    int
		room       units.Msat
		want       units.Msat
	}{
		{"the fixed one", 1000, 50, 1, 1e6, 50},
		{"the share", 100_000, 50, 1, 1e6, 1000},
		{"none", 1000, 0, 0, 1e6, 0},
		{"what room there is", 1000, 50, 1, 1020, 20},
		{"no room", 1000, 50, 1, 1000, 0},
		{"less than no room", 1000, 50, 1, 900, 0},
		{"a share of all bitcoin", units.MaxMsat, 0, 100, math.MaxInt64, units.MaxMsat},
		{"a percentage out of range", 1000, 0, 1000, 1e6, 1000},
		{"a negative percentage", 1000, 5, -1, 1e6, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := FeeLimit(c.amt, c.fixed, c.percent, c.room); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func drawMsat(t *rapid.T, label string) units.Msat {
	return units.Msat(rapid.OneOf(
		rapid.Int64Range(0, 100_000), rapid.Int64Range(0, int64(units.MaxMsat)), rapid.Just(int64(0)),
	).Draw(t, label))
}

func drawPrice(t *rapid.T) units.Price {
	return units.Price{
		Msat: units.Msat(rapid.OneOf(rapid.Int64Range(1, 10_000), rapid.Int64Range(1, int64(units.MaxMsat))).Draw(t, "price")),
		Per:  units.Bytes(rapid.OneOf(rapid.Int64Range(1, 10_000), rapid.Int64Range(1, units.MaxPer)).Draw(t, "per")),
	}
}

func drawWant(t *rapid.T) Want {
	whole := rapid.Int64()
	return Want{
		Credit: units.Bytes(whole.Draw(t, "credit")), Outstanding: units.Bytes(whole.Draw(t, "outstanding")),
		Rate: whole.Draw(t, "rate"), T90: time.Duration(whole.Draw(t, "t90")),
		Last: drawMsat(t, "last"), LastFailed: rapid.Bool().Draw(t, "failed"), Proven: rapid.Bool().Draw(t, "proven"), Price: drawPrice(t),
		Min: drawMsat(t, "min"), Max: drawMsat(t, "max"), Room: drawMsat(t, "room"),
		SellerMin: drawMsat(t, "seller's min"), SellerMax: drawMsat(t, "seller's max"),
		Left: units.Bytes(rapid.Int64Min(-1).Draw(t, "left")),
	}
}

func TestPurchaseInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		buy := config.Buy{FeeMax: drawMsat(t, "fee"), FeePercent: rapid.IntRange(0, 100).Draw(t, "percent")}
		w := drawWant(t)
		b := NewBuying(buy)
		smallest := Smallest(w)
		amt, ok, why := b.Purchase(w)
		if !ok {
			fits := smallest <= w.Room && smallest <= w.Max && (w.SellerMax == 0 || smallest <= w.SellerMax)
			later := why == WhyEnough || why == WhyProving
			if amt != 0 || why == "" || fits && !later {
				t.Fatalf("declined %d because %q, smallest %d", amt, why, smallest)
			}
			return
		}
		fee := FeeLimit(amt, buy.FeeMax, buy.FeePercent, w.Room)
		switch {
		case why != "":
			t.Fatalf("bought because %q", why)
		case fee < 0 || amt+fee > w.Room:
			t.Fatalf("%d and fee %d are above room %d", amt, fee, w.Room)
		case amt < smallest || amt < w.Min || amt < w.SellerMin:
			t.Fatalf("%d is below the smallest, %d", amt, smallest)
		case amt > w.Max || w.SellerMax > 0 && amt > w.SellerMax:
			t.Fatalf("%d is above the largest", amt)
		case amt > smallest && max(w.Last, smallest) < amt/growth(w):
			t.Fatalf("%d is more than %d times %d", amt, growth(w), w.Last)
		case amt > smallest && w.LastFailed && amt > w.Last/2:
			t.Fatalf("%d is more than half of %d, which failed", amt, w.Last)
		case w.Price.Charge(w.Price.Buys(amt)) != amt:
			t.Fatalf("%d is not the price of whole bytes", amt)
		case fee < max(buy.FeeMax, share(amt, buy.FeePercent)) && amt > smallest:
			t.Fatalf("the fee limit of %d shrank to %d although less could be bought", amt, fee)
		}
	})
}

// TestBuyingStopsJustBelowTheCap spends a cap to its end, with fees as routing may charge them.
func TestBuyingStopsJustBelowTheCap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		buy := config.Buy{
			FeeMax:     units.Msat(rapid.Int64Range(0, 2000).Draw(t, "fee")),
			FeePercent: rapid.IntRange(0, 10).Draw(t, "percent"),
		}
		b := NewBuying(buy)
		room := units.Msat(rapid.Int64Range(0, 500_000).Draw(t, "cap"))
		w := Want{Rate: 1 << 20, T90: time.Second, Price: perKiB, Min: 1000, Max: 100_000, Left: -1}
		for range 10_000 {
			w.Room = room
			amt, ok, why := b.Purchase(w)
			if !ok {
				if why != WhyOverBudget || room >= Smallest(w) || room < 0 {
					t.Fatalf("stopped because %q with %d of the cap left", why, room)
				}
				return
			}
			limit := FeeLimit(amt, buy.FeeMax, buy.FeePercent, room)
			room -= amt + units.Msat(rapid.Int64Range(0, int64(limit)).Draw(t, "routing"))
			w.Last = amt
		}
		t.Fatal("never stopped")
	})
}

func TestDuringAgainstSlowArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(0, 1<<32).Draw(t, "rate")
		d := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "time"))
		exact := float64(rate) * max(d, leastT90).Seconds() * 1.5
		if got := float64(during(rate, d, 3, 2)); math.Abs(got-exact) > 3+exact*1e-9 {
			t.Fatalf("during(%d, %v) = %f, want %f", rate, d, got, exact)
		}
	})
}
