package wire

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	pp "github.com/anacrolix/torrent/peer_protocol"
	"pgregory.net/rapid"
)

var payNames = []Name{{Name: "tr_payments", ID: 201}, {Name: "pg_pay", ID: 200, Dict: []byte("d1:vi1ee")}}

func TestRewriteExtHandshake(t *testing.T) {
	all := Rewrite{Names: payNames, Port: 7000, YourIP: netip.MustParseAddr("::ffff:1.2.3.4")}
	six := Rewrite{YourIP: netip.MustParseAddr("2001:db8::1")}
	for _, c := range []struct {
		name, in, want string
		r              Rewrite
	}{
		{"nothing to do", hostileHandshakes["unsorted"], hostileHandshakes["unsorted"], Rewrite{}},
		{
			"qBittorrent", realHandshakes["qBittorrent 4.5.2"],
			"d12:complete_agoi12e1:md11:lt_donthavei7e6:pg_payi200e10:share_modei8e11:tr_paymentsi201e11:upload_onlyi3e12:ut_holepunchi4e11:ut_metadatai2ee" +
				"13:metadata_sizei3214e1:pi7000e6:pg_payd1:vi1ee4:reqqi2000e11:upload_onlyi1e1:v17:qBittorrent/4.5.26:yourip4:\x01\x02\x03\x04e",
			all,
		},
		{"m is missing", "d1:ei0e1:pi1ee", "d1:ei0e1:md6:pg_payi200e11:tr_paymentsi201ee1:pi7000e6:pg_payd1:vi1eee", all},
		{"empty", "de", "d1:md6:pg_payi200e11:tr_paymentsi201ee6:pg_payd1:vi1eee", all},
		{"trailing bytes", "dede", "d1:md6:pg_payi200e11:tr_paymentsi201ee6:pg_payd1:vi1eeede", all},
		{"names taken", "d1:md6:pg_payi7e11:tr_paymentsi8ee6:pg_payi0ee", "d1:md6:pg_payi200e11:tr_paymentsi201ee6:pg_payd1:vi1eee", all},
		{
			"everything twice", "d1:md6:pg_payi1e6:pg_payi2ee1:md1:zi1ee6:pg_payde1:pi1e1:pi2e6:pg_pay0:e",
			"d1:md6:pg_payi200e6:pg_payi200e11:tr_paymentsi201ee1:md6:pg_payi200e11:tr_paymentsi201e1:zi1ee6:pg_payd1:vi1ee1:pi7000e1:pi7000e6:pg_payd1:vi1eee", all,
		},
		{"unsorted", "d1:z0:1:a0:1:md1:zi1e1:ai2eee", "d1:md6:pg_payi200e11:tr_paymentsi201ee1:z0:1:a0:e", Rewrite{}},
		{"values of other types", "d1:mde1:ple6:youripdee", "d1:mde1:pi7000e6:yourip4:\x01\x02\x03\x04e", Rewrite{Port: 7000, YourIP: all.YourIP}},
		{"IPv6", "d6:yourip4:abcde", "d6:yourip16:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01e", six},
		{"no yourip, no p", "d1:mdee", "d1:mdee", Rewrite{Port: 5, YourIP: six.YourIP}},
		{"switched off", "d1:md6:pg_payi9eee", "d1:md6:pg_payi0eee", Rewrite{Names: []Name{{Name: "pg_pay"}}}},
		{"nil Dict leaves the key", "d1:mde6:pg_pay1:xe", "d1:md6:pg_payi9ee6:pg_pay1:xe", Rewrite{Names: []Name{{Name: "pg_pay", ID: 9}}}},
		{"m that is not at the top", "d1:ad1:mdee1:mdee", "d1:ad1:mdee1:md1:xi9eee", Rewrite{Names: []Name{{Name: "x", ID: 9}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := c.want
			if c.name == "unsorted" {
				c.r.Names = payNames[:1]
				want = "d1:z0:1:a0:1:md11:tr_paymentsi201e1:zi1e1:ai2eee"
			}
			in := bytes.Clone([]byte(c.in))
			got, err := RewriteExtHandshake([]byte("dst"), in, c.r)
			if err != nil || string(got) != "dst"+want {
				t.Fatalf("%v\n got %q\nwant %q", err, got, "dst"+want)
			}
			if string(in) != c.in {
				t.Fatal("the payload was written to")
			}
		})
	}
}

func TestRewriteRefuses(t *testing.T) {
	for name, r := range map[string]Rewrite{
		"name twice":           {Names: []Name{{Name: "a", ID: 1}, {Name: "b"}, {Name: "a", ID: 2}}},
		"Dict of m":            {Names: []Name{{Name: "m", ID: 1, Dict: []byte("de")}}},
		"Dict of p":            {Names: []Name{{Name: "p", ID: 1, Dict: []byte("de")}}},
		"Dict of yourip":       {Names: []Name{{Name: "yourip", ID: 1, Dict: []byte("de")}}},
		"empty Dict":           {Names: []Name{{Name: "a", ID: 1, Dict: []byte{}}}},
		"Dict that is cut":     {Names: []Name{{Name: "a", ID: 1, Dict: []byte("d1:a")}}},
		"two values in a Dict": {Names: []Name{{Name: "a", ID: 1, Dict: []byte("dede")}}},
	} {
		if out, err := RewriteExtHandshake(nil, []byte("d1:mdee"), r); err == nil || out != nil {
			t.Errorf("%s: %q", name, out)
		}
	}
	for name, payload := range map[string]string{
		"many m":     "d" + strings.Repeat("1:mde", 12_000) + "e",
		"many p":     "d" + strings.Repeat("1:pi1e", 10_000) + "e",
		"many names": "d1:md" + strings.Repeat("6:pg_payi1e", 5_000) + "ee",
		"many keys":  "d" + strings.Repeat("6:pg_payi1e", 5_000) + "e",
	} {
		if out, err := RewriteExtHandshake(nil, []byte(payload), Rewrite{Names: payNames, Port: 1}); err == nil || out != nil {
			t.Errorf("%s: %d bytes", name, len(out))
		}
	}
}

func TestNewExtHandshake(t *testing.T) {
	for _, c := range []struct {
		r    Rewrite
		want string
	}{
		{Rewrite{}, "d1:mdee"},
		{Rewrite{Names: payNames}, "d1:md6:pg_payi200e11:tr_paymentsi201ee6:pg_payd1:vi1eee"},
		{Rewrite{Names: payNames[:1], Port: 6881, YourIP: netip.MustParseAddr("1.2.3.4")}, "d1:md11:tr_paymentsi201ee1:pi6881e6:yourip4:\x01\x02\x03\x04e"},
	} {
		if got := NewExtHandshake(c.r); string(got) != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// genValue makes a random bencoded value.
func genValue(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kind := rapid.IntRange(0, 3).Draw(t, "kind")
		if depth == 0 {
			kind %= 2
		}
		switch kind {
		case 0:
			return fmt.Sprintf("i%de", rapid.Int64().Draw(t, "int"))
		case 1:
			return string(appendText(nil, genBytes(0, 12).Draw(t, "text")))
		case 2:
			return "l" + strings.Join(rapid.SliceOfN(genValue(depth-1), 0, 3).Draw(t, "list"), "") + "e"
		}
		return "d" + strings.Join(genEntries(t, depth-1, 3), "") + "e"
	})
}

var someKeys = []string{"m", "p", "yourip", "pg_pay", "tr_payments", "ut_pex", "a", "zz", "", "v"}

func genEntries(t *rapid.T, depth, most int) []string {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
		key := rapid.SampledFrom(someKeys).Draw(t, "key")
		return string(appendText(nil, key)) + genValue(depth).Draw(t, "value")
	}), 0, most).Draw(t, "entries")
}

