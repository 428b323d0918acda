package pay

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"paygate/config"
	"paygate/policy"
	"paygate/units"
)

// TestNothingIsServedBeyondWhatIsDue lets outages, reloads, crashes of trust and lost interest follow each other at
// random, and holds the books to the bounds: no cap is exceeded, nothing is charged above ceil(bytes x price), and
// nothing is served beyond sample, payments and credit.
func TestNothingIsServedBeyondWhatIsDue(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	rapid.Check(t, func(rt *rapid.T) {
		if rounds--; rounds < 0 {
			return // each is a life of minutes
		}
		seed := rapid.Uint64().Draw(rt, "seed")
		percent := rapid.IntRange(0, 10).Draw(rt, "credit")
		sample := units.Bytes(rapid.IntRange(0, 8).Draw(rt, "sample")) * units.MiB
		limit := units.Msat(rapid.IntRange(20, 400).Draw(rt, "cap")) * units.Sat
		steps := rapid.SliceOfN(rapid.IntRange(0, 6), 5, 15).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) { liveThrough(t, seed, percent, sample, limit, steps) })
	})
}

func liveThrough(t *testing.T, seed uint64, percent int, sample units.Bytes, limit units.Msat, steps []int) {
	chance := rand.New(rand.NewPCG(seed, 1))
	sell, buy := simRules()
	rule := &sell.Rules[0]
	rule.Sample, rule.Credit = sample, config.Credit{Percent: percent, Cap: 20 * units.Sat}
	buy.PerDay = limit
	s := newSim(t, newBank(70*time.Millisecond), sell, buy)
	defer func() { s.sellerL.Close(); s.buyerL.Close() }()
	s.size = 1 << 30
	s.start()
	top := rule.Price
	for _, step := range steps {
		switch step {
		case 0:
			s.bank.set(func() { s.bank.down = true })
		case 1:
			s.bank.set(func() { s.bank.down = false })
		case 2: // another price
			next := sell
			next.Rules = []config.SellRule{*rule}
			next.Rules[0].Price = perGiB(units.Msat(300+chance.IntN(1200)) * units.Sat)
			if next.Rules[0].Price.Compare(top) > 0 {
				top = next.Rules[0].Price
			}
			s.seller.SetRules(next, config.Buy{})
		case 3: // a lower or higher cap
			buy.PerDay = limit/2 + units.Msat(chance.Int64N(int64(limit/2)))
			s.buyer.SetRules(config.Sell{}, buy)
		case 4:
			s.again()
		case 5:
			s.rate = 1 << (18 + chance.IntN(7))
		}
		s.transfer(time.Duration(1+chance.IntN(8)) * time.Second)
	}
	time.Sleep(3 * time.Second)
	a := s.account()
	s.close()
	seller, buyer := s.totals()
	if spent := buyer.Paid + buyer.Fees + buyer.Pending; spent > limit {
		t.Errorf("%v spent of %v", spent, limit)
	}
	if seller.SampleBytes > sample {
		t.Errorf("%v given of a sample of %v", seller.SampleBytes, sample)
	}
	if most := top.Charge(seller.SoldBytes) + 60; seller.Earned > most {
		t.Errorf("%v charged for %v, at most %v", seller.Earned, seller.SoldBytes, most)
	}
	if line := policy.LineOf(rule.Credit, a.Paid, a.Defaulted); -a.Balance > line+60 {
		t.Errorf("the buyer owes %v on a line of %v", -a.Balance, line)
	}
	if units.Bytes(s.got) > seller.SampleBytes+seller.SoldBytes {
		t.Errorf("%d bytes came, %v are booked", s.got, seller.SampleBytes+seller.SoldBytes)
	}
}
