package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/scenario"
	"paygate/units"
)

// strangers are what selling rules do to peers that cannot pay.
func strangers() []proof {
	return []proof{
		{
			name: "action legacy",
			proves: "A peer without paygate gets nothing from legacy: choke, its sample and the day's budgets from sample, the rate of " +
				"throttle, everything from serve, and with deny: true no connection.",
			run: testLegacy,
		},
	}
}

// sells gives the seller's gate another list of rules, the entries of which begin with their actions: the torrent and the
// right to it are added.
func sells(ctx context.Context, t *testing.T, p *scenario.Pair, section string, rules ...string) {
	t.Helper()
	text := "\nsell:\n" + section + "  rules:\n"
	for i, r := range rules {
		text += fmt.Sprintf("    - {name: rule %d, torrents: [%s], rights: own, %s}\n", i+1, p.Site.Torrent.InfoHash, r)
	}
	if err := p.SellerGate.Rewrite(func(was string) string {
		before, _, _ := strings.Cut(was, "\nsell:") // the last section
		return before + text
	}); err != nil {
		t.Fatal(err)
	}
	order(ctx, t, p.SellerGate, "changed now", "reload")
}

// seller is a seller alone.
func seller(t *testing.T) *scenario.Pair {
	t.Helper()
	need(t, clients.Anacrolix)
	site := newSite(t, actionSize)
	return newPair(t, site, newNetwork(t, site, 0), "p", scenario.Plan{
		Seller: clients.Anacrolix, Terms: scenario.Terms{Price: price(t, "1000 sat per GiB")},
	})
}

// grab takes for some time what a peer of that number gets, once every byte, and stays. An error is what ended it before.
func grab(ctx context.Context, p *scenario.Pair, number int, during time.Duration) (units.Bytes, error) {
	ctx, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	k, err := newTaker(ctx, number, p.SellsAt(), p.Site.Torrent)
	if err != nil {
		return 0, err
	}
	defer k.conn.Close()
	defer context.AfterFunc(ctx, func() { _ = k.conn.SetDeadline(time.Now()) })()
	first := k.next
	err = k.take(int(actionSize / takerBlock))
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		err = nil
	}
	if err == nil {
		<-ctx.Done()
	}
	return units.Bytes(k.next-first) * takerBlock, err
}

// grabs lets several peers take at once, and returns what each has got. An error is what ended one before its time.
func grabs(ctx context.Context, t *testing.T, p *scenario.Pair, during time.Duration, numbers ...int) ([]units.Bytes, []error) {
	t.Helper()
	got, ends := make([]units.Bytes, len(numbers)), make([]error, len(numbers))
	var all sync.WaitGroup
	for i, number := range numbers {
		all.Go(func() { got[i], ends[i] = grab(ctx, p, number, during) })
	}
	all.Wait()
	t.Logf("peers %v got %v bytes in %s", numbers, got, during)
	return got, ends
}

const (
	strangerWait = 8 * time.Second // after 5 s a peer counts as one without paygate
	asked        = "price: 1000 sat per GiB"
)

func from(number int) string { return fmt.Sprintf("match: {peer: 127.50.%d.0/24}", number) }

