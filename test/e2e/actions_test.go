package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/test/swarm"
	"paygate/units"
)

// actions are what a rule or its owner can do to a transfer, one small case each.
func actions() []proof {
	return []proof{
		{
			name:   "action block",
			proves: "paygate block closes the live connections of a torrent at once, free ones too, refuses new ones, also after a restart, and unblock lets it go on.",
			run:    testBlock,
		},
		{
			name:   "action reload",
			proves: "A reload checks the whole file first; an invalid one changes nothing and says why. A new price holds for what is bought from then on, and both books agree.",
			run:    testReload,
		},
		{
			name:   "action credit",
			proves: "A buyer that has paid is served on credit, up to the rule's cap, and pays when it can.",
			run:    testCredit,
		},
		{
			name:   "action observe",
			proves: "With observe: true nothing is charged or withheld, and the status tells what the rules would have earned.",
			run:    testObserve,
		},
	}
}

const (
	actionSize = 24 * units.MiB
	actionRate = 3 * units.MiB
)

// actors is a pair of the small client, which starts in no time.
func actors(t *testing.T, site *scenario.Site, network *scenario.Network, rate units.Bytes, terms scenario.Terms) *scenario.Pair {
	t.Helper()
	need(t, clients.Anacrolix)
	return newPair(t, site, network, "p", scenario.Plan{Seller: clients.Anacrolix, Buyer: clients.Anacrolix, Rate: rate, Terms: terms})
}

func testBlock(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, actionSize)
	p := actors(t, site, nil, actionRate, scenario.Terms{})
	if err := p.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitBytes(ctx, 4*units.MiB); err != nil {
		t.Fatal(err)
	}
	order(ctx, t, p.SellerGate, "connection closed", "block", site.Torrent.InfoHash.String(), "--reason", "notice 7")
	stuck := stays(ctx, t, p, 3*time.Second)
	if err := p.SellerGate.Stop(); err != nil {
		t.Fatal(err)
	}
	order(ctx, t, p.SellerGate, "notice 7", "block")
	order(ctx, t, p.SellerGate, "was blocked already", "block", site.Torrent.InfoHash.String())
	if err := p.SellerGate.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if again := stays(ctx, t, p, 3*time.Second); again != stuck {
		t.Errorf("%d bytes came after a restart", again-stuck)
	}
	order(ctx, t, p.SellerGate, "not blocked any more", "unblock", site.Torrent.InfoHash.String())
	guest, err := site.Launch(ctx, clients.Anacrolix, "guest", scenario.HostGuest, clients.Spec{}) // the first one rests from what has refused it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(guest.Close)
	if err := site.Add(ctx, guest, "guest", site.Torrent, site.Dir+"/guest-download", p.SellsAt()); err != nil {
		t.Fatal(err)
	}
	completes(ctx, t, guest, site.Torrent)
	t.Logf("blocked at %d of %d bytes", stuck, site.Torrent.Size)
}

// order gives a command to a gate and wants its output to hold some words.
func order(ctx context.Context, t *testing.T, g *scenario.Gate, words string, args ...string) {
	t.Helper()
	out, err := g.Command(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, words) {
		t.Errorf("paygate %s printed %q, which does not say %q", strings.Join(args, " "), out, words)
	}
}

