package pay

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"paygate/ledger"
	"paygate/proxy"
	"paygate/units"
)

// haste is one simulated transfer: how fast the clients are, how long payments take, and how often they fail.
type haste struct {
	rate  int64 // bytes a second
	lasts time.Duration
	takes takes
	fails float64 // of 1
	seed  uint64
	price units.Msat // per GiB
	knows bool       // the buyer's client shows how much it still lacks
}

// takes is how long payments take.
type takes struct {
	name string
	draw func(*rand.Rand) time.Duration
}

func always(d time.Duration) takes {
	return takes{d.String(), func(*rand.Rand) time.Duration { return d }}
}

// logNormal has a long tail: with a sigma of 0.8, one in a hundred takes more than six times as long as the median.
func logNormal(median time.Duration, sigma float64) takes {
	return takes{fmt.Sprintf("log-normal around %v", median), func(r *rand.Rand) time.Duration {
		return time.Duration(float64(median) * math.Exp(sigma*r.NormFloat64()))
	}}
}

// oftenQuick is slow one time in twenty.
func oftenQuick(quick, slow time.Duration) takes {
	return takes{fmt.Sprintf("%v or %v", quick, slow), func(r *rand.Rand) time.Duration {
		if r.IntN(20) == 0 {
			return slow
		}
		return quick
	}}
}

// report is what a transfer has come to.
type report struct {
	first, later, whole time.Duration // without a byte: before the first payment, and after it; in all
	payments, failed    int
	perGiB              float64
	atStake             units.Msat // at most
}

func (r report) String() string {
	return fmt.Sprintf("waited %v for the first payment and %v later, %.2f %% of %v; %d payments, %d failed, %.1f per GiB; at stake %v",
		r.first, r.later, 100*(r.first+r.later).Seconds()/r.whole.Seconds(), r.whole, r.payments, r.failed, r.perGiB, r.atStake)
}

// till watches what the buyer has at stake at every payment.
type till struct {
	t       *testing.T
	s       *sim
	rng     *rand.Rand
	h       haste
	flying  int
	paid    units.Msat
	last    units.Msat
	tries   int
	failed  int
	longest units.Msat
}

// pay takes as long as the next payment of the series does, and fails as often. It runs in the payment's goroutine, of
// which there is never more than one.
func (w *till) pay(p Payment) (Outcome, error) {
	w.flying++
	defer func() { w.flying-- }()
	w.tries++
	amt := w.s.bank.invoiced(p.Hash)
	w.check(amt)
	time.Sleep(w.h.takes.draw(w.rng))
	if w.rng.Float64() < w.h.fails {
		w.failed++
		return Outcome{State: Failed, Reason: "no route"}, nil
	}
	w.paid += amt
	w.last = amt
	return w.s.bank.settle(p.Hash)
}

// check holds a payment against the bounds of what may be at stake.
func (w *till) check(amt units.Msat) {
	if w.flying > 1 {
		w.t.Error("two payments to one seller at once")
	}
	rule, buy := w.s.sell.Rules[0], w.s.buy
	had := rule.Price.Charge(max(0, units.Bytes(w.s.done.Load())-rule.Sample))
	unused := w.paid - had
	proven := had > buy.Min
	bound := max(w.last, buy.Min)
	if proven {
		bound = max(bound, buy.Max)
	}
	if slack := rule.Price.Charge(block) + 1; unused > bound+slack {
		w.t.Errorf("%v are unused when %v more are paid, bound %v", unused, amt, bound)
	}
	if amt > buy.Max || w.last == 0 && amt > max(buy.Min, rule.Min)+1 {
		w.t.Errorf("a payment of %v after one of %v", amt, w.last)
	}
	if w.paid+amt > buy.PerTorrent {
		w.t.Errorf("%v are paid of %v", w.paid+amt, buy.PerTorrent)
	}
	w.longest = max(w.longest, unused+amt)
}

