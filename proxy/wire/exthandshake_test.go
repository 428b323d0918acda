package wire

import (
	"errors"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	pp "github.com/anacrolix/torrent/peer_protocol"
	"pgregory.net/rapid"
)

// realHandshakes are extended handshakes with the keys and ids that these clients send.
var realHandshakes = map[string]string{
	"qBittorrent 4.5.2": "d12:complete_agoi12e1:md11:lt_donthavei7e10:share_modei8e11:upload_onlyi3e12:ut_holepunchi4e11:ut_metadatai2ee" +
		"13:metadata_sizei3214e1:pi6881e4:reqqi2000e11:upload_onlyi1e1:v17:qBittorrent/4.5.26:yourip4:\x7f\x58\x01\x02e",
	"Transmission 3.00": "d1:ei1e1:md11:ut_metadatai3ee13:metadata_sizei3214e1:pi51413e4:reqqi512e11:upload_onlyi1e1:v17:Transmission 3.00e",
	"aria2 1.36.0":      "d1:md11:ut_metadatai9ee13:metadata_sizei3214e1:pi6961e1:v12:aria2/1.36.0e",
	"rtorrent 0.9.8":    "d1:ei0e1:md11:ut_metadatai2e6:ut_pexi0ee13:metadata_sizei3214e1:pi6890e4:reqqi2048e1:v17:libTorrent 0.13.8e",
}

// hostileHandshakes parse in our eyes but are strange.
var hostileHandshakes = map[string]string{
	"empty":                  "de",
	"nothing in m":           "d1:mdee",
	"trailing bytes":         "d1:md6:ut_pexi1eeeGARBAGE",
	"trailing dictionary":    "dede",
	"unsorted":               "d1:vi1e1:pi5e1:md2:zzi9e2:aai8eee",
	"m twice":                "d1:md2:aai1ee1:md2:aai2e2:bbi3eee",
	"name twice":             "d1:md2:aai1e2:aai2eee",
	"our name taken":         "d1:md6:pg_payi7ee6:pg_payi0ee",
	"our key twice":          "d1:mde6:pg_payde6:pg_pay1:xe",
	"ids out of range":       "d1:md1:ai-1e1:bi256e1:ci0e1:di255e1:ei99999999999999999999eee",
	"ids of other types":     "d1:md1:a1:51:bli5ee1:cd1:zi5eeee",
	"nested m in a key":      "d1:ad1:md6:pg_payi5eeee",
	"p and yourip odd":       "d1:mde1:pl3:abce6:yourip3:abce",
	"p twice":                "d1:pi1e1:mde1:pi2ee",
	"huge integer":           "d1:pi" + strings.Repeat("9", 400) + "ee",
	"empty key":              "d0:i1e1:mdee",
	"deep enough":            "d1:a" + strings.Repeat("l", MaxDepth-1) + strings.Repeat("e", MaxDepth-1) + "1:mdee",
	"numbers that look like": "d1:a2:1:1:mdee",
}

