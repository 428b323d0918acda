package contract

import (
	"context"
	"errors"
	"time"

	"paygate/lnclient"
	"paygate/units"
)

// fails requires that lnd says FAILED.
func (s *scene) fails(c *lnclient.Client, inv lnclient.Invoice, reason string) {
	s.Helper()
	out, err := c.Pay(s.ctx(), payment(inv))
	s.must(err)
	if out.State != lnclient.Failed || out.Reason != reason {
		s.Fatalf("payment %s (%s), want failed (%s)", out.State, out.Reason, reason)
	}
}

func paymentSucceeds(s *scene) {
	seller, buyer := s.client(Seller), s.client(Buyer)
	for _, msat := range []units.Msat{1000, 10_000, 353_999, 354_001, 1_000_000} {
		inv := s.ask(seller, msat)
		if out := s.paid(buyer, inv); out.Fee != 0 {
			s.Errorf("%s over one channel cost %s", msat, out.Fee)
		}
		if st := s.status(seller, inv.Hash, lnclient.Settled); st.Msat != msat {
			s.Errorf("%s arrived, want %s", st.Msat, msat)
		}
	}
}

func paymentOverHop(s *scene) {
	far, buyer := s.client(Far), s.client(Buyer)
	want := s.env.ForwardFee(20_000)
	dear := s.ask(far, 20_000)
	p := payment(dear)
	p.FeeLimit = want - 1
	out, err := buyer.Pay(s.ctx(), p)
	s.must(err)
	if out.State != lnclient.Failed || out.Reason != lnclient.ReasonNoRoute {
		s.Errorf("a fee above its limit: %s (%s)", out.State, out.Reason)
	}
	inv := s.ask(far, 20_000)
	p = payment(inv)
	p.FeeLimit = want
	out, err = buyer.Pay(s.ctx(), p)
	s.must(err)
	s.succeeded(out, inv.Hash)
	if out.Fee != want {
		s.Errorf("the hop took %s, want %s", out.Fee, want)
	}
}

func paymentTwice(s *scene) {
	seller, buyer := s.client(Seller), s.client(Buyer)
	inv := s.ask(seller, 2000)
	first := s.paid(buyer, inv)
	if again := s.paid(buyer, inv); again != first {
		s.Errorf("the second time gave %+v", again)
	}
	tracked, err := buyer.Track(s.ctx(), inv.Hash)
	s.must(err)
	if tracked != first {
		s.Errorf("tracking gave %+v", tracked)
	}
	s.status(seller, inv.Hash, lnclient.Settled)
}

func paymentFails(s *scene) {
	seller, buyer := s.client(Seller), s.client(Buyer)
	s.fails(buyer, s.ask(seller, 999), lnclient.ReasonNoRoute)
	s.fails(buyer, s.ask(s.client(Stranger), 5000), lnclient.ReasonNoRoute)
	s.fails(buyer, s.ask(seller, s.env.TooMuch), lnclient.ReasonInsufficient)
	s.fails(s.client(Stranger), s.ask(seller, 5000), lnclient.ReasonInsufficient)
}

func paymentRefused(s *scene) {
	seller, buyer := s.client(Seller), s.client(Buyer)
	short, err := seller.AddInvoice(s.ctx(), lnclient.NewInvoice{Msat: 5000, Expiry: time.Second})
	s.must(err)
	own := s.ask(buyer, 5000)
	_, err = buyer.Pay(s.ctx(), payment(own))
	s.refused(err, lnclient.RefusedSelf)
	wrong := payment(s.ask(seller, 5000))
	wrong.Hash[0]++
	_, err = buyer.Pay(s.ctx(), wrong)
	s.refused(err, lnclient.RefusedRequest)
	garbage := payment(s.ask(seller, 5000))
	garbage.Request = garbage.Request[:len(garbage.Request)-1]
	_, err = buyer.Pay(s.ctx(), garbage)
	s.refused(err, lnclient.RefusedRequest)
	locked := payment(s.ask(seller, 5000))
	locked.CLTVLimit = 10
	_, err = buyer.Pay(s.ctx(), locked)
	s.refused(err, lnclient.RefusedRequest)
	ended, cancel := context.WithCancel(s.ctx())
	cancel()
	_, err = buyer.Pay(ended, payment(s.ask(seller, 5000)))
	s.refused(err, lnclient.RefusedNotAsked)
	if !errors.Is(err, context.Canceled) {
		s.Errorf("got %v, want the context's error in it", err)
	}
	time.Sleep(time.Until(short.Expires.Add(1100 * time.Millisecond))) // lnd counts whole seconds
	_, err = buyer.Pay(s.ctx(), payment(short))
	s.refused(err, lnclient.RefusedExpired)
	for _, inv := range []lnclient.Invoice{short, own} {
		if out, err := buyer.Track(s.ctx(), inv.Hash); err != nil || out.State != lnclient.NeverSent {
			s.Errorf("tracking what was refused: %s, %v", out.State, err)
		}
	}
}

