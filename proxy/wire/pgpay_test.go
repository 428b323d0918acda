package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	"pgregory.net/rapid"

	"paygate/units"
)

func genWord() *rapid.Generator[string] { return rapid.StringMatching(`[a-z0-9_-]{1,32}`) }

func genMsat(lo units.Msat) *rapid.Generator[units.Msat] {
	return rapid.Map(rapid.Int64Range(int64(lo), int64(units.MaxMsat)), func(n int64) units.Msat { return units.Msat(n) })
}

func genSize(lo units.Bytes) *rapid.Generator[units.Bytes] {
	return rapid.Map(rapid.Int64Range(int64(lo), int64(MaxBytes)), func(n int64) units.Bytes { return units.Bytes(n) })
}

func genTTL() *rapid.Generator[int64] { return rapid.Int64Range(0, MaxTTL) }

func genFor() *rapid.Generator[string] { return rapid.SampledFrom([]string{ForBytes, ForDebt, ForTip}) }

func genHello(t *rapid.T) Message {
	var m Hello
	copy(m.PK[:], genBytes(32, 32).Draw(t, "pk"))
	copy(m.Sig[:], genBytes(64, 64).Draw(t, "sig"))
	m.PK[31] |= 1
	if rapid.Bool().Draw(t, "seller") {
		copy(m.Node[:], genBytes(33, 33).Draw(t, "node"))
		m.Node[0] = 2 + m.Node[0]&1
	}
	return m
}

func genTerms(t *rapid.T) Message {
	most := genMsat(0).Draw(t, "max")
	return Terms{
		Price: units.Price{Msat: genMsat(0).Draw(t, "price"), Per: units.Bytes(rapid.Int64Range(1, units.MaxPer).Draw(t, "per"))},
		Min:   units.Msat(rapid.Int64Range(0, int64(most)).Draw(t, "min")), Max: most,
		Free: genSize(0).Draw(t, "free"), Credit: genMsat(0).Draw(t, "credit"), TTL: genTTL().Draw(t, "ttl"),
	}
}

func genPaid(t *rapid.T) Message {
	var m Paid
	copy(m.Pre[:], genBytes(32, 32).Draw(t, "pre"))
	return m
}

var genPay = rapid.Custom(func(t *rapid.T) Message {
	switch rapid.IntRange(0, 6).Draw(t, "type") {
	case 0:
		return genHello(t)
	case 1:
		return genTerms(t)
	case 2:
		bid := rapid.OneOf(rapid.Just(units.Msat(0)), genMsat(1)).Draw(t, "bid")
		return Buy{Amt: genMsat(1).Draw(t, "amt"), For: genFor().Draw(t, "for"), Left: genSize(-1).Draw(t, "left"), Bid: bid}
	case 3:
		pr := rapid.StringMatching(`ln[a-zA-Z0-9]{0,900}`).Draw(t, "pr")
		return Invoice{Request: pr, Buys: genSize(1).Draw(t, "buys"), For: genFor().Draw(t, "for")}
	case 4:
		return genPaid(t)
	case 5:
		gate := rapid.SampledFrom([]string{GateOpen, GateHeld, GateShut, GateBusy}).Draw(t, "gate")
		return State{
			Served: genSize(0).Draw(t, "served"), Charged: genMsat(0).Draw(t, "charged"),
			Bal: genMsat(-units.MaxMsat).Draw(t, "bal"), Gate: gate,
		}
	}
	return No{Code: genWord().Draw(t, "code"), TTL: genTTL().Draw(t, "ttl")}
})

func TestMessageRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := genPay.Draw(t, "message")
		b, err := EncodeMessage(m)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseMessage(b)
		if err != nil || back != m || back.Type() != m.Type() {
			t.Fatalf("%+v, want %+v, %v", back, m, err)
		}
		var theirs map[string]any
		if err := bencode.Unmarshal(b, &theirs); err != nil || theirs["t"] != m.Type() {
			t.Fatalf("%v, %v", theirs, err)
		}
		if again := bencode.MustMarshal(theirs); !bytes.Equal(again, b) {
			t.Fatalf("not canonical: %q, %q", b, again)
		}
	})
}

