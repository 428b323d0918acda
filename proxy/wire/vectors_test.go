package wire

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"

	"paygate/units"
)

// vectors are the published test vectors, testdata/vectors.txt: one value a line, `name = hexadecimal digits`; empty lines
// and lines that begin with # say nothing. Each name stands there once.
type vectors struct {
	t      *testing.T
	values map[string][]byte
	seen   map[string]bool
}

func readVectors(t *testing.T) *vectors {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	v := &vectors{t: t, values: map[string][]byte{}, seen: map[string]bool{}}
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, digits, _ := strings.Cut(line, " =")
		value, err := hex.DecodeString(strings.TrimSpace(digits))
		if _, twice := v.values[name]; err != nil || twice {
			t.Fatalf("vectors.txt: bad line for %q: %v", name, err)
		}
		v.values[name] = value
	}
	return v
}

func (v *vectors) get(name string) []byte {
	v.t.Helper()
	b, ok := v.values[name]
	if !ok {
		v.t.Fatalf("no vector %q", name)
	}
	v.seen[name] = true
	return b
}

// group calls fn for every vector whose name begins with prefix, and fails if there is none.
func (v *vectors) group(prefix string, fn func(name string, b []byte)) {
	v.t.Helper()
	found := false
	for name, b := range v.values {
		if strings.HasPrefix(name, prefix) {
			found, v.seen[name] = true, true
			fn(name, b)
		}
	}
	if !found {
		v.t.Fatalf("no vector %s*", prefix)
	}
}

func TestVectors(t *testing.T) {
	v := readVectors(t)
	checkHandshakeVectors(t, v)
	checkIdentityVectors(t, v)
	checkMessageVectors(t, v)
	checkRefusedVectors(t, v)
	for name := range v.values {
		if !v.seen[name] {
			t.Errorf("vector %s is not tested", name)
		}
	}
}

func checkHandshakeVectors(t *testing.T, v *vectors) {
	head := NewHead(units.InfoHash(v.get("head.info-hash")))
	equal(t, "head.new", head[:], v.get("head.new"))
	for side, nonce := range map[string]string{
		"advert.initiator": "000102030405060708090a0b0c0d0e0f", "advert.acceptor": "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
	} {
		want := Advert{V: 1, Nonce: [16]byte(mustHex(t, nonce)), Methods: []string{"bolt11"}, Net: "regtest"}
		got, err := ParseAdvert(v.get(side))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", side, got, err)
		}
		equal(t, side, want.Encode(), v.get(side))
	}
	out, err := RewriteExtHandshake(nil, v.get("rewrite.before"), Rewrite{
		Names: []Name{{Name: "pg_pay", ID: 200, Dict: v.get("advert.initiator")}},
		Port:  6881, YourIP: netip.MustParseAddr("203.0.113.7"),
	})
	if err != nil {
		t.Error(err)
	}
	equal(t, "rewrite.after", out, v.get("rewrite.after"))
	equal(t, "rewrite.frame", AppendExtended(nil, 0, out), v.get("rewrite.frame"))
}

func checkIdentityVectors(t *testing.T, v *vectors) {
	ih := units.InfoHash(v.get("head.info-hash"))
	seller, buyer := units.PeerKey(v.get("seller.pk")), units.PeerKey(v.get("buyer.pk"))
	node := units.NodeKey(v.get("seller.node"))
	initiator, acceptor := v.get("advert.initiator"), v.get("advert.acceptor")
	for _, c := range []struct {
		who  string
		pk   units.PeerKey
		text []byte
		node units.NodeKey
	}{
		{"seller", seller, HelloText(initiator, acceptor, ih, seller, units.PeerKey{}, RoleSeller, node), node},
		{"buyer", buyer, HelloText(initiator, acceptor, ih, buyer, seller, RoleBuyer, units.NodeKey{}), units.NodeKey{}},
	} {
		key := ed25519.NewKeyFromSeed(v.get(c.who + ".seed"))
		equal(t, c.who+".pk", key.Public().(ed25519.PublicKey), c.pk[:])
		equal(t, "hello text of the "+c.who, c.text, v.get("hello."+c.who+".text"))
		sig := ed25519.Sign(key, c.text)
		equal(t, "signature of the "+c.who, sig, v.get("hello."+c.who+".sig"))
		checkMessage(t, v, "message.hello."+c.who, Hello{PK: c.pk, Sig: [64]byte(sig), Node: c.node})
	}
	price := units.Price{Msat: 25000, Per: units.GiB}
	hash := Binding(buyer, seller, 429496729, price)
	equal(t, "binding", hash[:], v.get("binding.hash"))
	dict := newDict(map[string][]byte{
		"b": text(buyer[:]), "s": text(seller[:]), "buys": integer(units.Bytes(429496729)), "per": integer(price.Per), "price": integer(price.Msat),
	})
	equal(t, "binding.dict", dict, v.get("binding.dict"))
}

func checkMessageVectors(t *testing.T, v *vectors) {
	pre := units.Preimage{}
	for i := range pre {
		pre[i] = byte(i)
	}
	for name, m := range map[string]Message{
		"terms":            Terms{Price: units.Price{Msat: 25000, Per: units.GiB}, Min: 10000, Max: 5000000, Free: units.MiB, TTL: 600},
		"buy.bytes":        Buy{Amt: 10000, For: ForBytes, Left: -1},
		"buy.left-and-bid": Buy{Amt: 40000, For: ForBytes, Left: 256 * units.MiB, Bid: 30000},
		"buy.debt":         Buy{Amt: 1, For: ForDebt},
		"buy.tip":          Buy{Amt: units.MaxMsat, For: ForTip, Left: -1},
		"invoice":          Invoice{Request: "lnbcrt100n1examplenotarealinvoice", Buys: 429496729, For: ForBytes},
		"paid":             Paid{Pre: pre},
		"state.open":       State{Served: 123456789, Charged: 2875, Bal: 7125, Gate: GateOpen},
		"state.debt":       State{Bal: -1, Gate: GateHeld},
		"no":               No{Code: NoOverBudget, TTL: 60},
	} {
		checkMessage(t, v, "message."+name, m)
	}
	if m, err := ParseMessage(v.get("tolerate.unknown-keys")); err != nil || m != Message(No{Code: NoBusy, TTL: 5}) {
		t.Errorf("unknown keys: %+v, %v", m, err)
	}
	if m, err := ParseMessage(v.get("ignore.unknown-type")); !errors.Is(err, ErrUnknownType) || m != nil {
		t.Errorf("unknown type: %+v, %v", m, err)
	}
}

func checkMessage(t *testing.T, v *vectors, name string, want Message) {
	t.Helper()
	got, err := ParseMessage(v.get(name))
	if err != nil || got != want {
		t.Errorf("%s: %+v, want %+v, %v", name, got, want, err)
	}
	b, err := EncodeMessage(want)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	equal(t, name, b, v.get(name))
}

func checkRefusedVectors(t *testing.T, v *vectors) {
	v.group("refuse.message.", func(name string, b []byte) {
		m, err := ParseMessage(b)
		var se *SyntaxError
		if m != nil || !errors.As(err, &se) || err.Error() == "" {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	})
	v.group("refuse.advert.", func(name string, b []byte) {
		_, err := ParseAdvert(b)
		var se *SyntaxError
		unknown := name == "refuse.advert.version-unknown"
		if unknown != errors.Is(err, ErrUnknownVersion) || unknown == errors.As(err, &se) {
			t.Errorf("%s: %v", name, err)
		}
	})
}

func equal(t *testing.T, name string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n got %x\nwant %x", name, got, want)
	}
}
