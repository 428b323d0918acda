package pay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"paygate/config"
	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

func TestOutageOfTheNodeOnlyDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(70*time.Millisecond), sell, buy)
		s.size = 256 << 20
		go func() {
			time.Sleep(2 * time.Second)
			s.bank.set(func() { s.bank.down = true })
			time.Sleep(30 * time.Second)
			s.bank.set(func() { s.bank.down = false })
		}()
		paidTransfer(t, s)
		if s.sl.shuts == 0 {
			t.Error("the gate never shut; the outage was not felt")
		}
	})
}

func TestBuyerStopsWithinOneSmallestPurchaseOfItsCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		buy.PerTorrent = 45 * units.Sat
		s := newSim(t, newBank(70*time.Millisecond), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.start()
		s.transfer(time.Minute)
		s.close()
		_, b := s.totals()
		if spent := b.Paid + b.Fees; spent > buy.PerTorrent || spent <= buy.PerTorrent-buy.Min {
			t.Errorf("spent %v under a cap of %v", spent, buy.PerTorrent)
		}
		if s.got >= s.size {
			t.Error("the cap did not stop the transfer")
		}
	})
}

func TestCrashLosesNoPaymentAndNoCredit(t *testing.T) {
	for _, side := range []string{"seller", "buyer"} {
		t.Run(side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sell, buy := simRules()
				s := newSim(t, newBank(70*time.Millisecond), sell, buy)
				s.start()
				s.transfer(2 * time.Second)
				if side == "seller" {
					s.crash(&s.sellerL, s.openSeller)
				} else {
					s.crash(&s.buyerL, s.openBuyer)
				}
				s.transfer(5 * time.Minute)
				time.Sleep(3 * time.Second)
				s.close()
				defer s.sellerL.Close()
				defer s.buyerL.Close()
				if s.got != s.size {
					t.Fatalf("only %d of %d bytes came", s.got, s.size)
				}
				sold, bought := s.totals()
				if bought.Paid != sold.Received || sold.Received != s.bank.sent {
					t.Errorf("paid %v, received %v, moved %v", bought.Paid, sold.Received, s.bank.sent)
				}
				full := sell.Rules[0].Price.Charge(units.Bytes(s.size) - sell.Rules[0].Sample)
				lease := 60 * units.Sat // no purchase of this transfer is larger
				if sold.Earned > full || sold.Earned < full-lease {
					t.Errorf("earned %v for what costs %v", sold.Earned, full)
				}
				// The sides have counted from different bytes on, so that rounding may come out differently.
				if d := sold.CreditOwed - bought.CreditHeld; d < -1 || d > 1 {
					t.Errorf("the seller owes %v of credit, the buyer holds %v", sold.CreditOwed, bought.CreditHeld)
				}
			})
		})
	}
}

// legacyPeer runs a gated session with a peer that knows nothing of us.
func legacyPeer(t *testing.T, policy string, f func(s *sim)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		sell.Rules[0].Legacy = policy
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.size = 8 << 20
		ctx, cancel := context.WithCancel(t.Context())
		s.wg.Go(func() { _ = s.seller.Run(ctx) })
		s.sl = &simLink{s: s, remote: newPeerAddr, other: func() *conversation { return nil }}
		s.sc = s.seller.open(s.sl)
		s.bc = &conversation{meter: meter{nudge: func() {}}}
		s.wg.Go(func() { s.sc.Run(ctx) })
		s.sc.Notify(proxy.Event{Kind: proxy.ClientHas, Complete: true})
		s.sc.Notify(proxy.Event{Kind: proxy.Ready})
		s.sc.Notify(proxy.Event{Kind: proxy.RemoteHello, Dialects: []bool{false}, Dicts: [][]byte{nil}})
		s.sc.Notify(proxy.Event{Kind: proxy.RemoteInterested})
		f(s)
		cancel()
		s.wg.Wait()
	})
}

func TestLegacyPeers(t *testing.T) {
	t.Run("serve", func(t *testing.T) {
		legacyPeer(t, "serve", func(s *sim) {
			s.transfer(time.Minute)
			if _, released, _ := s.sl.state(); !released || s.got != s.size {
				t.Errorf("released %v, %d of %d bytes", released, s.got, s.size)
			}
		})
	})
	t.Run("sample", func(t *testing.T) {
		legacyPeer(t, "sample", func(s *sim) {
			s.transfer(3 * time.Minute)
			if want := int64(s.sell.Rules[0].Sample); s.got != want || s.sl.shuts != 1 {
				t.Errorf("%d bytes instead of %d; shut %d times", s.got, want, s.sl.shuts)
			}
		})
	})
	t.Run("choke", func(t *testing.T) {
		legacyPeer(t, "choke", func(s *sim) {
			s.transfer(3 * time.Minute)
			if m, _, end := s.sl.state(); s.got != 0 || m != closed || end != "" {
				t.Errorf("%d bytes, mode %v, closed %q", s.got, m, end)
			}
		})
	})
	t.Run("throttle", func(t *testing.T) {
		legacyPeer(t, "throttle", func(s *sim) {
			s.transfer(65 * time.Second)
			want := 60 * int64(s.sell.Rules[0].Throttle)
			if s.got < want*8/10 || s.got > want*12/10 || s.sl.shuts != 0 {
				t.Errorf("%d bytes in a minute instead of %d; shut %d times", s.got, want, s.sl.shuts)
			}
		})
	})
}

