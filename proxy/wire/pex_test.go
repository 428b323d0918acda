package wire

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	pp "github.com/anacrolix/torrent/peer_protocol"
	utHolepunch "github.com/anacrolix/torrent/peer_protocol/ut-holepunch"
	"pgregory.net/rapid"
)

// compact writes addresses as BEP 11 does.
func compact(peers ...string) string {
	var b []byte
	for _, p := range peers {
		ap := netip.MustParseAddrPort(p)
		b = append(b, ap.Addr().AsSlice()...)
		b = append(b, byte(ap.Port()>>8), byte(ap.Port()))
	}
	return string(b)
}

// pexOf makes a payload of keys and values in the order given.
func pexOf(pairs ...string) string {
	var b strings.Builder
	for _, s := range pairs {
		b.Write(appendText(nil, s))
	}
	return "d" + b.String() + "e"
}

// moveTo is a translation by a table; what is not in it stays.
func moveTo(table map[string]string) func(netip.AddrPort) netip.AddrPort {
	return func(p netip.AddrPort) netip.AddrPort {
		to, ok := table[p.String()]
		switch {
		case !ok:
			return p
		case to == "":
			return netip.AddrPort{}
		}
		return netip.MustParseAddrPort(to)
	}
}

func TestRewritePEX(t *testing.T) {
	const a, b, c, six = "127.64.0.1:6881", "127.64.0.2:51413", "9.8.7.6:1", "[2001:db8::7]:6881"
	table := map[string]string{a: "1.2.3.4:6881", b: "[2001:db8::2]:51413", "[2001:db8::9]:9": "9.9.9.9:9", "10.0.0.1:1": ""}
	for _, x := range []struct{ name, in, want string }{
		{"nothing to do", pexOf("added", compact(c), "added.f", "\x02", "dropped", ""), ""},
		{"no lists at all", "de", ""},
		{"unknown keys alone", "d1:ai1e5:addedle", "error"},
		{"an alias", pexOf("added", compact(c, a), "added.f", "\x02\x10"), pexOf("added", compact(c, "1.2.3.4:6881"), "added.f", "\x02\x10")},
		{"without flags", pexOf("added", compact(a)), pexOf("added", compact("1.2.3.4:6881"))},
		{"one is taken out", pexOf("added", compact("10.0.0.1:1", c), "added.f", "\x01\x02"), pexOf("added", compact(c), "added.f", "\x02")},
		{"the only one is taken out", pexOf("added", compact("10.0.0.1:1"), "added.f", "\x01"), pexOf("added", "", "added.f", "")},
		{
			"to IPv6, new keys", pexOf("added", compact(b, c), "added.f", "\x01\x02", "dropped", compact(c)),
			pexOf("added", compact(c), "added.f", "\x02", "added6", compact("[2001:db8::2]:51413"), "added6.f", "\x01", "dropped", compact(c)),
		},
		{
			"to IPv6, into the list that is there", pexOf("added", compact(b), "added.f", "\x05", "added6", compact(six), "added6.f", "\x07"),
			pexOf("added", "", "added.f", "", "added6", compact(six, "[2001:db8::2]:51413"), "added6.f", "\x07\x05"),
		},
		{
			"to IPv6, flags where there were none", pexOf("added", compact(b), "added.f", "\x05", "added6", compact(six)),
			pexOf("added", "", "added.f", "", "added6", compact(six, "[2001:db8::2]:51413"), "added6.f", "\x00\x05"),
		},
		{"to IPv6, no flags", pexOf("added", compact(b)), pexOf("added", "", "added6", compact("[2001:db8::2]:51413"))},
		{"to IPv4", pexOf("added6", compact("[2001:db8::9]:9"), "added6.f", "\x03"), pexOf("added", compact("9.9.9.9:9"), "added.f", "\x03", "added6", "", "added6.f", "")},
		{"dropped has no flags", pexOf("dropped", compact(a, b)), pexOf("dropped", compact("1.2.3.4:6881"), "dropped6", compact("[2001:db8::2]:51413"))},
		{"both lists", pexOf("added", compact(a), "dropped", compact(a)), pexOf("added", compact("1.2.3.4:6881"), "dropped", compact("1.2.3.4:6881"))},
		{"other keys stay", "d1:ai1e5:added6:" + compact(a) + "4:zzzzli7eee", "d1:ai1e5:added6:" + compact("1.2.3.4:6881") + "4:zzzzli7eee"},
		{"keys in no order", "d1:zi1e5:added6:" + compact(b) + "e", "d6:added618:" + compact("[2001:db8::2]:51413") + "1:zi1e5:added0:e"},
		{"a mapped address that stays", pexOf("added6", compact("[::ffff:9.8.7.6]:1")), ""},
		{"half an address", pexOf("added", compact(c)[:5]), "error"},
		{"half an IPv6 address", pexOf("added6", compact(c)), "error"},
		{"half a dropped one", pexOf("dropped", "1234567"), "error"},
		{"too few flags", pexOf("added", compact(a, c), "added.f", "\x01"), "error"},
		{"too many flags", pexOf("added", compact(a), "added.f", "\x01\x02"), "error"},
		{"flags of nothing", pexOf("added.f", "\x01"), "error"},
		{"a list twice", pexOf("added", compact(c), "added", compact(a)), "error"},
		{"flags twice", pexOf("added", compact(c), "added.f", "\x01", "added.f", "\x02"), "error"},
		{"a number", "d5:addedi1ee", "error"},
		{"flags are a list", "d7:added.flee", "error"},
		{"behind the end", "dex", "error"},
		{"not a dictionary", "le", "error"},
		{"empty", "", "error"},
		{"cut", "d5:added6:12345", "error"},
	} {
		t.Run(x.name, func(t *testing.T) {
			in := []byte(x.in)
			out, changed, err := RewritePEX([]byte("dst"), in, moveTo(table))
			switch {
			case string(in) != x.in:
				t.Error("the payload was written to")
			case (err != nil) != (x.want == "error"):
				t.Errorf("%v", err)
			case changed != (x.want != "" && x.want != "error"):
				t.Errorf("changed: %v, %q", changed, out)
			case !changed && string(out) != "dst":
				t.Errorf("%q was appended", out)
			case changed && string(out) != "dst"+x.want:
				t.Errorf("\n got %q\nwant %q", out, "dst"+x.want)
			}
		})
	}
}