func paymentAgain(s *scene) {
	seller, buyer := s.client(Seller), s.client(Buyer)
	inv := s.ask(seller, 999)
	s.fails(buyer, inv, lnclient.ReasonNoRoute)
	s.fails(buyer, inv, lnclient.ReasonNoRoute)
	out, err := buyer.Track(s.ctx(), inv.Hash)
	s.must(err)
	if out.State != lnclient.Failed || out.Reason != lnclient.ReasonNoRoute {
		s.Errorf("tracking gave %s (%s)", out.State, out.Reason)
	}
	s.status(seller, inv.Hash, lnclient.Open)
}

// held starts a payment that stays in flight and returns once lnd has it for certain.
func (s *scene) held(buyer *lnclient.Client) (units.PaymentHash, string, func(bool)) {
	s.Helper()
	request, release := s.env.Hold(s.T, 7000)
	d, err := lnclient.Decode(request, s.env.Network)
	s.must(err)
	ctx, cancel := context.WithTimeout(s.ctx(), 2*time.Second)
	defer cancel()
	out, err := buyer.Pay(ctx, payment(lnclient.Invoice{Request: request, Hash: d.Hash}))
	s.unknown(out, err)
	if !errors.Is(err, context.DeadlineExceeded) {
		s.Fatalf("got %v, want the deadline in it", err)
	}
	return d.Hash, request, release
}

func heldSettles(s *scene) {
	buyer := s.client(Buyer)
	hash, request, release := s.held(buyer)
	again := make(chan error, 1)
	go func() {
		out, err := buyer.Pay(s.ctx(), payment(lnclient.Invoice{Request: request, Hash: hash}))
		if err == nil && out.State != lnclient.Succeeded {
			err = errors.New("second payment " + out.State.String())
		}
		again <- err
	}()
	release(true)
	out, err := buyer.Track(s.ctx(), hash)
	s.must(err)
	s.succeeded(out, hash)
	s.must(<-again)
}

func heldReturns(s *scene) {
	buyer := s.client(Buyer)
	hash, _, release := s.held(buyer)
	release(false)
	out, err := buyer.Track(s.ctx(), hash)
	s.must(err)
	if out.State != lnclient.Failed || out.Reason != lnclient.ReasonIncorrect {
		s.Errorf("payment %s (%s)", out.State, out.Reason)
	}
}

func heldOverRestart(s *scene) {
	buyer := s.client(Buyer)
	hash, _, release := s.held(buyer)
	tracked := make(chan lnclient.Outcome, 1)
	failed := make(chan error, 1)
	go func() {
		out, err := buyer.Track(s.ctx(), hash)
		tracked <- out
		failed <- err
	}()
	s.env.Stop(s.T, Buyer)
	s.env.Start(s.T, Buyer)
	release(true)
	out := <-tracked
	s.must(<-failed)
	s.succeeded(out, hash)
}

func trackUnknown(s *scene) {
	out, err := s.client(Buyer).Track(s.ctx(), units.PaymentHash{4, 5, 6})
	s.must(err)
	if out.State != lnclient.NeverSent {
		s.Errorf("got %s", out.State)
	}
}

func downRefuses(s *scene) {
	seller, buyer := s.client(Seller), s.client(Buyer)
	inv := s.ask(seller, 3000)
	s.env.Stop(s.T, Buyer)
	_, err := buyer.Pay(s.ctx(), payment(inv))
	s.refused(err, lnclient.RefusedNotAsked)
	s.problem(err, lnclient.Unreachable)
	s.env.Start(s.T, Buyer)
	s.status(seller, inv.Hash, lnclient.Open)
}

func downAndBack(s *scene) {
	seller, buyer := s.client(Seller), s.client(Buyer)
	inv := s.ask(seller, 3000)
	s.env.Stop(s.T, Seller)
	_, err := seller.LookupInvoice(s.ctx(), inv.Hash)
	s.problem(err, lnclient.Unreachable)
	s.env.Start(s.T, Seller)
	s.back(seller)
	s.status(seller, inv.Hash, lnclient.Open)
	s.paid(buyer, inv)
}

// back waits until a client has found its node again.
func (s *scene) back(c *lnclient.Client) {
	s.Helper()
	ctx := s.ctx()
	for c.Ready(ctx) != nil {
		select {
		case <-ctx.Done():
			s.Fatal("the client has not come back")
		case <-time.After(50 * time.Millisecond):
		}
	}
}
