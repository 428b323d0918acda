package pay

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"paygate/ledger"
	"paygate/units"
)

// openPayments gives a desk a ledger with payments that were sent, and that nobody of this process makes. The ledger's
// clock is ahead or behind by off.
func openPayments(t *testing.T, n int, off time.Duration) (*Desk, *bank) {
	t.Helper()
	dir, b := t.TempDir(), newBank(0)
	l, err := ledger.Open(t.Context(), filepath.Join(dir, "ledger"), ledger.Options{Now: func() time.Time { return time.Now().Add(off) }})
	if err != nil {
		t.Fatal(err)
	}
	caps := ledger.Caps{Torrent: units.MaxMsat, Day: units.MaxMsat, Total: units.MaxMsat}
	for i := range n {
		in := ledger.Intent{
			Hash: units.PaymentHash{1, byte(i)}, Seller: units.PeerKey{1, byte(i)}, InfoHash: units.InfoHash{7}, Price: thiefTerms.Price,
			Buys: block, Msat: thiefTerms.Min, For: "bytes", Request: "lnsim", Expires: time.Now().Add(24 * time.Hour),
		}
		if err := l.Reserve(t.Context(), in, caps); err != nil {
			t.Fatal(err)
		}
		if err := l.Sent(t.Context(), in.Hash); err != nil {
			t.Fatal(err)
		}
	}
	d := newDesk(t, Config{Network: "regtest"}, l, b.node(2), filepath.Join(dir, "key"))
	always := time.Unix(0, 0)
	d.node.since.Store(&always)
	return d, b
}

// resolving runs the rounds that ask about open payments for some time, and returns how many are open then.
func resolving(t *testing.T, d *Desk, lasts time.Duration) int {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), lasts)
	defer stop()
	d.resolvePayments(ctx)
	open, err := d.ledger.OpenPurchases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

func TestStuckPaymentsDoNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stuck = 20
		d, b := openPayments(t, stuck+1, 0)
		defer d.ledger.Close()
		asked, most := 0, 0
		b.track = func(ctx context.Context, h units.PaymentHash) (Outcome, error) {
			if h[1] == stuck {
				return Outcome{State: Succeeded}, nil
			}
			b.mu.Lock()
			asked++
			most = max(most, asked)
			b.mu.Unlock()
			<-ctx.Done()
			b.mu.Lock()
			asked--
			b.mu.Unlock()
			return Outcome{}, ctx.Err()
		}
		if open := resolving(t, d, 3*trackWait); open != stuck || most != resolveMost {
			t.Errorf("%d payments are open, %d were asked about at once", open, most)
		}
	})
}

// TestPaymentUnknownToTheNodeStaysOpenForAWhile has a node that knows of no payment, and a clock that cannot be trusted.
func TestPaymentUnknownToTheNodeStaysOpenForAWhile(t *testing.T) {
	for name, off := range map[string]time.Duration{"right clock": 0, "clock jumped ahead": -time.Hour, "clock jumped back": time.Hour} {
		for lasts, open := range map[time.Duration]int{orphaned - time.Second: 1, orphaned + 2*resolveEvery: 0} {
			t.Run(name+" "+lasts.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d, _ := openPayments(t, 1, off)
					defer d.ledger.Close()
					if got := resolving(t, d, lasts); got != open {
						t.Errorf("%d payments are open, want %d", got, open)
					}
				})
			})
		}
	}
}

// TestPaymentThatChangesWhileTheNodeIsAskedIsNotGivenUp has the node answer that it knows nothing just as the payment
// is on its way.
func TestPaymentThatChangesWhileTheNodeIsAskedIsNotGivenUp(t *testing.T) {
	for name, change := range map[string]func(*Desk, units.PaymentHash) error{
		"it is being made": func(d *Desk, h units.PaymentHash) error {
			d.live.start(h)
			return nil
		},
		"it was tried": func(d *Desk, h units.PaymentHash) error {
			return d.ledger.Unknown(context.Background(), h, "the connection broke")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, b := openPayments(t, 1, 0)
				defer d.ledger.Close()
				first := time.Now()
				b.track = func(_ context.Context, h units.PaymentHash) (Outcome, error) {
					if since := time.Since(first); since >= orphaned {
						if err := change(d, h); err != nil {
							t.Error(err)
						}
					}
					return Outcome{State: NeverSent}, nil
				}
				if open := resolving(t, d, doubtful-resolveEvery); open != 1 {
					t.Error("the payment counts as failed")
				}
			})
		})
	}
}

// TestPaymentOfThisProcessIsDoubtedForLonger makes a payment while the rounds are under way, whose answer is lost.
func TestPaymentOfThisProcessIsDoubtedForLonger(t *testing.T) {
	for lasts, open := range map[time.Duration]int{doubtful - time.Second: 1, doubtful + 3*resolveEvery: 0} {
		t.Run(lasts.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, _ := openPayments(t, 0, 0)
				defer d.ledger.Close()
				go func() {
					time.Sleep(time.Second)
					in := ledger.Intent{
						Hash: units.PaymentHash{9}, Seller: units.PeerKey{1}, InfoHash: units.InfoHash{7}, Price: thiefTerms.Price,
						Buys: block, Msat: thiefTerms.Min, For: "bytes", Request: "lnsim", Expires: time.Now().Add(24 * time.Hour),
					}
					if err := d.ledger.Reserve(t.Context(), in, ledger.Caps{Torrent: units.MaxMsat, Day: units.MaxMsat, Total: units.MaxMsat}); err != nil {
						t.Error(err)
					}
				}()
				if got := resolving(t, d, lasts); got != open {
					t.Errorf("%d payments are open, want %d", got, open)
				}
			})
		})
	}
}

// TestNoMorePaymentsAreMadeAtOnceThanANodeCanMake asks for many at the same time.
func TestNoMorePaymentsAreMadeAtOnceThanANodeCanMake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		bank := newBank(0)
		s := newSim(t, bank, sell, buy)
		defer closeAll(s.sellerL, s.buyerL)
		var flying, most, made atomic.Int64
		bank.outcome = func(p Payment) (Outcome, error) {
			n := flying.Add(1)
			defer flying.Add(-1)
			most.Store(max(most.Load(), n))
			time.Sleep(time.Second)
			made.Add(1)
			return bank.settle(p.Hash)
		}
		ctx, stop := context.WithCancel(t.Context())
		s.wg.Go(func() { _ = s.buyer.Run(ctx) })
		const jobs = 3 * paysAtOnce
		for i := range byte(jobs) {
			inv, err := bank.node(1).Issue(ctx, Order{Msat: units.Sat})
			if err != nil {
				t.Fatal(err)
			}
			in := ledger.Intent{
				Hash: inv.Hash, Seller: units.PeerKey{i + 1}, InfoHash: s.infoHash, Price: sell.Rules[0].Price, Buys: units.MiB,
				Msat: units.Sat, For: "bytes", Request: inv.Request, Expires: inv.Expires,
			}
			if err := s.buyerL.Reserve(ctx, in, s.buyer.rules().caps); err != nil {
				t.Fatal(err)
			}
			s.wg.Go(func() { s.buyer.jobs <- job{intent: in, done: func(Outcome) {}} })
		}
		for made.Load() < jobs {
			time.Sleep(time.Second)
		}
		stop()
		s.wg.Wait()
		if most.Load() != paysAtOnce {
			t.Errorf("%d payments at once, want %d", most.Load(), paysAtOnce)
		}
	})
}