// pexModel is an independent idea of a PEX message: each list by its name, as a sorted set of address and flags.
func pexModel(t fataler, payload []byte) map[string][]string {
	m, err := pp.LoadPexMsg(payload)
	if err != nil {
		t.Fatalf("their reader: %v: %q", err, payload)
	}
	model := map[string][]string{}
	put := func(list string, addr netip.Addr, port int, flags []pp.PexPeerFlags, i int) {
		text := netip.AddrPortFrom(addr, uint16(port)).String()
		if len(flags) > 0 {
			text += fmt.Sprintf(" %02x", byte(flags[i]))
		}
		model[list] = append(model[list], text)
	}
	for i, p := range m.Added {
		a, _ := netip.AddrFromSlice(p.IP.To4())
		put("added", a, p.Port, m.AddedFlags, i)
	}
	for i, p := range m.Added6 {
		a, _ := netip.AddrFromSlice(p.IP.To16())
		put("added", a, p.Port, m.Added6Flags, i)
	}
	for i, p := range m.Dropped {
		a, _ := netip.AddrFromSlice(p.IP.To4())
		put("dropped", a, p.Port, nil, i)
	}
	for i, p := range m.Dropped6 {
		a, _ := netip.AddrFromSlice(p.IP.To16())
		put("dropped", a, p.Port, nil, i)
	}
	for _, list := range model {
		slices.Sort(list)
	}
	return model
}

// somePeers are few, so that translations hit.
var somePeers = []string{
	"127.64.0.1:1", "127.64.0.2:2", "127.64.0.3:3", "1.2.3.4:6881", "5.6.7.8:51413", "[2001:db8::1]:1", "[2001:db8::2]:2", "[fe80::1]:3",
}

func genPEX(t *rapid.T) []byte {
	lists := map[string]string{}
	flagged := rapid.Bool().Draw(t, "flagged")
	for _, list := range []string{"added", "dropped"} {
		var four, six []string
		for _, p := range rapid.SliceOfN(rapid.SampledFrom(somePeers), 0, 8).Draw(t, list) {
			if strings.HasPrefix(p, "[") {
				six = append(six, p)
			} else {
				four = append(four, p)
			}
		}
		if len(four) > 0 || rapid.Bool().Draw(t, "empty list") {
			lists[list] = compact(four...)
		}
		if len(six) > 0 {
			lists[list+"6"] = compact(six...)
		}
		if list != "added" || !flagged {
			continue
		}
		lists["added.f"] = string(genBytes(len(four), len(four)).Draw(t, "flags"))
		lists["added6.f"] = string(genBytes(len(six), len(six)).Draw(t, "flags6"))
	}
	return bencode.MustMarshal(lists)
}