func TestParseExtHandshake(t *testing.T) {
	for name, raw := range realHandshakes {
		t.Run(name, func(t *testing.T) {
			h, err := ParseExtHandshake([]byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			var theirs pp.ExtendedHandshakeMessage
			if err := bencode.Unmarshal([]byte(raw), &theirs); err != nil {
				t.Fatal(err)
			}
			compareExt(t, h, theirs)
		})
	}
}

func compareExt(t *testing.T, h ExtHandshake, theirs pp.ExtendedHandshakeMessage) {
	t.Helper()
	var used [256]bool
	for name, want := range theirs.M {
		id, ok := h.ID(string(name))
		if id != byte(want) || ok != (want != 0) {
			t.Errorf("%s: %d %v, want %d", name, id, ok, want)
		}
		used[want] = true
	}
	for id := 1; id < 256; id++ {
		if h.Uses(byte(id)) != used[id] {
			t.Errorf("Uses(%d) = %v", id, !used[id])
		}
	}
	reqq, ok := h.ReqQ()
	if reqq != theirs.Reqq || ok != (theirs.Reqq > 0) {
		t.Errorf("reqq %d %v, want %d", reqq, ok, theirs.Reqq)
	}
	if port, ok := h.Port(); int(port) != theirs.Port || ok != (theirs.Port > 0) {
		t.Errorf("port %d %v, want %d", port, ok, theirs.Port)
	}
}

func TestExtHandshakeLookups(t *testing.T) {
	parse := func(s string) ExtHandshake {
		h, err := ParseExtHandshake([]byte(s))
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		return h
	}
	if h := parse(hostileHandshakes["ids out of range"]); h.Uses(0) || h.Uses(1) || !h.Uses(255) {
		t.Error("Uses with ids out of range")
	}
	for _, name := range []string{"a", "b", "c", "e", "zz", ""} {
		if id, ok := parse(hostileHandshakes["ids out of range"]).ID(name); ok || id != 0 {
			t.Errorf("ID(%q) = %d", name, id)
		}
	}
	if h := parse(hostileHandshakes["m twice"]); !h.Uses(1) || !h.Uses(2) || !h.Uses(3) {
		t.Error("an id in a second m was not seen")
	}
	if id, _ := parse(hostileHandshakes["m twice"]).ID("aa"); id != 1 {
		t.Errorf("of two m the first counts, got %d", id)
	}
	if id, _ := parse(hostileHandshakes["name twice"]).ID("aa"); id != 1 {
		t.Errorf("of two values the first counts, got %d", id)
	}
	if v, ok := parse(hostileHandshakes["our key twice"]).Dict("pg_pay"); !ok || string(v) != "de" {
		t.Errorf("Dict = %q", v)
	}
	if _, ok := parse(hostileHandshakes["nested m in a key"]).ID("pg_pay"); ok {
		t.Error("an m that is not at the top was read")
	}
	if !parse(realHandshakes["qBittorrent 4.5.2"]).UploadOnly() || parse("d11:upload_onlyi0ee").UploadOnly() || parse("de").UploadOnly() {
		t.Error("UploadOnly")
	}
	for _, s := range []string{"d1:pi0ee", "d1:pi-1ee", "d1:pi65536ee", "d1:p1:5e", "d1:pli5eee", hostileHandshakes["huge integer"]} {
		if p, ok := parse(s).Port(); ok || p != 0 {
			t.Errorf("%.20s: port %d", s, p)
		}
	}
	for _, s := range []string{"d4:reqqi0ee", "d4:reqqi-5ee", "d4:reqqi2147483648ee", "de"} {
		if n, ok := parse(s).ReqQ(); ok || n != 0 {
			t.Errorf("%s: reqq %d", s, n)
		}
	}
}

func TestZeroExtHandshake(t *testing.T) {
	var h ExtHandshake
	_, hasID := h.ID("ut_pex")
	_, hasDict := h.Dict("m")
	_, hasPort := h.Port()
	_, hasReqQ := h.ReqQ()
	if hasID || hasDict || hasPort || hasReqQ || h.UploadOnly() || h.Uses(1) || PickID(h, 200) != 200 {
		t.Fatal("the zero value knows something")
	}
}

func TestParseExtHandshakeRefuses(t *testing.T) {
	deep := strings.Repeat("l", MaxDepth) + strings.Repeat("e", MaxDepth)
	for name, raw := range map[string]string{
		"empty":                      "",
		"a list":                     "le",
		"a string":                   "4:spam",
		"not ended":                  "d1:md2:aai1ee",
		"key without value":          "d1:me",
		"integer as key":             "di1ei2ee",
		"list as key":                "dlei2ee",
		"m is an integer":            "d1:mi1ee",
		"second m is a string":       "d1:mde1:m1:xe",
		"leading zero":               "d1:ai01ee",
		"negative zero":              "d1:ai-0ee",
		"negative leading zero":      "d1:ai-01ee",
		"empty integer":              "d1:aiee",
		"minus alone":                "d1:ai-ee",
		"plus":                       "d1:ai+1ee",
		"integer with spaces":        "d1:ai 1ee",
		"integer not ended":          "d1:ai1",
		"float":                      "d1:ai1.5ee",
		"string longer than there":   "d1:a9:abce",
		"string one too long":        "d1:a5:abce",
		"key one too long":           "d3:ab",
		"string of 4 GiB":            "d1:a4294967296:abce",
		"string of 2^64":             "d1:a18446744073709551617:abce",
		"string of a huge length":    "d1:a" + strings.Repeat("9", 3000) + ":abce",
		"negative string length":     "d1:a-1:abce",
		"length with a leading zero": "d1:a03:abce",
		"length without a colon":     "d1:a3abce",
		"nested too deep":            "d1:a" + deep + "e",
		"bomb of lists":              "d1:a" + strings.Repeat("l", 60_000),
		"bomb of dictionaries":       strings.Repeat("d1:a", 15_000),
		"a bare e":                   "e",
		"unknown type":               "d1:ax1e",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseExtHandshake([]byte(raw))
			var be *BencodeError
			if !errors.As(err, &be) || be.Offset < 0 || be.Offset > len(raw) || be.Reason == "" {
				t.Fatalf("%v", err)
			}
			if out, err := RewriteExtHandshake([]byte("kept"), []byte(raw), Rewrite{Port: 1}); err == nil || string(out) != "kept" {
				t.Fatalf("rewritten to %q, %v", out, err)
			}
		})
	}
}

