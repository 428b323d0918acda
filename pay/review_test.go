package pay

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"paygate/config"
	"paygate/ledger"
	"paygate/proxy"
	"paygate/units"
)

// reviewed is a seller's desk with some rules, and a connection to it.
func reviewed(t *testing.T, peerID string, rules ...config.SellRule) (*Desk, *simLink, *conversation) {
	t.Helper()
	dir := t.TempDir()
	l := openLedger(t, filepath.Join(dir, "seller.sqlite"))
	t.Cleanup(func() { l.Close() })
	for i := range rules {
		rules[i].Rights, rules[i].When, rules[i].Min, rules[i].Max = "own", "always", units.Sat, 100*units.Sat
	}
	d := newDesk(t, Config{Network: "regtest", Sell: config.Sell{Rules: rules}}, l, newBank(0).node(1), filepath.Join(dir, "key"))
	link := &simLink{s: &sim{infoHash: units.InfoHash{7}}, remote: netip.MustParseAddrPort("192.0.2.7:6881"), remoteID: peerID}
	return d, link, d.open(link)
}

var somePrice = units.Price{Msat: units.Sat, Per: units.MiB}

// TestReview asks the rules again when the peer's id has come, and looks at what becomes of the connection.
func TestReview(t *testing.T) {
	any := config.SellRule{Any: true, Price: somePrice}
	client := config.SellRule{Match: config.Match{ClientID: []string{"-XX"}}}
	priced, refused := client, client
	priced.Price = units.Price{Msat: 2 * units.Sat, Per: units.MiB}
	refused.Deny = true
	for _, c := range []struct {
		name   string
		rules  []config.SellRule
		admit  proxy.Treatment
		price  units.Price // zero: not sold
		closed string
	}{
		{"nothing about clients", []config.SellRule{any}, proxy.Gated, somePrice, ""},
		{"this client free", []config.SellRule{client, any}, proxy.Gated, units.Price{}, ""},
		{"this client dearer", []config.SellRule{priced, any}, proxy.Gated, priced.Price, ""},
		{"only this client sold to", []config.SellRule{priced}, proxy.Gated, priced.Price, ""},
		{"this client refused", []config.SellRule{refused, any}, proxy.Gated, units.Price{}, denied},
		{"another network refused", []config.SellRule{{Deny: true, Match: config.Match{Peer: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}}}, proxy.Free, units.Price{}, ""},
		{"this network refused", []config.SellRule{{Deny: true, Match: config.Match{Peer: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}, any}, proxy.Denied, units.Price{}, denied},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, link, talk := reviewed(t, "-XX1000-abcdefghijkl", c.rules...)
			if got := d.Admit(proxy.Arrival{InfoHash: link.InfoHash(), Remote: link.remote}); got != c.admit {
				t.Errorf("admitted as %d, want %d", got, c.admit)
			}
			talk.adopt(context.Background(), time.Now())
			if link.closed != c.closed {
				t.Errorf("closed: %q, want %q", link.closed, c.closed)
			}
			var price units.Price
			if talk.seller != nil && !talk.seller.free {
				price = talk.seller.rule.Price
			}
			if price != c.price {
				t.Errorf("sold at %v, want %v", price, c.price)
			}
		})
	}
}

// TestReviewFollowsTheClock sells by night at another price than by day, on one connection.
func TestReviewFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins on 2000-01-01 at 00:00 UTC
		night := config.SellRule{Price: units.Price{Msat: 1, Per: units.MiB}, Match: config.Match{Times: config.Times{Zone: time.UTC, Hours: []config.Span{{From: 0, To: 6 * 60}}}}}
		_, _, talk := reviewed(t, "", night, config.SellRule{Any: true, Price: somePrice})
		for range 3 {
			talk.adopt(context.Background(), time.Now())
			if talk.seller.rule.Price != night.Price {
				t.Fatal("another price by night")
			}
			time.Sleep(6 * time.Hour)
			talk.adopt(context.Background(), time.Now())
			if talk.seller.rule.Price != somePrice {
				t.Fatal("another price by day")
			}
			time.Sleep(18 * time.Hour)
		}
	})
}

