package lnd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paygate/lnclient"
	"paygate/test/lnd"
	"paygate/test/process"
	"paygate/units"
)

const (
	loaded     = 96 // payments
	atOnce     = 32
	killAfter  = 24 // successes
	loadAmount = 2000
	// trackFor is how long all payments together may take to show how they have ended. lnd leaves some in flight for
	// ever when it is killed under load: those stay unknown.
	trackFor = 15 * time.Second
)

// underLoad kills a node while it has many payments in its hands. What is in flight for ever must not have been taken.
func (p *pair) underLoad(t *testing.T, victim *lnd.Node) {
	buyer, seller := client(t, p.buyer), client(t, p.seller)
	invoices := make([]lnclient.Invoice, loaded)
	for i := range invoices {
		var err error
		invoices[i], err = seller.AddInvoice(bounded(t), lnclient.NewInvoice{Msat: loadAmount, Expiry: time.Hour})
		check(t, err)
	}
	first := flood(t, buyer, invoices, victim)
	last := trackAll(t, buyer, invoices)
	counts := map[string]int{}
	refused := p.refused(t)
	for i, inv := range invoices {
		st, err := seller.LookupInvoice(bounded(t), inv.Hash)
		check(t, err)
		judge(t, first[i], last[i], st.State, refused[inv.Hash])
		counts[last[i].State.String()+", "+st.State.String()]++
		if last[i].State == lnclient.InFlight {
			p.unknown = append(p.unknown, inv)
		}
	}
	t.Logf("%d payments, as buyer and seller see them: %v", loaded, counts)
	p.books(t)
	unpaid, forgone := p.refusals(t)
	t.Logf("refused by the seller as replays: %s settled without being paid, and %s of which the buyer says so", forgone, unpaid)
	begin := time.Now()
	check(t, process.Poll(bounded(t), time.Second, func() error { return flows(t, buyer, seller) }))
	t.Logf("payments flow again after %.1f s", time.Since(begin).Seconds())
}

// flows tries one payment. A part that was refused as a replay closes its channel to the payer's search for routes for
// a minute, so that the first tries may fail.
func flows(t *testing.T, buyer, seller *lnclient.Client) error {
	inv, err := seller.AddInvoice(bounded(t), lnclient.NewInvoice{Msat: loadAmount, Expiry: time.Hour})
	check(t, err)
	r := pay(t.Context(), buyer, inv.Request, inv.Hash)
	if r.err == nil && r.out.State != lnclient.Succeeded {
		return fmt.Errorf("payment is %s (%s)", r.out.State, r.out.Reason)
	}
	return r.err
}

// lookAgain judges the payments whose outcome was unknown once more. Those that lnd still shows in flight are in none of
// its channels, which is what an owner who writes them off goes by.
func (p *pair) lookAgain(t *testing.T) {
	buyer, seller := client(t, p.buyer), client(t, p.seller)
	counts := map[string]int{}
	for i, out := range trackAll(t, buyer, p.unknown) {
		st, err := seller.LookupInvoice(bounded(t), p.unknown[i].Hash)
		check(t, err)
		judge(t, result{err: errUnknown}, out, st.State, false)
		counts[out.State.String()+", "+st.State.String()]++
		held, err := buyer.PendingHTLC(bounded(t), p.unknown[i].Hash)
		check(t, err)
		if len(held.HTLCs) > 0 || held.Count != 1 {
			t.Errorf("%d channels hold %v of a payment that is %s", held.Count, held.HTLCs, out.State)
		}
	}
	t.Logf("%d payments, as buyer and seller see them: %v", len(p.unknown), counts)
}

var errUnknown = errors.New("unknown")