func TestParseExtHandshakeDoesNotAllocate(t *testing.T) {
	raw := []byte(realHandshakes["qBittorrent 4.5.2"])
	if a := testing.AllocsPerRun(100, func() {
		h, _ := ParseExtHandshake(raw)
		if id, _ := h.ID("ut_metadata"); id != 2 {
			t.Fatal("wrong id")
		}
	}); a != 0 {
		t.Fatalf("%v allocations", a)
	}
}

func TestPickID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.OneOf(rapid.Byte(), rapid.ByteMin(195)), 0, 90).Draw(t, "ids")
		wanted := rapid.Byte().Draw(t, "wanted")
		used := map[byte]bool{}
		m := []byte{'d'}
		for _, id := range ids {
			used[id] = id != 0
			m = appendInt(appendText(m, "x"), int64(id))
		}
		h, err := ParseExtHandshake(append(append([]byte("d1:m"), m...), "ee"...))
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for id := 255; id >= max(1, int(wanted)); id-- {
			if !used[byte(id)] {
				want = id
			}
		}
		if got := PickID(h, wanted); int(got) != want {
			t.Fatalf("picked %d, want %d", got, want)
		}
	})
}

func FuzzExtHandshake(f *testing.F) {
	for _, set := range []map[string]string{realHandshakes, hostileHandshakes} {
		for _, s := range set {
			f.Add([]byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseExtHandshake(b)
		if err != nil {
			var be *BencodeError
			if !errors.As(err, &be) || be.Offset > len(b) {
				t.Fatal(err)
			}
			return
		}
		end, err := skipValue(b, 0, 0)
		if err != nil {
			t.Fatalf("accepted, but %v", err)
		}
		var theirs map[string]any
		if !sortedKeysIn(b[:end]) {
			return // anacrolix refuses these
		}
		if err := bencode.Unmarshal(b[:end], &theirs); err != nil {
			t.Fatalf("accepted %q, but anacrolix does not: %v", b[:end], err)
		}
		for name := range theirs {
			if _, ok := h.Dict(name); !ok {
				t.Fatalf("key %q is not found", name)
			}
		}
		if id := PickID(h, 200); id != 0 && h.Uses(id) {
			t.Fatalf("picked %d, which is in use", id)
		}
	})
}

// sortedKeysIn reports whether the keys of every dictionary in a checked value ascend strictly.
func sortedKeysIn(v []byte) bool {
	switch v[0] {
	case 'l':
		for at := 1; v[at] != 'e'; {
			end, _ := skipValue(v, at, 0)
			if !sortedKeysIn(v[at:end]) {
				return false
			}
			at = end
		}
	case 'd':
		last := ""
		for d, first := (dict{b: v, at: 1}), true; d.next(); first = false {
			if !first && string(d.key) <= last || !sortedKeysIn(d.raw()) {
				return false
			}
			last = string(d.key)
		}
	}
	return true
}