// genHandshake makes a random handshake, with keys in any order and more than once, whose every m is a dictionary.
func genHandshake(t *rapid.T) []byte {
	var b strings.Builder
	for range rapid.IntRange(0, 8).Draw(t, "n") {
		key := rapid.SampledFrom(someKeys).Draw(t, "key")
		b.WriteString(string(appendText(nil, key)))
		if key == "m" {
			b.WriteString("d" + strings.Join(genEntries(t, 1, 4), "") + "e")
		} else {
			b.WriteString(genValue(3).Draw(t, "value"))
		}
	}
	return append([]byte("d"+b.String()+"e"), genBytes(0, 5).Draw(t, "tail")...)
}

func genRewrite(t *rapid.T) Rewrite {
	r := Rewrite{Port: rapid.SampledFrom([]uint16{0, 1, 6881, 65535}).Draw(t, "port")}
	for _, name := range rapid.Permutation([]string{"pg_pay", "tr_payments", "ut_pex", "zzz"}).Draw(t, "names")[:rapid.IntRange(0, 4).Draw(t, "count")] {
		n := Name{Name: name, ID: rapid.Byte().Draw(t, "id")}
		if rapid.Bool().Draw(t, "with dict") {
			n.Dict = []byte(genValue(2).Draw(t, "dict"))
		}
		r.Names = append(r.Names, n)
	}
	addrs := []netip.Addr{{}, netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("::ffff:10.1.2.3")}
	r.YourIP = rapid.SampledFrom(addrs).Draw(t, "ip")
	return r
}

func TestRewriteProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, r := genHandshake(t), genRewrite(t)
		out, err := RewriteExtHandshake(nil, in, r)
		if err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		checkRewrite(t, in, out, r)
	})
}

type fataler interface{ Fatalf(string, ...any) }

// checkRewrite holds a rewritten handshake against an independent idea of it.
func checkRewrite(t fataler, in, out []byte, r Rewrite) {
	h, err := ParseExtHandshake(out)
	if err != nil {
		t.Fatalf("the result does not parse: %q: %v", out, err)
	}
	for _, n := range r.Names {
		if id, ok := h.ID(n.Name); id != n.ID || ok != (n.ID != 0) {
			t.Fatalf("m[%s] = %d %v", n.Name, id, ok)
		}
		if v, _ := h.Dict(n.Name); n.Dict != nil && !bytes.Equal(v, n.Dict) {
			t.Fatalf("%s = %q", n.Name, v)
		}
	}
	if again, err := RewriteExtHandshake(nil, out, r); err != nil || !bytes.Equal(again, out) {
		t.Fatalf("not the same when done again: %q, %v", again, err)
	}
	before, after := blank(in, r), blank(out, r)
	if before != after {
		t.Fatalf("other bytes were touched:\n%q\n%q", before, after)
	}
	checkTheirs(t, in, out, r)
}

// blank writes a handshake down without what the rewriting may touch: the values of p and yourip if they are set, entries of our
// names, and an m that would be empty then. It keeps the order of keys.
func blank(b []byte, r Rewrite) string {
	inM, atTop := map[string]bool{}, map[string]bool{}
	for _, n := range r.Names {
		inM[n.Name] = true
		atTop[n.Name] = n.Dict != nil
	}
	var s strings.Builder
	d := dict{b: b, at: 1}
	for d.next() {
		key := string(d.key)
		switch {
		case atTop[key]:
		case key == "p" && r.Port != 0, key == "yourip" && r.YourIP.IsValid():
			fmt.Fprintf(&s, "%s=…;", key)
		case key == "m" && len(r.Names) > 0:
			s.WriteString(blankM(b, d.value, inM))
		default:
			fmt.Fprintf(&s, "%q=%q;", b[d.start:d.value], d.raw())
		}
	}
	return s.String() + string(b[d.at:])
}

func blankM(b []byte, at int, ours map[string]bool) string {
	var s strings.Builder
	m := dict{b: b, at: at + 1}
	for m.next() {
		if !ours[string(m.key)] {
			fmt.Fprintf(&s, "%q=%q;", b[m.start:m.value], m.raw())
		}
	}
	if s.Len() == 0 {
		return ""
	}
	return "m{" + s.String() + "}"
}

// checkTheirs: if anacrolix reads the handshake, it must read the rewritten one, and find our ids in it.
func checkTheirs(t fataler, in, out []byte, r Rewrite) {
	var before, after pp.ExtendedHandshakeMessage
	if readTheirs(in, &before) != nil {
		return
	}
	for _, n := range r.Names {
		if n.Dict != nil && !sortedKeysIn(n.Dict) {
			return // nothing of ours; anacrolix refuses it
		}
	}
	if err := readTheirs(out, &after); err != nil {
		t.Fatalf("anacrolix cannot read %q: %v", out, err)
	}
	for _, n := range r.Names {
		if after.M[pp.ExtensionName(n.Name)] != pp.ExtensionNumber(n.ID) {
			t.Fatalf("anacrolix reads m = %v", after.M)
		}
	}
	if before.Port != 0 && r.Port != 0 && after.Port != int(r.Port) {
		t.Fatalf("anacrolix reads p = %d", after.Port)
	}
}

func readTheirs(b []byte, into *pp.ExtendedHandshakeMessage) error {
	end, err := skipValue(b, 0, 0)
	if err != nil {
		return err
	}
	return bencode.Unmarshal(b[:end], into)
}

func FuzzRewrite(f *testing.F) {
	for _, set := range []map[string]string{realHandshakes, hostileHandshakes} {
		for _, s := range set {
			f.Add([]byte(s), []byte("d1:vi1ee"), uint16(6881), byte(200))
		}
	}
	f.Fuzz(func(t *testing.T, in, value []byte, port uint16, id byte) {
		r := Rewrite{
			Names: []Name{{Name: "pg_pay", ID: id, Dict: value}, {Name: "tr_payments", ID: id + 1}},
			Port:  port, YourIP: netip.AddrFrom4([4]byte{1, 2, 3, id}),
		}
		out, err := RewriteExtHandshake(nil, in, r)
		if err != nil {
			if out != nil {
				t.Fatalf("%q and %v", out, err)
			}
			return
		}
		checkRewrite(t, in, out, r)
	})
}