// judge compares what the buyer was told at first and at last with what the seller has. Whatever has succeeded for the
// buyer is settled at the seller, and the other way round but for what the seller has refused as a replay.
func judge(t *testing.T, first result, last lnclient.Outcome, got lnclient.InvoiceState, refused bool) {
	t.Helper()
	var early *lnclient.Refused
	switch {
	case errors.As(first.err, &early) && last.State != lnclient.NeverSent:
		t.Errorf("refused (%s), and then %s", early.Reason, last.State)
	case first.err == nil && first.out.State != last.State:
		t.Errorf("%s, and then %s", first.out.State, last.State)
	}
	failedOnly := last.State == lnclient.Failed && refused
	if (last.State == lnclient.Succeeded) != (got == lnclient.Settled) && !failedOnly {
		t.Errorf("%s for the buyer, %s at the seller", last.State, got)
	}
}

// flood pays every invoice, so many at once, kills the victim in the middle of it and starts it again. It returns when
// every call has come back.
func flood(t *testing.T, buyer *lnclient.Client, invoices []lnclient.Invoice, victim *lnd.Node) []result {
	results := make([]result, len(invoices))
	var next, succeeded atomic.Int32
	var workers sync.WaitGroup
	var end sync.Once // of the load before the kill
	ended, done := make(chan struct{}), make(chan struct{})
	for range atOnce {
		workers.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(invoices); i = next.Add(1) - 1 {
				results[i] = pay(t.Context(), buyer, invoices[i].Request, invoices[i].Hash)
				if results[i].out.State == lnclient.Succeeded && succeeded.Add(1) >= killAfter {
					end.Do(func() { victim.Kill(); close(ended) })
				}
			}
		})
	}
	go func() {
		workers.Wait()
		end.Do(func() { close(ended) })
		close(done)
	}()
	<-ended
	if victim.Running() {
		t.Fatal("the load ended before the kill")
	}
	check(t, victim.Start())
	<-done
	return results
}

// trackAll tracks every payment, all at once.
func trackAll(t *testing.T, buyer *lnclient.Client, invoices []lnclient.Invoice) []lnclient.Outcome {
	ctx, cancel := context.WithTimeout(t.Context(), trackFor)
	defer cancel()
	outcomes := make([]lnclient.Outcome, len(invoices))
	errs := make([]error, len(invoices))
	var tracking sync.WaitGroup
	for i, inv := range invoices {
		tracking.Go(func() { outcomes[i], errs[i] = buyer.Track(ctx, inv.Hash) })
	}
	tracking.Wait()
	for i, err := range errs {
		if (err != nil) != (outcomes[i].State == lnclient.InFlight) {
			t.Errorf("tracking gave %s, %v", outcomes[i].State, err)
		}
	}
	return outcomes
}

// refusal is the line in which lnd tells that it takes a part for a replay and gives it back.
var refusal = regexp.MustCompile(`unable to decode onion hop iterator for htlc\(id=\d+, hash=([0-9a-f]{64})\)`)

// refused reads from the seller's log which payments it has given back as replays. An lnd that is killed between
// noting that it has seen a part and noting that it has dealt with it does that when it comes back, though it may have
// settled the invoice and told the payer the preimage in between.
func (p *pair) refused(t *testing.T) map[units.PaymentHash]bool {
	t.Helper()
	text, err := os.ReadFile(p.seller.LogFile())
	check(t, err)
	found := map[units.PaymentHash]bool{}
	for _, match := range refusal.FindAllSubmatch(text, -1) {
		hash, err := units.ParsePaymentHash(string(match[1]))
		check(t, err)
		found[hash] = true
	}
	return found
}

// refusals adds up what the seller has given back of invoices that it shows as settled: forgone is all of it, and
// unpaid the part that the payer knows about, whose payments have failed.
func (p *pair) refusals(t *testing.T) (unpaid, forgone units.Msat) {
	t.Helper()
	buyer, seller := client(t, p.buyer), client(t, p.seller)
	for hash := range p.refused(t) {
		st, err := seller.LookupInvoice(bounded(t), hash)
		check(t, err)
		if st.State != lnclient.Settled {
			continue
		}
		forgone += st.Msat
		out, err := buyer.Track(bounded(t), hash)
		check(t, err)
		if out.State == lnclient.Failed {
			unpaid += st.Msat
		}
	}
	return unpaid, forgone
}