func testLegacy(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := seller(t)
	rules := []string{
		from(1) + ", legacy: choke, sample: 1 MiB, " + asked,
		from(2) + ", legacy: throttle, throttle: 256 KiB, " + asked,
		from(3) + ", legacy: serve, " + asked,
		from(4) + ", deny: true",
		"legacy: sample, sample: 1 MiB, " + asked,
	}
	sells(ctx, t, p, "  sample_per_torrent_day: 1536 KiB\n", rules...)
	got, ends := grabs(ctx, t, p, strangerWait, 1, 2, 3, 4, 5, 5, 6)
	if err := ends[3]; err == nil || got[3] > 0 {
		t.Errorf("a refused peer got %d bytes, and its connection was not closed", got[3])
	}
	ends[3] = nil
	if err := errors.Join(ends...); err != nil {
		t.Error(err)
	}
	if got[0] != 0 {
		t.Errorf("choke: %d bytes", got[0])
	}
	if got[1] < 256*units.KiB || got[1] > 256*units.KiB*units.Bytes(strangerWait/time.Second) {
		t.Errorf("throttle: %d bytes in %s", got[1], strangerWait)
	}
	if got[2] != actionSize {
		t.Errorf("serve: %d bytes of %d", got[2], actionSize)
	}
	if one := got[4] + got[5]; one > units.MiB || got[6] > units.MiB || one+got[6] != 1536*units.KiB {
		t.Errorf("sample: %d bytes for two peers of one network, %d for another", one, got[6])
	}
	sells(ctx, t, p, "  sample_per_torrent_day: 10 MiB\n  sample_per_day: 1792 KiB\n", rules...)
	if got, _ := grabs(ctx, t, p, strangerWait, 7); got[0] != 256*units.KiB {
		t.Errorf("sample: %d bytes at the end of the day's", got[0])
	}
	st, err := p.SellerGate.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if want := 1792 * units.KiB; st.Totals.SampleBytes != want || st.Totals.SoldBytes != 0 {
		t.Errorf("the books have %d bytes of samples and %d sold, want %d and 0", st.Totals.SampleBytes, st.Totals.SoldBytes, want)
	}
}

// prices are what buyers pay under selling rules.
func prices() []proof {
	return []proof{
		{
			name:   "action price",
			proves: "A price per torrent is earned once for all of it, with the size that client.torrents tells.",
			run:    testPerTorrent,
		},
		{
			name:   "action interval",
			proves: "No purchase buys more bytes than interval allows, nor less money than min.",
			run:    testInterval,
		},
	}
}

// finish lets the buyer download everything and returns the bill on which both sides agree.
func finish(ctx context.Context, t *testing.T, p *scenario.Pair) scenario.Bill {
	t.Helper()
	took, err := p.Download(ctx)
	if err != nil {
		t.Fatal(err)
	}
	agreed(ctx, t, p)
	bill, err := p.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d bytes sold, earned %s, received %s in %d payments", took, bill.Seller.SoldBytes, bill.Seller.Earned, bill.Received, bill.Payments)
	if bill.Seller.SoldBytes < p.Site.Torrent.Size {
		t.Errorf("%d bytes sold of %d", bill.Seller.SoldBytes, p.Site.Torrent.Size)
	}
	return bill
}

func testPerTorrent(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, actionSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat, Max: 6 * units.Sat}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	dir := site.Dir + "/torrents"
	metainfo, err := site.Torrent.Metainfo("http://127.0.0.1:1/announce")
	if err := errors.Join(err, os.Mkdir(dir, 0o755), os.WriteFile(dir+"/a.torrent", metainfo, 0o644)); err != nil {
		t.Fatal(err)
	}
	edit(t, p.SellerGate, "client:\n", "client:\n    torrents: "+dir+"\n", "price: 1000 sat per GiB", "price: 17 sat per torrent")
	restart(ctx, t, p.SellerGate)
	bill := finish(ctx, t, p)
	want := units.Price{Msat: 17 * units.Sat, Per: site.Torrent.Size}.Charge(bill.Seller.SoldBytes)
	if bill.Seller.Earned != want || want > 18*units.Sat {
		t.Errorf("earned %s for %d bytes of %d, want %s", bill.Seller.Earned, bill.Seller.SoldBytes, site.Torrent.Size, want)
	}
}

func restart(ctx context.Context, t *testing.T, g *scenario.Gate) {
	t.Helper()
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := g.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

func testInterval(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, actionSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	edit(t, p.SellerGate, "rights: own", "interval: 2 MiB\n          rights: own")
	order(ctx, t, p.SellerGate, `"test" has changed`, "reload")
	bill := finish(ctx, t, p)
	step := terms.Price.Charge(2 * units.MiB)
	if n := units.Msat(bill.Payments); n*step < bill.Received || n*units.Sat > bill.Received {
		t.Errorf("%s in %d payments: want 1 sat to %s in each", bill.Received, bill.Payments, step)
	}
}