// TestRewritePEXProperties holds the rewriting against the model: every entry is translated, in its list, with its own flags.
func TestRewritePEXProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, table := genPEX(t), map[string]string{}
		for _, p := range somePeers {
			switch rapid.IntRange(0, 3).Draw(t, "fate of "+p) {
			case 0:
				table[p] = ""
			case 1:
				table[p] = rapid.SampledFrom(somePeers).Draw(t, "becomes")
			}
		}
		become := moveTo(table)
		out, changed, err := RewritePEX(nil, in, become)
		if err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		if !changed {
			out = in
		}
		want := map[string][]string{}
		for list, entries := range pexModel(t, in) {
			for _, e := range entries {
				peer, flags, _ := strings.Cut(e, " ")
				if to := become(netip.MustParseAddrPort(peer)); to.IsValid() {
					want[list] = append(want[list], strings.TrimSpace(to.String()+" "+flags))
				}
			}
			slices.Sort(want[list])
		}
		if got := pexModel(t, out); !slices.Equal(got["added"], want["added"]) || !slices.Equal(got["dropped"], want["dropped"]) {
			t.Fatalf("%q became %q\n got %v\nwant %v", in, out, got, want)
		}
	})
}

func FuzzPEX(f *testing.F) {
	for _, s := range []string{
		pexOf("added", compact("127.64.0.1:1", "9.8.7.6:1"), "added.f", "\x02\x10", "added6", compact("[2001:db8::7]:6881"), "added6.f", "\x00", "dropped", compact("127.64.0.2:2"), "dropped6", ""),
		pexOf("added", compact("127.64.0.9:9")), pexOf("added", "12345"), pexOf("added", "", "added", ""), "d5:added6:\x7f\x40\x00\x01\x00\x01e", "de", "d1:ad1:bleee",
	} {
		f.Add([]byte(s))
	}
	gone := netip.MustParsePrefix("127.64.0.0/10")
	f.Fuzz(func(t *testing.T, in []byte) {
		was := bytes.Clone(in)
		same, changed, err := RewritePEX(nil, in, func(p netip.AddrPort) netip.AddrPort { return p })
		if changed || same != nil {
			t.Fatalf("%q was changed into %q", in, same)
		}
		var seen int
		out, changed, err2 := RewritePEX(nil, in, func(p netip.AddrPort) netip.AddrPort {
			seen++
			switch {
			case !gone.Contains(p.Addr()):
				return p
			case p.Port()%2 == 0:
				return netip.AddrPort{}
			}
			return netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), p.Port())
		})
		if (err == nil) != (err2 == nil) || err != nil && out != nil || !bytes.Equal(in, was) {
			t.Fatalf("%v, %v, %q", err, err2, out)
		}
		if err != nil || !changed {
			return
		}
		_, changed, err = RewritePEX(nil, out, func(p netip.AddrPort) netip.AddrPort {
			if gone.Contains(p.Addr()) {
				t.Fatalf("%s is left in %q", p, out)
			}
			return p
		})
		if err != nil || changed {
			t.Fatalf("%q became %q, which is %v", in, out, err)
		}
	})
}

func TestHolepunchPeer(t *testing.T) {
	for _, want := range []string{"127.64.0.1:6881", "[2001:db8::7]:1"} {
		for _, kind := range []utHolepunch.MsgType{utHolepunch.Rendezvous, utHolepunch.Connect, utHolepunch.Error} {
			m := utHolepunch.Msg{MsgType: kind, AddrPort: netip.MustParseAddrPort(want)}
			b, err := m.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range [][]byte{b, b[:len(b)-4]} { // libtorrent leaves the error code out
				if got, ok := HolepunchPeer(b); !ok || got.String() != want {
					t.Errorf("%x: %s, %v", b, got, ok)
				}
			}
		}
	}
	for _, bad := range []string{"", "\x00", "\x00\x00", "\x00\x02\x01\x02\x03\x04\x05\x06", "\x00\x00\x01\x02\x03\x04\x05", "\x00\x00\x01\x02\x03\x04\x05\x06\x07", "\x00\x01\x01\x02\x03\x04\x05\x06"} {
		if got, ok := HolepunchPeer([]byte(bad)); ok {
			t.Errorf("%q names %s", bad, got)
		}
	}
}

func TestScannerWholeIfShort(t *testing.T) {
	for _, c := range []struct {
		size  int
		whole bool
	}{{0, true}, {MaxWhole - 6, true}, {MaxWhole - 5, false}} {
		var s Scanner
		s.WholeIfShort(7)
		b := AppendExtended(nil, 7, make([]byte, c.size))
		f, n, err := s.Next(b[:len(b)-min(1, c.size)])
		if err != nil || (n == 0) != (c.whole && c.size > 0) {
			t.Errorf("%d bytes but one: %d, %v", c.size, n, err)
		}
		if !c.whole {
			if !f.Start || f.End || f.Kind != Extended || f.Ext != 7 {
				t.Errorf("%+v", f)
			}
			continue
		}
		if f, n, err = s.Next(b); c.size > 0 && (err != nil || n != len(b) || !f.End) {
			t.Errorf("%d bytes: %d, %v", c.size, n, err)
		}
		if s.Stream(7); s.short != [4]uint64{} {
			t.Error("Stream left something behind")
		}
	}
}
