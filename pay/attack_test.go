package pay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"paygate/ledger"
	"paygate/proxy/wire"
	"paygate/units"
)

// attacked runs one transfer of at most a minute in which the wire is tampered with, and checks both books.
func attacked(t *testing.T, bank *bank, tamper func(*sim, []byte) []byte, check func(*sim, ledger.Totals, ledger.Totals)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, bank, sell, buy)
		bank.changed = make(chan struct{}) // made inside the bubble
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.tamper = func(b []byte) []byte { return tamper(s, b) }
		s.start()
		s.transfer(time.Minute)
		s.close()
		seller, buyer := s.totals()
		check(s, seller, buyer)
	})
}

func encode(t *testing.T, m wire.Message) []byte {
	t.Helper()
	b, err := wire.EncodeMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func nothingPaid(t *testing.T) func(*sim, ledger.Totals, ledger.Totals) {
	return func(s *sim, seller, buyer ledger.Totals) {
		if s.bank.pays != 0 || buyer.Paid != 0 || buyer.Pending != 0 || seller.Received != 0 {
			t.Errorf("%d payments, %v paid, %v pending", s.bank.pays, buyer.Paid, buyer.Pending)
		}
	}
}

// edited lets a function see each message of one type.
func edited(t *testing.T, kind string, edit func(wire.Message) wire.Message) func(*sim, []byte) []byte {
	return func(_ *sim, b []byte) []byte {
		m, err := wire.ParseMessage(b)
		if err != nil || m.Type() != kind {
			return b
		}
		if m = edit(m); m == nil {
			return nil
		}
		return encode(t, m)
	}
}

func TestInvoiceThatChangesAfterTheBargainIsNotPaid(t *testing.T) {
	for name, spoil := range map[string]func(*Request){
		"amount":      func(r *Request) { r.Msat += 1000 },
		"network":     func(r *Request) { r.Network = "mainnet" },
		"expired":     func(r *Request) { r.Expires = time.Now().Add(-time.Minute) },
		"payee":       func(r *Request) { r.Payee = units.NodeKey{2, 77} },
		"binding":     func(r *Request) { r.Binding[0] ^= 1 },
		"locked long": func(r *Request) { r.FinalCLTV = 2016 },
	} {
		t.Run(name, func(t *testing.T) {
			bank := newBank(0)
			bank.spoil = spoil
			attacked(t, bank, func(_ *sim, b []byte) []byte { return b }, nothingPaid(t))
		})
	}
}

func TestReplayedInvoiceIsPaidOnce(t *testing.T) {
	var first *wire.Invoice
	attacked(t, newBank(0), edited(t, "invoice", func(m wire.Message) wire.Message {
		inv := m.(wire.Invoice)
		if first == nil {
			first = &inv
		}
		return *first
	}), func(s *sim, seller, buyer ledger.Totals) {
		if buyer.PaymentsOut != 1 || buyer.Paid != seller.Received || s.bank.pays != 1 {
			t.Errorf("%d payments of %v for one invoice", s.bank.pays, buyer.Paid)
		}
	})
}

func TestFloodOfInvoicesEndsTheTalk(t *testing.T) {
	attacked(t, newBank(time.Hour), func(s *sim, b []byte) []byte {
		if m, err := wire.ParseMessage(b); err == nil && m.Type() == "invoice" {
			for range 1000 {
				s.bc.Message(0, b)
			}
		}
		return b
	}, func(s *sim, _, buyer ledger.Totals) {
		if s.bank.pays > 1 {
			t.Errorf("a flood of one invoice made %d payments", s.bank.pays)
		}
		if !s.bc.mute {
			t.Error("the flood did not end the talk about money")
		}
	})
}

func TestTermsThatRiseAreNotPaid(t *testing.T) {
	raised := false
	attacked(t, newBank(0), func(s *sim, b []byte) []byte {
		m, err := wire.ParseMessage(b)
		if err == nil && m.Type() == "state" && !raised {
			raised = true
			dear := wire.Terms{Price: units.Price{Msat: 2001 * units.Sat, Per: units.GiB}, Min: 10 * units.Sat, Max: 1000 * units.Sat, TTL: 60}
			s.bc.Message(0, encode(t, dear))
		}
		return b
	}, nothingPaid(t))
}

func TestUnprovenPreimageCreditsNothing(t *testing.T) {
	attacked(t, newBank(0), func(s *sim, b []byte) []byte {
		m, err := wire.ParseMessage(b)
		if err == nil && m.Type() == "invoice" {
			s.bank.mu.Lock()
			defer s.bank.mu.Unlock()
			for _, inv := range s.bank.invoices { // the right preimage, stolen; and one made up
				s.sc.Message(0, encode(t, wire.Paid{Pre: inv.preimage}))
			}
			s.sc.Message(0, encode(t, wire.Paid{Pre: units.Preimage{1, 2, 3}}))
			return nil // the buyer never sees the invoice, so nobody pays
		}
		return b
	}, func(s *sim, seller, _ ledger.Totals) {
		if seller.Received != 0 || s.got > int64(s.sell.Rules[0].Sample) {
			t.Errorf("received %v, served %d bytes", seller.Received, s.got)
		}
	})
}

func TestReplayedPaidCreditsOnce(t *testing.T) {
	attacked(t, newBank(0), func(s *sim, b []byte) []byte {
		if m, err := wire.ParseMessage(b); err == nil && m.Type() == "state" {
			for _, inv := range s.bank.invoices {
				if inv.paid {
					s.sc.Message(0, encode(t, wire.Paid{Pre: inv.preimage}))
				}
			}
		}
		return b
	}, func(s *sim, seller, buyer ledger.Totals) {
		if seller.Received != buyer.Paid || seller.Received != s.bank.sent {
			t.Errorf("received %v, paid %v, moved %v", seller.Received, buyer.Paid, s.bank.sent)
		}
	})
}

// TestTwoConnectionsShareOneCredit lets one buyer fetch two torrents at once from one account.
func TestTwoConnectionsShareOneCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		sell.Rules[0].Sample = 0
		s := newSim(t, newBank(70*time.Millisecond), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.start()
		s.transfer(time.Second) // some credit is there
		s.bank.set(func() { s.bank.down = true })
		ctx, cancel := context.WithCancel(context.Background())
		twin := &sim{
			t: t, bank: s.bank, seller: s.seller, buyer: s.buyer, sellerL: s.sellerL, buyerL: s.buyerL,
			rate: s.rate, size: s.size, infoHash: units.InfoHash{8}, sell: sell, buy: buy,
		}
		twin.connect(ctx)
		done := make(chan struct{})
		go func() { defer close(done); twin.transfer(20 * time.Second) }()
		s.transfer(20 * time.Second)
		<-done
		cancel()
		twin.wg.Wait()
		s.close()
		seller, _ := s.totals()
		if seller.Earned > seller.Received {
			t.Errorf("bytes for %v were served against %v", seller.Earned, seller.Received)
		}
		all := units.Bytes(s.got + twin.got)
		if paid := sell.Rules[0].Price.Buys(seller.Received); all > paid || all < paid-2*block {
			t.Errorf("both together got %d bytes, %d were paid for", all, paid)
		}
	})
}

func TestSecondConnectionOnATorrentReplacesTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.start()
		s.transfer(time.Second)
		ctx, cancel := context.WithCancel(context.Background())
		twin := &sim{
			t: t, bank: s.bank, seller: s.seller, buyer: s.buyer, rate: s.rate, size: s.size,
			infoHash: s.infoHash, sell: sell, buy: buy,
		}
		twin.connect(ctx)
		twin.transfer(2 * time.Second)
		if _, _, why := s.sl.state(); why == "" {
			t.Error("the first connection goes on")
		}
		if twin.got == 0 {
			t.Error("the second connection does not work")
		}
		cancel()
		twin.wg.Wait()
		s.close()
	})
}

func TestSettlementAfterTheConnectionDiedIsCredited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(5*time.Second), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		ctx, cancel := context.WithCancel(context.Background())
		s.stop = cancel
		for _, d := range []*Desk{s.seller, s.buyer} {
			s.wg.Go(func() { _ = d.Run(ctx) })
		}
		session, hangUp := context.WithCancel(ctx)
		s.connect(session)
		s.transfer(2 * time.Second) // a payment is under way
		hangUp()
		time.Sleep(time.Minute)
		s.bank.mu.Lock()
		sent := s.bank.sent
		s.bank.mu.Unlock()
		if sent == 0 {
			t.Fatal("nothing was paid")
		}
		seller, buyer := s.totals()
		if seller.CreditOwed != sent || buyer.CreditHeld != sent {
			t.Errorf("of %v that moved the seller owes %v and the buyer holds %v", sent, seller.CreditOwed, buyer.CreditHeld)
		}
		s.close()
	})
}

func TestFeeNeverExceedsItsLimit(t *testing.T) {
	bank := newBank(0)
	var worst units.Msat
	bank.outcome = func(p Payment) (Outcome, error) {
		worst = max(worst, p.FeeLimit)
		return Outcome{State: Failed, Reason: "no-route"}, nil
	}
	attacked(t, bank, func(_ *sim, b []byte) []byte { return b }, func(s *sim, _, buyer ledger.Totals) {
		if bank.pays == 0 || worst == 0 || worst > s.buy.FeeMax {
			t.Errorf("%d payments with a fee limit of up to %v", bank.pays, worst)
		}
		if buyer.Pending != 0 || buyer.Fees != 0 {
			t.Errorf("%v are reserved after failures, %v spent on fees", buyer.Pending, buyer.Fees)
		}
	})
}

func TestUnknownOutcomeStaysReserved(t *testing.T) {
	bank := newBank(0)
	bank.outcome = func(Payment) (Outcome, error) { return Outcome{}, errNodeDown }
	attacked(t, bank, func(_ *sim, b []byte) []byte { return b }, func(s *sim, _, buyer ledger.Totals) {
		if buyer.Unknown == 0 || buyer.Pending < 10*units.Sat || bank.pays > 2 {
			t.Errorf("%d unknown payments hold %v; %d were made", buyer.Unknown, buyer.Pending, bank.pays)
		}
	})
}
