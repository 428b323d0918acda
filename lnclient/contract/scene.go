package contract

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"paygate/lnclient"
	"paygate/units"
)

// patience bounds one scenario's waits; it is no measure of speed.
const patience = 90 * time.Second

// scene is one scenario under way.
type scene struct {
	*testing.T
	env Env
}

func (s *scene) ctx() context.Context {
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	s.Cleanup(cancel)
	return ctx
}

// client opens a client of a node with all rights.
func (s *scene) client(r Role) *lnclient.Client { return s.open(s.env.Config(r)) }

func (s *scene) open(cfg lnclient.Config) *lnclient.Client {
	s.Helper()
	c, err := lnclient.New(cfg)
	s.must(err)
	s.Cleanup(func() { s.must(c.Close()) })
	return c
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// ask has a client issue an invoice with a description hash of its own.
func (s *scene) ask(c *lnclient.Client, msat units.Msat) lnclient.Invoice {
	s.Helper()
	in := lnclient.NewInvoice{Msat: msat, Expiry: 10 * time.Minute}
	_, err := rand.Read(in.DescriptionHash[:])
	s.must(err)
	inv, err := c.AddInvoice(s.ctx(), in)
	s.must(err)
	return inv
}

func payment(inv lnclient.Invoice) lnclient.Payment {
	return lnclient.Payment{
		Request: inv.Request, Hash: inv.Hash, FeeLimit: 10 * units.Sat, Timeout: 30 * time.Second, CLTVLimit: 288, MaxParts: 1,
	}
}

// paid pays and requires success.
func (s *scene) paid(c *lnclient.Client, inv lnclient.Invoice) lnclient.Outcome {
	s.Helper()
	out, err := c.Pay(s.ctx(), payment(inv))
	s.must(err)
	s.succeeded(out, inv.Hash)
	return out
}

func (s *scene) succeeded(out lnclient.Outcome, hash units.PaymentHash) {
	s.Helper()
	if out.State != lnclient.Succeeded {
		s.Fatalf("payment %s (%s), want succeeded", out.State, out.Reason)
	}
	if sha256.Sum256(out.Preimage[:]) != hash {
		s.Fatal("the preimage does not belong to the payment")
	}
}

// problem requires an error of one kind.
func (s *scene) problem(err error, want lnclient.ProblemKind) {
	s.Helper()
	var p *lnclient.Problem
	if !errors.As(err, &p) {
		s.Fatalf("got %v, want a problem: %s", err, want)
	}
	if p.Kind != want {
		s.Fatalf("got problem %q (%v), want %q", p.Kind, err, want)
	}
	if want != lnclient.Other && p.Remedy == "" {
		s.Errorf("problem %q has no remedy", want)
	}
}

// refused requires that a payment was refused for a reason.
func (s *scene) refused(err error, want string) {
	s.Helper()
	var r *lnclient.Refused
	if !errors.As(err, &r) || r.Reason != want {
		s.Fatalf("got %v, want a refusal: %s", err, want)
	}
	var p *lnclient.Problem
	if !errors.As(err, &p) {
		s.Fatalf("refusal %v is no problem", err)
	}
}

// unknown requires that an outcome is unknown: in flight, with an error that is no refusal.
func (s *scene) unknown(out lnclient.Outcome, err error) {
	s.Helper()
	var r *lnclient.Refused
	if err == nil || out.State != lnclient.InFlight || errors.As(err, &r) {
		s.Fatalf("got %s, %v; want an unknown outcome", out.State, err)
	}
}

func (s *scene) status(c *lnclient.Client, hash units.PaymentHash, want lnclient.InvoiceState) lnclient.InvoiceStatus {
	s.Helper()
	st, err := c.LookupInvoice(s.ctx(), hash)
	s.must(err)
	if st.State != want {
		s.Fatalf("invoice is %s, want %s", st.State, want)
	}
	return st
}