func (b *bank) invoiced(h units.PaymentHash) units.Msat {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.invoices[h].Msat
}

// stream moves blocks for as long as it takes, at the sim's rate. It returns how long no block could go: before the first
// payment and after it.
func (s *sim) stream(limit time.Duration) (first, later time.Duration) {
	unchokes, carry := false, int64(0)
	for end := time.Now().Add(limit); time.Now().Before(end) && s.got < s.size; time.Sleep(simTick) {
		if m, _, _ := s.sl.state(); (m != closed) != unchokes {
			unchokes = m != closed
			kind := proxy.ClientChoke
			if unchokes {
				kind = proxy.ClientUnchoke
			}
			s.sc.Notify(proxy.Event{Kind: kind})
			continue
		} else if m == opened {
			carry += s.rate * int64(simTick) / int64(time.Second)
		}
		n := carry / block * block
		before := s.got
		if n > 0 {
			s.move(n)
		}
		carry -= s.got - before
		if m, _, _ := s.sl.state(); m != opened || n > 0 && s.got == before {
			carry = 0
			if s.got <= int64(s.sell.Rules[0].Sample) {
				first += simTick
			} else {
				later += simTick
			}
		}
	}
	return first, later
}

// hasten runs one transfer, and holds every payment in it against the bounds.
func hasten(t *testing.T, h haste) (r report) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		sell.Rules[0].Price = units.Price{Msat: h.price, Per: units.GiB}
		buy.Rules[0].MaxPrice = sell.Rules[0].Price
		buy.PerTorrent, buy.PerDay, buy.Total = 1_000_000*units.Sat, 1_000_000*units.Sat, 1_000_000*units.Sat
		bank := newBank(0)
		s := newSim(t, bank, sell, buy)
		s.knows = h.knows
		s.rate, s.size = h.rate, int64(float64(h.rate)*h.lasts.Seconds())
		defer closeAll(s.sellerL, s.buyerL)
		w := &till{t: t, s: s, h: h, rng: rand.New(rand.NewPCG(h.seed, 1))}
		bank.outcome = w.pay
		began := time.Now()
		s.start()
		r.first, r.later = s.stream(time.Hour)
		r.whole = time.Since(began)
		time.Sleep(30 * time.Second) // until the last payment is over, however long it takes
		s.close()
		if s.got < s.size {
			t.Errorf("%d of %d bytes came", s.got, s.size)
		}
		seller, buyer := s.totals()
		if buyer.Paid != seller.Received || buyer.Pending != 0 {
			t.Errorf("paid %v, received %v, pending %v", buyer.Paid, seller.Received, buyer.Pending)
		}
		r.payments, r.failed, r.atStake = w.tries, w.failed, w.longest
		r.perGiB = float64(w.tries) * float64(units.GiB) / float64(s.size)
	})
	return r
}

func closeAll(books ...*ledger.Ledger) {
	for _, l := range books {
		l.Close()
	}
}

// TestPaymentsAreMadeAheadOfNeed has payments of which half take more than 0.5 s, some ten times as much, and one in twenty
// fails. Nearly none of them may be waited for, the first one included.
func TestPaymentsAreMadeAheadOfNeed(t *testing.T) {
	seeds, lasts := []uint64{1, 2, 3}, 5*time.Minute
	kinds := []takes{logNormal(500*time.Millisecond, 0.8), oftenQuick(500*time.Millisecond, 5*time.Second)}
	if testing.Short() {
		seeds, lasts, kinds = seeds[1:2], 2*time.Minute, kinds[:1]
	}
	for _, mbit := range []int64{10, 100, 1000} {
		for _, takes := range kinds {
			var waited, all time.Duration
			for _, seed := range seeds {
				t.Run(fmt.Sprintf("%d Mbit, %s, seed %d", mbit, takes.name, seed), func(t *testing.T) {
					h := haste{rate: mbit * 125_000, lasts: lasts, takes: takes, fails: 0.05, seed: seed, price: 1000 * units.Sat}
					r := hasten(t, h)
					t.Log(r)
					waited, all = waited+r.first+r.later, all+r.whole
				})
			}
			if part := waited.Seconds() / all.Seconds(); part >= 0.03 {
				t.Errorf("%d Mbit, %s: %.1f %% of the time was spent waiting for payments", mbit, takes.name, 100*part)
			}
		}
	}
}

