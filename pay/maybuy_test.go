package pay

import (
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"paygate/config"
	"paygate/proxy"
	"paygate/units"
)

// bought is a desk that buys by some rules, and a connection to somebody.
func bought(t *testing.T, rules ...config.BuyRule) (*Desk, *simLink, *conversation, config.Buy) {
	t.Helper()
	l := openLedger(t, filepath.Join(t.TempDir(), "buyer.sqlite"))
	t.Cleanup(func() { l.Close() })
	_, buy := simRules()
	buy.Rules = rules
	d := newDesk(t, Config{Network: "regtest", Buy: buy}, l, newBank(0).node(2), filepath.Join(t.TempDir(), "key"))
	link := &simLink{s: &sim{infoHash: units.InfoHash{7}}, initiator: true, remote: netip.MustParseAddrPort("192.0.2.7:6881")}
	return d, link, d.open(link), buy
}

var anyMaxPrice = config.BuyRule{Name: "any", Any: true, MaxPrice: somePrice}

// TestRulesThatBuyHoldOnOldConnections lets a rule that buys come while somebody is connected.
func TestRulesThatBuyHoldOnOldConnections(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    func(link *simLink, talk *conversation)
		buys   bool
		closed string
	}{
		{"nobody has said anything yet", func(*simLink, *conversation) {}, true, ""},
		{"a seller that nobody listened to", func(_ *simLink, talk *conversation) { talk.spoken = true }, false, newTerms},
		{"a seller that gives freely", func(link *simLink, talk *conversation) { talk.spoken = true; link.bytesIn.Store(proxy.BroughtLittle) }, false, ""},
		{"a copy that brings nothing", func(_ *simLink, talk *conversation) { talk.released = true }, false, newTerms},
		{"a copy that brings much", func(link *simLink, talk *conversation) { talk.released = true; link.bytesIn.Store(int64(units.MiB)) }, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, link, talk, buy := bought(t)
			talk.adopt(t.Context(), time.Now())
			if talk.buyer != nil {
				t.Fatal("it is bought before")
			}
			c.set(link, talk)
			buy.Rules = []config.BuyRule{anyMaxPrice}
			d.SetRules(config.Sell{}, buy)
			talk.adopt(t.Context(), time.Now())
			if _, _, closed := link.state(); closed != c.closed {
				t.Errorf("closed for %q, want %q", closed, c.closed)
			}
			if buys := talk.buyer != nil && talk.buyer.max == somePrice; buys != c.buys {
				t.Errorf("bought: %t", buys)
			}
		})
	}
}

// TestRuleThatBuysAtNightBeginsInMidConnection opens a connection by day.
func TestRuleThatBuysAtNightBeginsInMidConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is midnight
		night := anyMaxPrice
		night.Match.Times = config.Times{Zone: time.UTC, Hours: []config.Span{{From: 10 * 60, To: 11 * 60}}}
		_, _, talk, _ := bought(t, night)
		price := func(want units.Price) {
			t.Helper()
			talk.adopt(t.Context(), time.Now())
			if talk.buyer == nil || talk.buyer.max != want {
				t.Fatalf("at %s: %+v, want %s", time.Now().UTC().Format("15:04"), talk.buyer, want)
			}
		}
		price(units.Price{})
		time.Sleep(10 * time.Hour)
		price(somePrice)
		time.Sleep(time.Hour)
		price(units.Price{})
	})
}