// TestReviewKnowsFriends lets a buyer have for nothing what others pay for, once it has said who it is.
func TestReviewKnowsFriends(t *testing.T) {
	friend := units.PeerKey{1, 2, 3}
	_, link, talk := reviewed(t, "", config.SellRule{Match: config.Match{Identity: []units.PeerKey{friend}}}, config.SellRule{Any: true, Price: somePrice})
	talk.adopt(context.Background(), time.Now())
	if talk.seller.free {
		t.Fatal("free for a stranger")
	}
	talk.seller.stock.buyer = friend
	talk.adopt(context.Background(), time.Now())
	if !talk.seller.free || link.closed != "" {
		t.Errorf("free for a friend: %v, %q", talk.seller.free, link.closed)
	}
}

// TestReviewFollowsTheVolume gives a regular the price of his tier, from what the ledger has charged him.
func TestReviewFollowsTheVolume(t *testing.T) {
	regular := units.PeerKey{1, 2, 3}
	cheaper := units.Price{Msat: units.Sat / 2, Per: units.MiB}
	d, _, talk := reviewed(t, "", config.SellRule{Any: true, Price: somePrice, Tiers: []config.Tier{{After: 5 * units.MiB, Price: cheaper}}})
	ctx := context.Background()
	talk.seller.stock.buyer = regular
	d.leases.attach(talk, regular, units.InfoHash{7})
	for _, c := range []struct {
		bytes units.Bytes
		price units.Price
	}{{0, somePrice}, {4 * units.MiB, somePrice}, {units.MiB, cheaper}} {
		if c.bytes > 0 {
			if _, _, err := d.ledger.Charge(ctx, ledger.Charge{Buyer: regular, InfoHash: units.InfoHash{9}, Price: somePrice, Bytes: c.bytes}); err != nil {
				t.Fatal(err)
			}
		}
		talk.seller.stock.leaseCredit(ctx)
		talk.ruled = ruling{}
		talk.adopt(ctx, time.Now())
		if talk.seller.rule.Price != c.price {
			t.Errorf("after %v more: %v, want %v", c.bytes, talk.seller.rule.Price, c.price)
		}
	}
}

// TestRefusalsHoldWithoutARail has no Lightning node: nobody is charged, and who is refused is refused.
func TestRefusalsHoldWithoutARail(t *testing.T) {
	byClient := config.SellRule{Deny: true, Match: config.Match{ClientID: []string{"-XX"}}}
	byNetwork := config.SellRule{Deny: true, Match: config.Match{Peer: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}
	for _, c := range []struct {
		name   string
		rules  []config.SellRule
		admit  proxy.Treatment
		hidden bool // a torrent that cannot be seen might be refused
		closed string
	}{
		{"nothing but prices", []config.SellRule{{Any: true, Price: somePrice}}, proxy.Free, false, ""},
		{"this network refused", []config.SellRule{byNetwork, {Any: true, Price: somePrice}}, proxy.Denied, true, denied},
		{"this client refused", []config.SellRule{byClient, {Any: true, Price: somePrice}}, proxy.Watched, true, denied},
		{"another client refused", []config.SellRule{{Deny: true, Match: config.Match{ClientID: []string{"-YY"}}}, {Any: true, Price: somePrice}}, proxy.Watched, true, ""},
		{"free before it is refused", []config.SellRule{{Any: true}, byNetwork}, proxy.Free, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := openLedger(t, filepath.Join(t.TempDir(), "seller.sqlite"))
			defer l.Close()
			_, buy := simRules()
			for i := range c.rules {
				c.rules[i].Rights, c.rules[i].When, c.rules[i].Max = "own", "always", 100*units.Sat
			}
			d := newDesk(t, Config{Network: "regtest", Sell: config.Sell{Rules: c.rules}, Buy: buy}, l, nil, filepath.Join(t.TempDir(), "key"))
			link := &simLink{s: &sim{infoHash: units.InfoHash{7}}, initiator: true, remote: netip.MustParseAddrPort("192.0.2.7:6881"), remoteID: "-XX1000-abcdefghijkl"}
			if got := d.Admit(proxy.Arrival{InfoHash: link.InfoHash(), Remote: link.remote}); got != c.admit || d.MayCharge() != c.hidden {
				t.Errorf("admitted as %d, want %d; hidden ones refused: %t", got, c.admit, d.MayCharge())
			}
			talk := d.open(link)
			if talk.seller != nil || talk.buyer != nil {
				t.Error("something is sold or bought")
			}
			talk.adopt(t.Context(), time.Now())
			if _, _, closed := link.state(); closed != c.closed {
				t.Errorf("closed for %q, want %q", closed, c.closed)
			}
		})
	}
}