// A later version may add keys anywhere: the message stays what it was.
func TestUnknownKeysAreIgnored(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := genPay.Draw(t, "message")
		b, err := EncodeMessage(m)
		if err != nil {
			t.Fatal(err)
		}
		key := "x" + genWord().Draw(t, "key")
		b, err = RewriteExtHandshake(nil, b, Rewrite{Names: []Name{{Name: key, Dict: []byte(genValue(3).Draw(t, "value"))}}})
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseMessage(b)
		if len(b) > MaxMessage {
			if err == nil {
				t.Fatalf("%d bytes were taken", len(b))
			}
			return
		}
		if err != nil || back != m {
			t.Fatalf("%+v, want %+v, %v", back, m, err)
		}
	})
}

func TestAdvertRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Advert{
			V: Version, Methods: rapid.SliceOfN(genWord(), 1, MaxMethods).Draw(t, "methods"), Net: genWord().Draw(t, "net"),
			Nonce: [16]byte(genBytes(16, 16).Draw(t, "nonce")),
		}
		back, err := ParseAdvert(a.Encode())
		if err != nil || !reflect.DeepEqual(back, a) {
			t.Fatalf("%+v, want %+v, %v", back, a, err)
		}
	})
}

func TestParseAdvertVersion(t *testing.T) {
	a, err := ParseAdvert([]byte("d1:vi7e4:what4:evere"))
	if !errors.Is(err, ErrUnknownVersion) || a.V != 7 {
		t.Fatalf("%+v, %v", a, err)
	}
	many := Advert{V: 1, Methods: make([]string, MaxMethods+1), Net: "regtest"}
	for i := range many.Methods {
		many.Methods[i] = fmt.Sprintf("m%d", i)
	}
	if _, err := ParseAdvert(many.Encode()); err == nil {
		t.Fatal("too many methods were taken")
	}
}

type foreign struct{}

func (foreign) Type() string { return "no" }

func TestEncodeMessageRefuses(t *testing.T) {
	pk := units.PeerKey{1}
	terms := Terms{Price: units.Price{Msat: 1, Per: 1}, Max: 1}
	for name, m := range map[string]Message{
		"hello without a key":    Hello{},
		"hello with a bad node":  Hello{PK: pk, Node: units.NodeKey{5}},
		"terms without a price":  Terms{Max: 1},
		"terms, price negative":  func() Terms { t := terms; t.Price.Msat = -1; return t }(),
		"terms, per too large":   func() Terms { t := terms; t.Price.Per = units.MaxPer + 1; return t }(),
		"terms, max below min":   func() Terms { t := terms; t.Min = 2; return t }(),
		"terms, negative min":    func() Terms { t := terms; t.Min = -1; return t }(),
		"terms, negative free":   func() Terms { t := terms; t.Free = -1; return t }(),
		"terms, negative credit": func() Terms { t := terms; t.Credit = -1; return t }(),
		"terms, ttl too long":    func() Terms { t := terms; t.TTL = MaxTTL + 1; return t }(),
		"buy nothing":            Buy{For: ForBytes},
		"buy for nothing":        Buy{Amt: 1},
		"buy too much":           Buy{Amt: units.MaxMsat + 1, For: ForTip},
		"buy, left below -1":     Buy{Amt: 1, For: ForTip, Left: -2},
		"buy, left too large":    Buy{Amt: 1, For: ForTip, Left: MaxBytes + 1},
		"buy, negative bid":      Buy{Amt: 1, For: ForTip, Bid: -1},
		"invoice without one":    Invoice{Buys: 1, For: ForBytes},
		"invoice too long":       Invoice{Request: strings.Repeat("a", MaxMessage), Buys: 1, For: ForBytes},
		"invoice in the clouds":  Invoice{Request: "ln", Buys: math.MaxInt64, For: ForBytes},
		"state without a gate":   State{},
		"state, deep debt":       State{Bal: -units.MaxMsat - 1, Gate: GateOpen},
		"no without a code":      No{},
		"no with a long code":    No{Code: strings.Repeat("x", 33)},
		"no, negative ttl":       No{Code: NoBusy, TTL: -1},
		"foreign":                foreign{},
		"nil":                    nil,
	} {
		if b, err := EncodeMessage(m); err == nil || b != nil {
			t.Errorf("%s: %q", name, b)
		}
	}
}

