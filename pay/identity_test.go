package pay

import (
	"os"
	"path/filepath"
	"testing"

	"paygate/proxy/wire"
	"paygate/units"
)

func testKeys(t *testing.T) *Keys {
	t.Helper()
	k, err := LoadKeys(filepath.Join(t.TempDir(), "identity.key"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeysSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.key")
	first, err := LoadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Seller().Equal(again.Seller()) {
		t.Error("the seller's key has changed")
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("the identity file has mode %v", st.Mode())
	}
}

func TestDamagedIdentityIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.key")
	if err := os.WriteFile(path, []byte("not a key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKeys(path); err == nil {
		t.Error("a damaged identity was accepted")
	}
}

func TestSellersCannotLinkABuyer(t *testing.T) {
	k := testKeys(t)
	a, b := publicKey(k.Buyer(units.PeerKey{1})), publicKey(k.Buyer(units.PeerKey{2}))
	if a == b || a == publicKey(k.Seller()) {
		t.Error("one key is used towards two parties")
	}
	if a != publicKey(k.Buyer(units.PeerKey{1})) {
		t.Error("the key towards one seller is not stable")
	}
}

func TestHelloIsForThisConnectionAlone(t *testing.T) {
	buyer, seller := testKeys(t), testKeys(t)
	spk := publicKey(seller.Seller())
	bkey := buyer.Buyer(spk)
	intro := introduction{initiator: []byte("d1:vi1ee"), acceptor: []byte("d1:vi2ee"), infoHash: units.InfoHash{5}}
	h := intro.hello(bkey, spk, wire.RoleBuyer, units.NodeKey{})
	if err := intro.verify(h, spk, spk, wire.RoleBuyer); err != nil {
		t.Fatal(err)
	}
	other := intro
	for name, bad := range map[string]func() error{
		"another torrent": func() error {
			other = intro
			other.infoHash = units.InfoHash{6}
			return other.verify(h, spk, spk, wire.RoleBuyer)
		},
		"another connection": func() error {
			other = intro
			other.initiator = []byte("d1:vi3ee")
			return other.verify(h, spk, spk, wire.RoleBuyer)
		},
		"reflected": func() error {
			other = introduction{intro.acceptor, intro.initiator, intro.infoHash}
			return other.verify(h, spk, spk, wire.RoleBuyer)
		},
		"another role":   func() error { return intro.verify(h, spk, spk, wire.RoleSeller) },
		"another seller": func() error { return intro.verify(h, spk, units.PeerKey{8}, wire.RoleBuyer) },
		"own key":        func() error { return intro.verify(h, h.PK, spk, wire.RoleBuyer) },
		"stolen key":     func() error { x := h; x.PK = spk; return intro.verify(x, units.PeerKey{}, spk, wire.RoleBuyer) },
		"with a node":    func() error { x := h; x.Node = units.NodeKey{2}; return intro.verify(x, spk, spk, wire.RoleBuyer) },
	} {
		if bad() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