// TestTamperedMessagesMoveNoMoney puts a man between the two paygates who rewrites what they say.
func TestTamperedMessagesMoveNoMoney(t *testing.T) {
	change := func(edit func(wire.Message) wire.Message) func([]byte) []byte {
		return func(b []byte) []byte {
			m, err := wire.ParseMessage(b)
			if err != nil {
				return b
			}
			out, err := wire.EncodeMessage(edit(m))
			if err != nil {
				t.Errorf("encode: %v", err)
			}
			return out
		}
	}
	for name, edit := range map[string]func(wire.Message) wire.Message{
		"hello of another seller": func(m wire.Message) wire.Message {
			if h, ok := m.(wire.Hello); ok {
				h.PK[0] ^= 1
				return h
			}
			return m
		},
		"another node": func(m wire.Message) wire.Message {
			if h, ok := m.(wire.Hello); ok {
				h.Node = units.NodeKey{2, 99}
				return h
			}
			return m
		},
		"cheaper terms": func(m wire.Message) wire.Message {
			if x, ok := m.(wire.Terms); ok {
				x.Price.Msat /= 2
				return x
			}
			return m
		},
		"fewer bytes": func(m wire.Message) wire.Message {
			if x, ok := m.(wire.Invoice); ok {
				x.Buys /= 2
				return x
			}
			return m
		},
		"another invoice": func(m wire.Message) wire.Message {
			if x, ok := m.(wire.Invoice); ok {
				x.Request = "lnsim00"
				return x
			}
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sell, buy := simRules()
				s := newSim(t, newBank(0), sell, buy)
				defer s.sellerL.Close()
				defer s.buyerL.Close()
				s.tamper = change(edit)
				s.start()
				s.transfer(time.Minute)
				s.close()
				if s.bank.pays != 0 {
					t.Errorf("%d payments were made", s.bank.pays)
				}
			})
		})
	}
}

func TestSettlementsAreFoundWithoutTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		bank := newBank(70 * time.Millisecond)
		bank.deaf = true
		paidTransfer(t, newSim(t, bank, sell, buy))
	})
}

func TestUnusedInvoicesAreCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.tamper = func(b []byte) []byte {
			if m, err := wire.ParseMessage(b); err == nil && m.Type() == "invoice" {
				return nil // the buyer never sees it
			}
			return b
		}
		s.start()
		s.transfer(30 * time.Minute)
		s.close()
		if s.bank.cancelled == 0 || len(s.bank.invoices) > 1 {
			t.Errorf("%d invoices were cancelled, %d are left", s.bank.cancelled, len(s.bank.invoices))
		}
	})
}

func TestFailedPaymentsAreTriedWithAFreshInvoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		bank := newBank(70 * time.Millisecond)
		failures := 5
		bank.outcome = func(p Payment) (Outcome, error) {
			if failures > 0 {
				failures--
				return Outcome{State: Failed, Reason: "no-route"}, nil
			}
			return bank.settle(p.Hash)
		}
		s := newSim(t, bank, sell, buy)
		began := time.Now()
		paidTransfer(t, s)
		if took := time.Since(began); took > 3*time.Minute {
			t.Errorf("the download took %v with 5 failed payments", took)
		}
		if bank.cancelled == 0 {
			t.Error("no dead invoice was cancelled")
		}
	})
}

// TestWhatBuyersGetWhileTheNodeIsDown takes the node away for a minute, in which nobody can pay.
func TestWhatBuyersGetWhileTheNodeIsDown(t *testing.T) {
	const grace = 16 * units.MiB
	for _, tc := range []struct {
		do   string
		most units.Bytes
	}{{"hold", 0}, {"serve", grace}} {
		t.Run(tc.do, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sell, buy := simRules()
				s := newSim(t, newBank(70*time.Millisecond), sell, buy)
				s.size = 1 << 30
				defer s.sellerL.Close()
				defer s.buyerL.Close()
				s.start()
				s.transfer(time.Second)
				sell.OnLightningDown, sell.GraceBytes = tc.do, grace
				s.seller.SetRules(sell, config.Buy{}) // for the next outage
				s.bank.set(func() { s.bank.down = true })
				s.transfer(time.Minute)
				seller, _ := s.totals()
				paid := sell.Rules[0].Price.Buys(seller.Received) + sell.Rules[0].Sample
				given := units.Bytes(s.got) - paid
				if given > tc.most || given < tc.most-2*block {
					t.Errorf("%v were given away, want %v", given, tc.most)
				}
				s.bank.set(func() { s.bank.down = false })
				before := s.got
				back := time.Now()
				for s.got == before && time.Since(back) < 10*time.Minute {
					s.transfer(time.Second)
				}
				t.Logf("goes on %v after the node is back", time.Since(back))
				if s.got == before {
					t.Error("nothing goes on when the node is back")
				}
				s.close()
			})
		})
	}
}
