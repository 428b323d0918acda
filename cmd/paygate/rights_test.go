package main

import (
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"gopkg.in/macaroon.v2"

	"paygate/config"
	"paygate/lnclient"
	"paygate/lnclient/sandbox"
	"paygate/units"
)

// node starts a sandbox with one node in this process.
func node(t *testing.T) *sandbox.Node {
	t.Helper()
	network, err := sandbox.New(sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Close(); err != nil {
			t.Error(err)
		}
	})
	n, err := network.AddNode("node", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func baked(t *testing.T, n *sandbox.Node, uris ...string) units.Secret {
	t.Helper()
	m, err := n.Bake(uris...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCheckRights(t *testing.T) {
	n := node(t)
	foreign, err := macaroon.New([]byte("key"), []byte("another program's"), "", macaroon.V2)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := foreign.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	all := lnclient.Permissions(true, true)
	for _, tt := range []struct {
		name     string
		macaroon units.Secret
		allow    bool
		want     string // of the error; empty: none
		warned   int
	}{
		{"for selling", baked(t, n, lnclient.SellPermissions()...), false, "", 0},
		{"for buying", baked(t, n, lnclient.BuyPermissions()...), false, "", 0},
		{"for both", baked(t, n, all...), false, "", 0},
		{"reads more", baked(t, n, append(all, "/lnrpc.Lightning/WalletBalance")...), false, "", 0},
		{
			"spends more", baked(t, n, append(all, "/lnrpc.Lightning/SendCoins")...), false,
			"the macaroon allows more than paygate needs (uri:/lnrpc.Lightning/SendCoins): bake one with `paygate lnd setup`, or set lightning.allow_admin_macaroon: true", 0,
		},
		{
			"admin", n.Macaroon(), false, "the macaroon allows more than paygate needs (macaroon:generate, macaroon:write, offchain:write, onchain:write, signer:write): " +
				"bake one with `paygate lnd setup`, or set lightning.allow_admin_macaroon: true", 0,
		},
		{"admin, allowed", n.Macaroon(), true, "", 0},
		{"another program's", units.Secret(hex.EncodeToString(raw)), false, "", 1},
		{"none", "0a0a", false, "read lightning.macaroon: it is not a macaroon", 0},
	} {
		core, logs := observer.New(zap.DebugLevel)
		err := checkRights(config.Lightning{Address: "127.0.0.1:1", Macaroon: tt.macaroon, AllowAdmin: tt.allow}, zap.New(core))
		if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want || logs.Len() != tt.warned {
			t.Errorf("%s: %v, want %q; %d lines logged", tt.name, err, tt.want, logs.Len())
		}
	}
}

func TestRightsTextIsShort(t *testing.T) {
	rights := make([]lnclient.Right, 8)
	for i := range rights {
		rights[i] = lnclient.Right{Entity: "uri", Action: "/a\x1b"}
	}
	if got := rightsText(rights); got != strings.Repeat("uri:/a?, ", 5)+"and 3 more" {
		t.Errorf("%q", got)
	}
}

// TestRunRefusesAnAdminMacaroon runs the program as its owner would.
func TestRunRefusesAnAdminMacaroon(t *testing.T) {
	dir, n := t.TempDir(), node(t)
	writeFile(t, filepath.Join(dir, "tls.cert"), string(n.TLSCert()))
	writeFile(t, filepath.Join(dir, "admin.macaroon"), n.Macaroon().Reveal())
	writeFile(t, filepath.Join(dir, "paygate.yaml"), "data_dir: data\nlisten: {peers: 127.0.0.1:0}\nclient: {address: 127.0.0.1:6881}\n"+
		"lightning: {address: '"+n.Address()+"', tls_cert: tls.cert, macaroon: admin.macaroon, network: regtest}\n")
	got := runIn(t, dir, "run")
	if got.code != exitConfiguration || got.stdout != "" || !strings.Contains(got.stderr, "\npaygate: the macaroon allows more than paygate needs (macaroon:generate, ") {
		t.Errorf("%+v", got)
	}
}
