package doctor

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"gopkg.in/macaroon.v2"

	"paygate/config"
	"paygate/lnclient"
	"paygate/lnclient/sandbox"
	"paygate/units"
)

func replace(text, dir string) string { return strings.ReplaceAll(text, "DIR", dir) }

// sandboxNode is a node without channels.
func sandboxNode(t *testing.T) *sandbox.Node {
	t.Helper()
	network, err := sandbox.New(sandbox.Config{})
	must(t, err)
	t.Cleanup(func() { must(t, network.Close()) })
	n, err := network.AddNode("alice", "127.0.0.1:0")
	must(t, err)
	return n
}

func baked(t *testing.T, n *sandbox.Node, uris ...string) units.Secret {
	t.Helper()
	m, err := n.Bake(uris...)
	must(t, err)
	return m
}

// until adds an expiry, as anybody can.
func until(t *testing.T, s units.Secret, when time.Time) units.Secret {
	t.Helper()
	raw, err := hex.DecodeString(s.Reveal())
	must(t, err)
	var m macaroon.Macaroon
	must(t, m.UnmarshalBinary(raw))
	must(t, m.AddFirstPartyCaveat([]byte("time-before "+when.Format(time.RFC3339))))
	raw, err = m.MarshalBinary()
	must(t, err)
	return units.Secret(hex.EncodeToString(raw))
}

func TestMacaroon(t *testing.T) {
	n := sandboxNode(t)
	sell, buy := baked(t, n, lnclient.SellPermissions()...), baked(t, n, lnclient.BuyPermissions()...)
	both := baked(t, n, lnclient.Permissions(true, true)...)
	foreign, err := macaroon.New([]byte("key"), []byte("id"), "", macaroon.V2)
	must(t, err)
	raw, err := foreign.MarshalBinary()
	must(t, err)
	blind := append(lnclient.SellPermissions()[:1:1], lnclient.SellPermissions()[3:]...)
	trader := selling()
	trader.Buy = buying().Buy
	const fine = "it allows what is needed, and nothing more that could move money"
	for _, tt := range []struct {
		name   string
		c      *config.Config
		mac    units.Secret
		admin  bool
		v      Verdict
		text   string
		remedy string
	}{
		{"for selling", selling(), sell, false, Pass, fine, ""},
		{"for buying", buying(), buy, false, Pass, fine, ""},
		{"for both", trader, both, false, Pass, fine, ""},
		{"that reads more", selling(), baked(t, n, append(lnclient.SellPermissions(), "/lnrpc.Lightning/WalletBalance")...), false, Pass, fine, ""},
		{"for rules that move nothing", &config.Config{}, both, false, Pass, fine, ""},
		{
			"for selling, to buy with", buying(), sell, false, Fail,
			"it does not allow /routerrpc.Router/SendPaymentV2, /routerrpc.Router/TrackPaymentV2", "make a new one: paygate lnd setup --for buy",
		},
		{
			"that cannot see liquidity", selling(), baked(t, n, blind...), false, Warn,
			"it does not allow /lnrpc.Lightning/ListChannels, /lnrpc.Lightning/ChannelBalance, so nobody sees when the node runs out of liquidity", "make a new one: paygate lnd setup --for sell",
		},
		{"for both, to sell with", selling(), both, false, Warn, "it allows what your rules never do: uri:/routerrpc.Router/SendPaymentV2", "make a new one: paygate lnd setup --for sell"},
		{
			"admin", trader, n.Macaroon(), false, Fail, "it allows more than paygate needs: macaroon:generate, macaroon:write, offchain:write, onchain:write, signer:write",
			"make a new one: paygate lnd setup --for both, or set lightning.allow_admin_macaroon: true",
		},
		{
			"admin, allowed", trader, n.Macaroon(), true, Warn,
			"it allows more than paygate needs: macaroon:generate, macaroon:write, offchain:write, onchain:write, signer:write; you have allowed it", "make a new one: paygate lnd setup --for both",
		},
		{"expired", selling(), until(t, sell, noon), false, Fail, "it expired at 2026-03-04 12:00 UTC", "make a new one: paygate lnd setup --for sell"},
		{"expiring", selling(), until(t, sell, noon.Add(expiresSoon-time.Second)), false, Warn, "it expires at 2026-03-18 11:59 UTC", "make a new one: paygate lnd setup --for sell"},
		{"expiring later", selling(), until(t, sell, noon.Add(expiresSoon)), false, Pass, fine, ""},
		{"of another program", selling(), units.Secret(hex.EncodeToString(raw)), false, Warn, "what it allows cannot be told: it is not of lnd's kind", "make a new one: paygate lnd setup --for sell"},
		{"that is none", selling(), "0a0a", false, Fail, "it is not a macaroon", "make a new one: paygate lnd setup --for sell"},
	} {
		tt.c.Lightning.Macaroon, tt.c.Lightning.AllowAdmin = tt.mac, tt.admin
		f := rights(tt.c, noon)
		is(t, tt.name, f, tt.v, tt.text)
		if f.Remedy != tt.remedy {
			t.Errorf("%s: remedy %q, want %q", tt.name, f.Remedy, tt.remedy)
		}
	}
}

func TestShortly(t *testing.T) {
	if got := shortly([]int{1, 2, 3, 4, 5, 6, 7}); got != "1, 2, 3, 4, 5, and 2 more" {
		t.Error(got)
	}
}