// stays wants the buyer to have no more at the end of a time than a moment after its beginning, and returns how much
// that is. It still writes what it has got when the connection closes.
func stays(ctx context.Context, t *testing.T, p *scenario.Pair, during time.Duration) units.Bytes {
	t.Helper()
	progress := func() units.Bytes {
		n, err := p.Progress(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	wait(ctx, t, time.Second)
	before := progress()
	wait(ctx, t, during)
	after := progress()
	if after != before || after == p.Site.Torrent.Size {
		t.Errorf("%d bytes, then %d of %d", before, after, p.Site.Torrent.Size)
	}
	return after
}

func wait(ctx context.Context, t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	case <-time.After(d):
	}
}

// edit changes words in a gate's configuration.
func edit(t *testing.T, g *scenario.Gate, words ...string) {
	t.Helper()
	if err := g.Rewrite(strings.NewReplacer(words...).Replace); err != nil {
		t.Fatal(err)
	}
}

func testReload(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, actionSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat, Max: 6 * units.Sat}
	p := actors(t, site, newNetwork(t, site, 70*time.Millisecond), 0, terms)
	slow(ctx, t, p, actionRate)
	if err := p.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitBytes(ctx, 4*units.MiB); err != nil {
		t.Fatal(err)
	}
	edit(t, p.BuyerGate, "1000 sat per GiB", "3000 sat per GiB")
	order(ctx, t, p.BuyerGate, `buy.rules: "test" has changed`, "reload")

	edit(t, p.SellerGate, "price: 1000 sat per GiB", "price: 2000 pounds per GiB")
	out, err := p.SellerGate.Command(ctx, "reload", "--data-dir", p.SellerGate.DataDir())
	if err == nil || !strings.Contains(out, "nothing has changed") || !strings.Contains(out, "pounds per GiB") {
		t.Errorf("an invalid file: %v, %s", err, out)
	}
	if out, err := p.SellerGate.Command(ctx, "reload"); err == nil || !strings.Contains(out, "pounds per GiB") {
		t.Errorf("an invalid file: %v, %s", err, out)
	}
	edit(t, p.SellerGate, "pounds per GiB", "sat per GiB", "peers: 127", "public_port: 7000\n    peers: 127")
	order(ctx, t, p.SellerGate, `sell.rules: "test" has changed`, "reload")
	order(ctx, t, p.SellerGate, "listen.public_port", "reload")
	if err := p.AwaitBytes(ctx, site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(ctx); err != nil {
		t.Error(err)
	}
	earned := agreed(ctx, t, p, site.Torrent.Size).Seller.Earned
	cheap, dear := price(t, "1000 sat per GiB").Charge(site.Torrent.Size), price(t, "2000 sat per GiB").Charge(site.Torrent.Size)
	if earned < cheap+2*units.Sat || earned > dear-2*units.Sat {
		t.Errorf("earned %s: at one price alone it were %s or %s", earned, cheap, dear)
	}
}

// agreed waits until the books of both paygates and both nodes agree on what was paid and what is left of it, nothing is on
// its way, and, unless served is 0, so many bytes have been sold and bought; it returns the bill.
func agreed(ctx context.Context, t *testing.T, p *scenario.Pair, served units.Bytes) scenario.Bill {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var bill scenario.Bill
	err := process.Poll(ctx, time.Second/10, func() (err error) {
		if bill, err = p.Snapshot(ctx); err != nil {
			return err
		}
		s, b := bill.Seller, bill.Buyer
		apart := s.CreditOwed - b.CreditHeld
		if bill.Sent != bill.Received || b.Paid != bill.Sent || b.Pending != 0 || s.Received != bill.Received || apart < -2 || apart > 2 {
			return fmt.Errorf("the books do not agree: %s", bill)
		}
		if served > 0 && (s.SoldBytes < served || b.BoughtBytes != s.SoldBytes) {
			return fmt.Errorf("%d bytes were sold and %d bought, want %d", s.SoldBytes, b.BoughtBytes, served)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("seller: received %s, earned %s, owes %s; buyer: paid %s, holds %s", bill.Seller.Received, bill.Seller.Earned,
		bill.Seller.CreditOwed, bill.Buyer.Paid, bill.Buyer.CreditHeld)
	return bill
}

// await waits until a condition holds, and ends the test if it does not come to hold.
func await(ctx context.Context, t *testing.T, holds func() error) {
	t.Helper()
	if err := process.Poll(ctx, time.Second/10, holds); err != nil {
		t.Fatal(err)
	}
}

// completes waits until a client has all of a torrent.
func completes(ctx context.Context, t *testing.T, c clients.Client, torrent *swarm.Torrent) {
	t.Helper()
	await(ctx, t, func() error {
		done, total, err := c.Progress(ctx, torrent.InfoHash)
		if err == nil && (done < total || total == 0) {
			err = fmt.Errorf("%d of %d bytes", done, total)
		}
		return err
	})
}

// testCredit takes the buyer's node away from a buyer that has paid, and sees how far it is served.
func testCredit(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, 4*actionSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat, Max: 10 * units.Sat}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	slow(ctx, t, p, 3*actionRate)
	edit(t, p.SellerGate, "rights: own", "rights: own\n          credit: {percent: 10, cap: 3 sat}")
	order(ctx, t, p.SellerGate, `"test" has changed`, "reload")
	if err := p.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitBytes(ctx, 2*actionSize); err != nil {
		t.Fatal(err)
	}
	if err := p.Network.Down(); err != nil {
		t.Fatal(err)
	}
	if err := process.Poll(ctx, time.Second/4, func() error {
		st, err := p.SellerGate.Status(ctx)
		if debt := st.Totals.Earned - st.Totals.Received; err == nil && debt < 2*units.Sat {
			err = fmt.Errorf("the debt is %s", debt)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	wait(ctx, t, 3*time.Second)
	st, err := p.SellerGate.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if debt := st.Totals.Earned - st.Totals.Received; debt > 3*units.Sat {
		t.Errorf("the debt is %s", debt)
	}
	if err := p.Network.Up(); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitBytes(ctx, site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	agreed(ctx, t, p, site.Torrent.Size)
}

func testObserve(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, actionSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB")}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	if err := p.SellerGate.Stop(); err != nil {
		t.Fatal(err)
	}
	edit(t, p.SellerGate, "data_dir:", "observe: true\ndata_dir:")
	if err := p.SellerGate.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.AwaitBytes(ctx, site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	want := terms.Price.Charge(site.Torrent.Size)
	if err := process.Poll(ctx, time.Second/4, func() error {
		st, err := p.SellerGate.Status(ctx)
		switch {
		case err != nil:
			return err
		case st.Observed == nil || st.Observed.Earned < want:
			return fmt.Errorf("observed %+v", st.Observed)
		case st.Totals.Earned+st.Totals.Received != 0:
			return process.Final(fmt.Errorf("charged: %+v", st.Totals))
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// slow lets the seller's rule, and not its client, bound how fast a transfer is: an anacrolix client at its own limit rests
// for a minute now and then.
func slow(ctx context.Context, t *testing.T, p *scenario.Pair, rate units.Bytes) {
	t.Helper()
	edit(t, p.SellerGate, "rights: own", fmt.Sprintf("rights: own\n          upload: %d KiB/s", rate/units.KiB))
	order(ctx, t, p.SellerGate, `"test" has changed`, "reload")
}
