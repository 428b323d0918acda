package lnd_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"paygate/lnclient"
	"paygate/test/lnd"
	"paygate/test/process"
	"paygate/units"
)

// TestCrash kills nodes under payments and asks lnclient what has become of them.
func TestCrash(t *testing.T) {
	n := start(t, []string{"buyer", "seller"}, lnd.Channel{From: "buyer", To: "seller", Capacity: capacity, Balance: buyers})
	p := &pair{buyer: n.Node("buyer"), seller: n.Node("seller")}
	p.had = balance(t, p.seller)
	for _, tt := range []struct {
		name  string
		crash func(t *testing.T, p *pair, h *lnd.Hold)
		want  lnclient.PayState
	}{
		{"buyer killed, settled after", buyerThenSettle, lnclient.Succeeded},
		{"buyer killed, settled meanwhile", settleMeanwhile, lnclient.Succeeded},
		{"buyer killed, given back after", buyerThenCancel, lnclient.Failed},
		{"buyer killed, given back meanwhile", cancelMeanwhile, lnclient.Failed},
		{"seller killed, settled after", sellerThenSettle, lnclient.Succeeded},
		{"seller killed, given back after", sellerThenCancel, lnclient.Failed},
		{"both killed, settled after", bothThenSettle, lnclient.Succeeded},
	} {
		t.Run(tt.name, func(t *testing.T) { p.underPayment(t, tt.crash, tt.want) })
	}
	t.Run("buyer killed under load", func(t *testing.T) { p.underLoad(t, p.buyer) })
	t.Run("seller killed under load", func(t *testing.T) { p.underLoad(t, p.seller) })
	t.Run("what had stayed unknown", p.lookAgain)
}

// pair is a buyer and a seller with a channel.
type pair struct {
	buyer, seller *lnd.Node
	had           units.Msat // by the seller at first
	unknown       []lnclient.Invoice
}

// books waits until what the buyer has sent is what the seller has received, and owns; at most until patience ends,
// since a payment that has succeeded for the payer may still be on its way into the payee's balance.
func (p *pair) books(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience/4)
	defer cancel()
	err := process.Poll(ctx, 100*time.Millisecond, func() error {
		sent, received, owned := stats(t, p.buyer).SentMsat, stats(t, p.seller).ReceivedMsat, balance(t, p.seller)-p.had
		unpaid, forgone := p.refusals(t)
		if sent+unpaid != received || owned+forgone != received {
			return fmt.Errorf("sent %s, received %s, owned %s; by refusals, %s unpaid and %s forgone", sent, received, owned, unpaid, forgone)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func restart(t *testing.T, n *lnd.Node) {
	n.Kill()
	check(t, n.Start())
}

func buyerThenSettle(t *testing.T, p *pair, h *lnd.Hold) {
	restart(t, p.buyer)
	check(t, h.Settle(bounded(t)))
}

func buyerThenCancel(t *testing.T, p *pair, h *lnd.Hold) {
	restart(t, p.buyer)
	check(t, h.Cancel(bounded(t)))
}

func settleMeanwhile(t *testing.T, p *pair, h *lnd.Hold) {
	p.buyer.Kill()
	check(t, h.Settle(bounded(t)))
	check(t, p.buyer.Start())
}

func cancelMeanwhile(t *testing.T, p *pair, h *lnd.Hold) {
	p.buyer.Kill()
	check(t, h.Cancel(bounded(t)))
	check(t, p.buyer.Start())
}

func sellerThenSettle(t *testing.T, p *pair, h *lnd.Hold) {
	restart(t, p.seller)
	check(t, h.Settle(bounded(t)))
}

func sellerThenCancel(t *testing.T, p *pair, h *lnd.Hold) {
	restart(t, p.seller)
	check(t, h.Cancel(bounded(t)))
}

func bothThenSettle(t *testing.T, p *pair, h *lnd.Hold) {
	p.buyer.Kill()
	restart(t, p.seller)
	check(t, p.buyer.Start())
	check(t, h.Settle(bounded(t)))
}

// underPayment crashes nodes while the seller holds a payment. Tracking must find out how it has ended.
func (p *pair) underPayment(t *testing.T, crash func(*testing.T, *pair, *lnd.Hold), want lnclient.PayState) {
	buyer := client(t, p.buyer)
	h, err := p.seller.Hold(bounded(t), 30_000)
	check(t, err)
	begun := make(chan result, 1)
	go func() { begun <- pay(t.Context(), buyer, h.Request, h.Hash) }()
	check(t, h.Accepted(bounded(t)))
	if held, err := buyer.PendingHTLC(bounded(t), h.Hash); err != nil || len(held.HTLCs) != 1 || held.HTLCs[0].Msat != 30_000 {
		t.Errorf("while the seller holds it, the buyer's channels hold %+v, %v", held, err)
	}
	crash(t, p, h)
	if first := <-begun; first.err != nil {
		requireUnknown(t, first)
	} else if first.out.State != want {
		t.Errorf("the call that was cut off says %s", first.out.State)
	}
	out, err := buyer.Track(bounded(t), h.Hash)
	check(t, err)
	if out.State != want || want == lnclient.Succeeded && sha256.Sum256(out.Preimage[:]) != h.Hash {
		t.Errorf("payment is %s (%s), want %s", out.State, out.Reason, want)
	}
	p.books(t)
}

// result is what a call of Pay returned.
type result struct {
	out lnclient.Outcome
	err error
}

func pay(ctx context.Context, c *lnclient.Client, request string, hash units.PaymentHash) result {
	out, err := c.Pay(ctx, payment(request, hash))
	return result{out, err}
}

// requireUnknown checks that an error is not taken for a refusal of what may have been sent.
func requireUnknown(t *testing.T, r result) {
	t.Helper()
	var refused *lnclient.Refused
	if r.out.State != lnclient.InFlight || errors.As(r.err, &refused) {
		t.Errorf("got %s, %v; want an unknown outcome", r.out.State, r.err)
	}
}
