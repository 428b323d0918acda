package e2e

import (
	"context"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/scenario"
	"paygate/units"
)

const (
	crashSize   = 48 * units.MiB
	crashAt     = 16 * units.MiB
	crashRate   = 4 * units.MiB
	crashLease  = 5 * units.Sat
	crashResume = 120 * time.Second

	// inFlight is what can be on its way between the two clients when a paygate dies, and is asked for again: 256 blocks
	// of 16 KiB, and as much again in the sockets' buffers.
	inFlight = 8 * units.MiB
)

func crashes() []proof {
	const proves = "Killing and restarting either paygate in mid-download (SIGKILL) loses no payment and no credit: the download " +
		"resumes within 120 s of the restart and the final bill is the same within one leased purchase, in the buyer's favour."
	return []proof{
		{name: "seller's paygate is killed", proves: proves, run: func(t *testing.T) {
			testCrash(t, func(p *scenario.Pair) *scenario.Gate { return p.SellerGate })
		}},
		{name: "buyer's paygate is killed", proves: proves, run: func(t *testing.T) {
			testCrash(t, func(p *scenario.Pair) *scenario.Gate { return p.BuyerGate })
		}},
	}
}

func testCrash(t *testing.T, victim func(*scenario.Pair) *scenario.Gate) {
	need(t, clients.QBittorrent)
	ctx, cancel := context.WithTimeout(t.Context(), crashResume+patience)
	defer cancel()
	site := newSite(t, crashSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Sample: units.MiB, Min: units.Sat, Max: crashLease}
	p := newPair(t, site, newNetwork(t, site, 70*time.Millisecond), "p", scenario.Plan{
		Seller: clients.QBittorrent, Buyer: clients.QBittorrent, Rate: crashRate, Terms: terms,
	})
	if err := p.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitBytes(ctx, crashAt); err != nil {
		t.Fatal(err)
	}
	gate := victim(p)
	gate.Kill()
	before, err := p.Progress(ctx)
	if err != nil {
		t.Fatal(err)
	}
	restarted := time.Now()
	if err := gate.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitBytes(ctx, min(before+2*units.MiB, crashSize)); err != nil {
		t.Fatal(err)
	}
	resumed := time.Since(restarted)
	if resumed > crashResume {
		t.Errorf("resumed %s after the restart, want at most %s", resumed, crashResume)
	}
	if err := p.AwaitBytes(ctx, crashSize); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(ctx); err != nil {
		t.Errorf("downloaded files: %v", err)
	}
	t.Logf("killed at %s, resumed %s after the restart", before, resumed.Round(time.Second))
	checkCrashBill(ctx, t, p, terms)
}

// checkCrashBill holds the bill against the one of an undisturbed download. What was on its way at the crash is
// delivered, and charged, twice.
func checkCrashBill(ctx context.Context, t *testing.T, p *scenario.Pair, terms scenario.Terms) {
	t.Helper()
	bill, err := p.Bill(ctx, crashSize-terms.Price.Buys(terms.Max))
	t.Log(bill)
	if err != nil {
		t.Logf("the two books, to the byte: %v", err)
	}
	for what, amounts := range map[string][2]units.Msat{
		"paid by the buyer = received by the seller's node": {bill.Buyer.Paid, bill.Received},
		"received in the seller's ledger = by its node":     {bill.Seller.Received, bill.Received},
		"fees in the buyer's ledger = fees of its node":     {bill.Buyer.Fees, bill.Fees},
		"received = earned + credit":                        {bill.Seller.Received, bill.Seller.Earned + bill.Seller.CreditOwed},
		"earned = ceil(sold x price)":                       {bill.Seller.Earned, terms.Price.Charge(bill.Seller.SoldBytes)},
	} {
		if amounts[0] != amounts[1] {
			t.Errorf("%s: %s and %s", what, amounts[0], amounts[1])
		}
	}
	undisturbed := terms.Price.Charge(crashSize - terms.Sample)
	if low, high := undisturbed-terms.Max, terms.Price.Charge(crashSize+inFlight); bill.Seller.Earned < low || bill.Seller.Earned > high {
		t.Errorf("earned %s, want %s within one purchase of %s", bill.Seller.Earned, undisturbed, terms.Max)
	}
	if gap := bill.Seller.CreditOwed - bill.Buyer.CreditHeld; gap < -terms.Max || gap > terms.Max {
		t.Errorf("the seller owes %s, the buyer holds %s: they differ by more than one purchase", bill.Seller.CreditOwed, bill.Buyer.CreditHeld)
	}
}