// TestPaidIsHardlySlowerThanFree has payments that always take the same, and transfers that are short.
func TestPaidIsHardlySlowerThanFree(t *testing.T) {
	for _, c := range []struct {
		mbit  int64
		mib   units.Bytes
		takes time.Duration
		bound float64
	}{
		{100, 256, 70 * time.Millisecond, 1.02},
		{100, 256, 500 * time.Millisecond, 1.06},
		{100, 256, 2 * time.Second, 1.2},
		{1000, 1024, 70 * time.Millisecond, 1.05},
		{1000, 1024, 500 * time.Millisecond, 1.2},
		{1000, 1024, 2 * time.Second, 1.6},
	} {
		t.Run(fmt.Sprintf("%d Mbit, %v", c.mbit, c.takes), func(t *testing.T) {
			rate := c.mbit * 125_000
			lasts := time.Duration(float64(c.mib*units.MiB) / float64(rate) * float64(time.Second))
			r := hasten(t, haste{rate: rate, lasts: lasts, takes: always(c.takes), price: 1000 * units.Sat, knows: true})
			t.Log(r)
			if ratio := r.whole.Seconds() / lasts.Seconds(); ratio > c.bound {
				t.Errorf("it takes %.3f times as long as a free one, more than %.2f", ratio, c.bound)
			}
			if r.perGiB > 30 {
				t.Errorf("%d payments, %.1f per GiB", r.payments, r.perGiB)
			}
		})
	}
}

// TestCustomerIsServedAgainAtOnce shuts the gate by payments that fail, while strangers have all the places there are for
// those who have not paid: the next payment that succeeds must open it without a rest.
func TestCustomerIsServedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		bank := newBank(0)
		s := newSim(t, bank, sell, buy)
		s.size = 1 << 30
		var broken atomic.Bool
		bank.outcome = func(p Payment) (Outcome, error) {
			time.Sleep(70 * time.Millisecond)
			if broken.Load() {
				return Outcome{State: Failed, Reason: "no route"}, nil
			}
			return bank.settle(p.Hash)
		}
		s.start()
		s.stream(2 * time.Second)
		broken.Store(true)
		for i := byte(0); s.seller.slots.take(subnetOf(netip.AddrFrom4([4]byte{192, 0, i, 1}))); i++ {
		}
		s.stream(30 * time.Second)
		if s.sl.shutCount() == 0 {
			t.Error("the gate never shut")
		}
		broken.Store(false)
		before := s.got
		s.stream(20 * time.Second)
		s.close()
		if s.got-before < 5*s.rate { // of which the buyer's own pause after many failures takes some
			t.Errorf("only %d bytes came in 20 s", s.got-before)
		}
		closeAll(s.sellerL, s.buyerL)
	})
}

func (l *simLink) shutCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shuts
}

// TestWaitsAreMeasured holds the seller's own count of waits against what the sim has seen.
func TestWaitsAreMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(3*time.Second), sell, buy)
		s.size = 128 << 20
		s.start()
		first, later := s.stream(time.Minute)
		got := s.seller.Waits()
		if talk := s.sc.shown.p.Load(); talk == nil || talk.Waits != got {
			t.Errorf("the connection shows %+v of %v", talk, got)
		}
		s.close()
		closeAll(s.sellerL, s.buyerL)
		if near := func(a, b time.Duration) bool { return (a - b).Abs() <= 100*time.Millisecond }; later == 0 || !near(got.First, first) || !near(got.Later, later) {
			t.Errorf("measured %v and %v, waited %v and %v", got.First, got.Later, first, later)
		}
	})
}
