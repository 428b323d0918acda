package announce

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"
	"pgregory.net/rapid"
)

const (
	compactAnswer = "d8:completei1e11:external ip4:\xcb\x00\x71\x0510:incompletei2e8:intervali1800e12:min intervali60e5:peers12:\xc6\x33\x64\x01\x1a\xe1\xc6\x33\x64\x02\x1a\xe26:peers618:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe3e"
	listAnswer    = "d8:intervali900e5:peersld2:ip12:198.51.100.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881eed2:ip11:2001:db8::24:porti6882eed2:ip11:example.com4:porti1eei7eee"
	failedAnswer  = "d14:failure reason15:not whitelisted"
)

func TestReadAnswer(t *testing.T) {
	peer := netip.MustParseAddrPort
	for name, c := range map[string]struct {
		in, emptied string
		want        Answer
	}{
		"compact": {
			compactAnswer,
			"d8:completei1e11:external ip4:\xcb\x00\x71\x0510:incompletei2e8:intervali1800e12:min intervali60e5:peers0:6:peers60:e",
			Answer{[]netip.AddrPort{peer("198.51.100.1:6881"), peer("198.51.100.2:6882"), peer("[2001:db8::1]:6883")}, 30 * time.Minute, netip.MustParseAddr("203.0.113.5")},
		},
		"list": {
			listAnswer, "d8:intervali900e5:peerslee",
			Answer{[]netip.AddrPort{peer("198.51.100.1:6881"), peer("[2001:db8::2]:6882")}, 15 * time.Minute, netip.Addr{}},
		},
		"none":      {"d8:intervali-5ee", "d8:intervali-5ee", Answer{}},
		"failure":   {failedAnswer + "e", failedAnswer + "e", Answer{}},
		"too long":  {"d8:intervali999999999ee", "d8:intervali999999999ee", Answer{Interval: 24 * time.Hour}},
		"odd types": {"d11:external ip3:abc8:interval1:x5:peersi1e6:peers6dee", "d11:external ip3:abc8:interval1:x5:peersi1e6:peers6dee", Answer{}},
		"nobody to dial": {
			"d5:peers30:\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\x00\x01\xe0\x00\x00\x01\x00\x01\x01\x02\x03\x04\x00\x00\x01\x02\x03\x04\x00\x05e",
			"d5:peers0:e",
			Answer{Peers: []netip.AddrPort{peer("1.2.3.4:5")}},
		},
		"a piece too many": {"d5:peers7:\x01\x02\x03\x04\x00\x05\x01e", "d5:peers0:e", Answer{Peers: []netip.AddrPort{peer("1.2.3.4:5")}}},
		"twice":            {"d5:peers12:\x01\x02\x03\x04\x00\x05\x01\x02\x03\x04\x00\x055:peersld2:ip7:1.2.3.44:porti5eeee", "d5:peers0:5:peerslee", Answer{Peers: []netip.AddrPort{peer("1.2.3.4:5")}}},
		"mapped":           {"d6:peers618:\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x01\x02\x03\x04\x00\x05e", "d6:peers60:e", Answer{Peers: []netip.AddrPort{peer("1.2.3.4:5")}}},
	} {
		got, emptied, err := ReadAnswer([]byte(c.in))
		if err != nil || string(emptied) != c.emptied || !slices.Equal(got.Peers, c.want.Peers) || got.Interval != c.want.Interval || got.External != c.want.External {
			t.Errorf("%s: %v %+v %q", name, err, got, emptied)
		}
	}
	for _, bad := range []string{"", "le", "<html>", failedAnswer, listAnswer + "\n", "d" + strings.Repeat("1:al", 40)} {
		if _, _, err := ReadAnswer([]byte(bad)); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestManyPeersAreBounded(t *testing.T) {
	var compact []byte
	for i := range MaxPeers + 100 {
		compact = append(compact, 10, 0, byte(i>>8), byte(i), 1, 1)
	}
	a, emptied, err := ReadAnswer(bencode.MustMarshal(map[string]any{"peers": compact}))
	if err != nil || len(a.Peers) != MaxPeers || string(emptied) != "d5:peers0:e" {
		t.Errorf("%v, %d peers, %q", err, len(a.Peers), emptied)
	}
}

func TestAnswerKeepsTheRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := map[string]any{}
		for range rapid.IntRange(0, 6).Draw(t, "keys") {
			in[rapid.StringMatching("[a-z ]{1,8}").Draw(t, "key")] = rapid.Int().Draw(t, "value")
		}
		delete(in, "interval")
		var want []netip.AddrPort
		var compact []byte
		for range rapid.IntRange(0, 20).Draw(t, "peers") {
			p := netip.AddrPortFrom(netip.AddrFrom4([4]byte{1, 2, 3, rapid.Byte().Draw(t, "ip")}), rapid.Uint16Min(1).Draw(t, "port"))
			if !slices.Contains(want, p) {
				want = append(want, p)
			}
			compact = append(append(compact, p.Addr().AsSlice()...), byte(p.Port()>>8), byte(p.Port()))
		}
		in["peers"] = compact
		a, emptied, err := ReadAnswer(bencode.MustMarshal(in))
		in["peers"] = []byte{}
		if err != nil || !slices.Equal(a.Peers, want) || !bytes.Equal(emptied, bencode.MustMarshal(in)) {
			t.Fatalf("%v %v %q", err, a, emptied)
		}
	})
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		panic(err)
	}
	z.Close()
	return out.Bytes()
}

func TestUnzip(t *testing.T) {
	if got, err := Unzip(zipped([]byte(compactAnswer)), len(compactAnswer)); err != nil || string(got) != compactAnswer {
		t.Errorf("%v %q", err, got)
	}
	if _, err := Unzip(zipped(make([]byte, 1<<20)), 1<<20-1); !errors.Is(err, ErrTooLong) {
		t.Error("a bomb: ", err)
	}
	if _, err := Unzip([]byte("not gzip at all"), 100); err == nil {
		t.Error("took text for gzip")
	}
	if _, err := Unzip(zipped([]byte(compactAnswer))[:40], 1000); err == nil {
		t.Error("took half a body")
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{compactAnswer, listAnswer, failedAnswer + "e", "de"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		was := bytes.Clone(in)
		a, emptied, err := ReadAnswer(in)
		if !bytes.Equal(in, was) {
			t.Fatal("the input was written to")
		}
		if err != nil {
			return
		}
		if len(a.Peers) > MaxPeers || a.Interval < 0 || a.Interval > 24*time.Hour {
			t.Fatalf("%+v", a)
		}
		b, again, err := ReadAnswer(emptied)
		if err != nil || len(b.Peers) > 0 || b.Interval != a.Interval || b.External != a.External || !bytes.Equal(again, emptied) {
			t.Fatalf("%v %+v left in %q", err, b, emptied)
		}
	})
}

func FuzzUnzip(f *testing.F) {
	f.Add(zipped([]byte(compactAnswer)))
	f.Fuzz(func(t *testing.T, in []byte) {
		if out, err := Unzip(in, 1<<16); err == nil && len(out) > 1<<16 {
			t.Fatal("too long")
		}
	})
}