func TestMessageBoundsAreInclusive(t *testing.T) {
	for _, m := range []Message{
		Terms{Price: units.Price{Msat: units.MaxMsat, Per: units.MaxPer}, Min: units.MaxMsat, Max: units.MaxMsat, Free: MaxBytes, Credit: units.MaxMsat, TTL: MaxTTL},
		Terms{Price: units.Price{Per: 1}},
		Buy{Amt: 1, For: ForTip},
		Invoice{Request: "l", For: ForDebt},
		State{Served: MaxBytes, Charged: units.MaxMsat, Bal: -units.MaxMsat, Gate: GateShut},
		No{Code: strings.Repeat("x", 32), TTL: MaxTTL},
	} {
		b, err := EncodeMessage(m)
		if err != nil {
			t.Errorf("%+v: %v", m, err)
			continue
		}
		if back, err := ParseMessage(b); err != nil || back != m {
			t.Errorf("%+v: %+v, %v", m, back, err)
		}
	}
}

func TestLongestMessage(t *testing.T) {
	fit := MaxMessage - len("d4:buysi1e3:for5:bytes2:pr4040:1:t7:invoicee")
	for _, n := range []int{fit, fit + 1} {
		b, err := EncodeMessage(Invoice{Request: strings.Repeat("a", n), Buys: 1, For: ForBytes})
		if (err == nil) != (n == fit) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		if err == nil && len(b) != MaxMessage {
			t.Fatalf("%d bytes, not %d", len(b), MaxMessage)
		}
	}
}

func TestErrorsDoNotEchoPeers(t *testing.T) {
	long := strings.Repeat("\n", 2000)
	for _, s := range []string{
		string(newDict(map[string][]byte{"t": text(long)})),
		string(appendText([]byte("d1:zi1e"), long)) + "i1ee",
		"d1:t" + string(text("no")) + "4:code" + string(text(long)) + "e",
	} {
		_, err := ParseMessage([]byte(s))
		if err == nil || len(err.Error()) > 200 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v", err)
		}
	}
}

func TestParsePreimageIsNotPrinted(t *testing.T) {
	b, _ := EncodeMessage(Paid{Pre: units.Preimage{0xab, 0xcd}})
	m, err := ParseMessage(b)
	printed := fmt.Sprintf("%v %+v %#v %x", m, m, m, m)
	if err != nil || strings.Contains(printed, "171") || strings.Contains(printed, "abcd") || strings.Contains(printed, "0xab") {
		t.Fatalf("%s, %v", printed, err)
	}
}

func FuzzMessage(f *testing.F) {
	for _, m := range []Message{
		Hello{PK: units.PeerKey{1}, Node: units.NodeKey{2}},
		Terms{Price: units.Price{Msat: 25000, Per: units.GiB}, Max: 10},
		Buy{Amt: 5, For: ForDebt, Left: 9, Bid: 8},
		Invoice{Request: "lnbcrt1", Buys: 7, For: ForBytes},
		Paid{},
		State{Gate: GateOpen, Bal: -4},
		No{Code: NoTooDear},
	} {
		b, err := EncodeMessage(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(Advert{V: 1, Methods: []string{"bolt11"}, Net: "mainnet"}.Encode())
	f.Add([]byte("d1:t4:winke"))
	f.Add([]byte("d3:amti-1e3:for5:bytes1:t3:buye"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzzAdvert(t, b)
		m, err := ParseMessage(b)
		if err != nil {
			var se *SyntaxError
			if m != nil || errors.Is(err, ErrUnknownType) == errors.As(err, &se) {
				t.Fatalf("%+v, %v", m, err)
			}
			return
		}
		canonical, err := EncodeMessage(m)
		if err != nil || len(canonical) > len(b) {
			t.Fatalf("%+v was read but cannot be written: %v", m, err)
		}
		if back, err := ParseMessage(canonical); err != nil || back != m {
			t.Fatalf("%+v, want %+v, %v", back, m, err)
		}
	})
}

func fuzzAdvert(t *testing.T, b []byte) {
	a, err := ParseAdvert(b)
	if err != nil {
		return
	}
	if back, err := ParseAdvert(a.Encode()); err != nil || !reflect.DeepEqual(back, a) {
		t.Fatalf("%+v, want %+v, %v", back, a, err)
	}
}
