package main

import (
	"context"
	"errors"
	"fmt"

	"paygate/config"
	"paygate/lnclient"
	"paygate/pay"
	"paygate/units"
)

// newNode prepares the connection to the node; it connects at the first call.
func newNode(ln config.Lightning) (*lnclient.Client, error) {
	return lnclient.New(lnclient.Config{Address: ln.Address, TLSCert: ln.TLSCert, Macaroon: ln.Macaroon, Network: ln.Network})
}

// lndRail lets pay speak to lnd.
type lndRail struct {
	client *lnclient.Client
	cfg    config.Lightning
}

func (r lndRail) Identity(ctx context.Context) (pay.Identity, error) {
	if err := r.client.Ready(ctx); err != nil {
		return pay.Identity{}, withRemedy(err)
	}
	info, err := r.client.Info(ctx)
	return pay.Identity{Node: info.Node, Network: info.Network}, withRemedy(err)
}

// withRemedy puts what the owner can do into the error's words.
func withRemedy(err error) error {
	var p *lnclient.Problem
	if errors.As(err, &p) && p.Remedy != "" {
		return fmt.Errorf("%w; %s", err, p.Remedy)
	}
	return err
}

func (r lndRail) Issue(ctx context.Context, o pay.Order) (pay.Issued, error) {
	inv, err := r.client.AddInvoice(ctx, lnclient.NewInvoice{
		Msat: o.Msat, DescriptionHash: o.Binding, Expiry: r.cfg.InvoiceTTL, PrivateHints: r.cfg.PrivateHint,
	})
	return pay.Issued{Hash: inv.Hash, Request: inv.Request, Expires: inv.Expires}, err
}

func (r lndRail) Lookup(ctx context.Context, hash units.PaymentHash) (pay.Settlement, bool, error) {
	st, err := r.client.LookupInvoice(ctx, hash)
	if err == nil && (st.State == lnclient.Canceled || st.State == lnclient.Missing) {
		err = pay.ErrGone
	}
	if err != nil || st.State != lnclient.Settled {
		return pay.Settlement{}, false, err
	}
	return pay.Settlement{Hash: hash, Msat: st.Msat, Index: st.SettleIndex, At: st.SettledAt}, true, nil
}

// Cancel looks first, so that it never has to guess what lnd's refusal means.
func (r lndRail) Cancel(ctx context.Context, hash units.PaymentHash) error {
	st, err := r.client.LookupInvoice(ctx, hash)
	if err != nil {
		return err
	}
	if st.State != lnclient.Open {
		return pay.ErrGone
	}
	return r.client.CancelInvoice(ctx, hash)
}

func (r lndRail) Settlements(ctx context.Context, after uint64, fn func(pay.Settlement) error) error {
	return r.client.Settlements(ctx, after, func(s lnclient.Settlement) error {
		return fn(pay.Settlement{Hash: s.Hash, Msat: s.Msat, Index: s.SettleIndex, At: s.At})
	})
}

func (r lndRail) Read(request string) (pay.Request, error) {
	d, err := lnclient.Decode(request, r.cfg.Network)
	if err != nil {
		return pay.Request{}, err
	}
	return pay.Request{
		Network: d.Network, Payee: d.Payee, Hash: d.Hash, Msat: d.Msat, Binding: d.DescriptionHash,
		HasBinding: d.HasDescriptionHash, Expires: d.Expires, FinalCLTV: d.FinalCLTV, Plain: !d.AMP,
	}, nil
}

// Pay turns a refusal, which proves that nothing was sent, into a failed payment; any other error stays one.
func (r lndRail) Pay(ctx context.Context, p pay.Payment) (pay.Outcome, error) {
	out, err := r.client.Pay(ctx, lnclient.Payment{
		Request: p.Request, Hash: p.Hash, FeeLimit: p.FeeLimit,
		Timeout: r.cfg.PayTimeout, CLTVLimit: r.cfg.CLTVLimit, MaxParts: r.cfg.MaxParts,
	})
	var refused *lnclient.Refused
	if errors.As(err, &refused) {
		return pay.Outcome{State: pay.Failed, Reason: refused.Reason}, nil
	}
	return outcome(out), err
}

func (r lndRail) Track(ctx context.Context, hash units.PaymentHash) (pay.Outcome, error) {
	out, err := r.client.Track(ctx, hash)
	return outcome(out), err
}

func outcome(o lnclient.Outcome) pay.Outcome {
	states := map[lnclient.PayState]pay.OutcomeState{
		lnclient.Succeeded: pay.Succeeded, lnclient.Failed: pay.Failed, lnclient.NeverSent: pay.NeverSent,
	}
	return pay.Outcome{State: states[o.State], Fee: o.Fee, Preimage: o.Preimage, Reason: o.Reason}
}
