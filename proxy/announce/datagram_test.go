package announce

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/tracker/udp"
	"pgregory.net/rapid"
)

// udpAnnounce encodes an announce with anacrolix's own types.
func udpAnnounce(connection int64, req udp.AnnounceRequest, tail string) []byte {
	var b bytes.Buffer
	for _, v := range []any{udp.RequestHeader{ConnectionId: udp.ConnectionId(connection), Action: udp.ActionAnnounce, TransactionId: 7}, req} {
		if err := binary.Write(&b, binary.BigEndian, v); err != nil {
			panic(err)
		}
	}
	b.WriteString(tail)
	return b.Bytes()
}

const (
	connectPacket = "\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00\xca\xfe\xba\xbe"
	announcePeer1 = "d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e4:seedi1e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:v4:LT\x01\x021:y1:qe"
	getPeers      = "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe"
	dhtPing       = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
	dhtReply      = "d1:rd2:id20:0123456789abcdefghije1:t2:aa1:y1:re"
	utpSYN        = "\x41\x00\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x10\x00\x00\x00\x01\x00\x00"
	scrapePacket  = "\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x02\x00\x00\x00\x09aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb"
)

func TestClassify(t *testing.T) {
	announce := string(udpAnnounce(0x0102030405060708, udp.AnnounceRequest{Port: 6881}, ""))
	for name, c := range map[string]struct {
		in   string
		want Kind
	}{
		"connect":            {connectPacket, Tracker},
		"connect, longer":    {connectPacket + "x", Other},
		"connect, no magic":  {"\x01" + connectPacket[1:], Other},
		"announce":           {announce, Tracker},
		"announce, URL data": {announce + "\x02\x04/a?b", Tracker},
		"announce, short":    {"\xff" + announce[1:97], Other},
		"scrape":             {scrapePacket, Tracker},
		"scrape, of 19":      {"\xff" + scrapePacket[1:35], Other},
		"query":              {dhtPing, DHT},
		"reply":              {dhtReply, DHT},
		"announce_peer":      {announcePeer1, DHT},
		"dictionary":         {"d1:y1:qe", Other},
		"not whole":          {dhtPing[:20], Other},
		"behind":             {dhtPing + "e", Other},
		"uTP SYN":            {utpSYN, UTP},
		"uTP data":           {"\x01" + utpSYN[1:] + strings.Repeat("x", 200), UTP},
		"uTP, short":         {utpSYN[:19], Other},
		"uTP, version 2":     {"\x42" + utpSYN[1:], Other},
		"uTP, type 5":        {"\x51" + utpSYN[1:], Other},
		"nothing":            {"", Other},
	} {
		if got := Classify([]byte(c.in)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestClassifyReply(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want Kind
	}{
		"connection": {"\x00\x00\x00\x00\xca\xfe\xba\xbe01234567", Tracker},
		"peers":      {"\x00\x00\x00\x01\xca\xfe\xba\xbe\x00\x00\x07\x08\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x00\x00\x01\x1a\xe1", Tracker},
		"error":      {"\x00\x00\x00\x03\xca\xfe\xba\xbeno", Tracker},
		"short":      {"\x00\x00\x00\x03\xca\xfe\xba", Other},
		"action 4":   {"\x00\x00\x00\x04\xca\xfe\xba\xbe", Other},
		"query":      {dhtPing, DHT},
		"reply":      {dhtReply, DHT},
		"uTP":        {utpSYN, UTP},
		"nothing":    {"", Other},
	} {
		if got := ClassifyReply([]byte(c.in)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestRewriteUDP lets anacrolix read what becomes of any announce.
func TestRewriteUDP(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		req := udp.AnnounceRequest{
			InfoHash: [20]byte(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "hash")), PeerId: [20]byte(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "id")),
			Downloaded: rapid.Int64().Draw(t, "down"), Left: rapid.Int64().Draw(t, "left"), Uploaded: rapid.Int64().Draw(t, "up"),
			Event: 2, IPAddress: rapid.Uint32().Draw(t, "ip"), Key: rapid.Int32().Draw(t, "key"), NumWant: -1, Port: rapid.Uint16().Draw(t, "port"),
		}
		tail := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "options")
		id := rapid.Int64().Draw(t, "connection")
		port := rapid.Uint16().Draw(t, "public")
		got := udpAnnounce(id, req, string(tail))
		if !RewriteUDP(got, port) || Classify(got) != Tracker {
			t.Fatal("not taken for an announce")
		}
		req.Port = port
		if !bytes.Equal(got, udpAnnounce(id, req, string(tail))) {
			t.Fatal("more than the port changed")
		}
	})
}

func FuzzUDP(f *testing.F) {
	for _, s := range []string{connectPacket, scrapePacket, utpSYN, dhtPing, string(udpAnnounce(5, udp.AnnounceRequest{Port: 1}, "\x02\x01/"))} {
		f.Add([]byte(s), uint16(4242))
	}
	f.Fuzz(func(t *testing.T, in []byte, port uint16) {
		got := bytes.Clone(in)
		ok := RewriteUDP(got, port)
		if ok != (Classify(in) == Tracker && in[11] == 1) {
			t.Fatal("rewriting and telling apart are not of one mind")
		}
		if ok {
			copy(got[96:98], in[96:98])
		}
		if !bytes.Equal(got, in) {
			t.Fatal("more than the port changed")
		}
		ClassifyReply(in)
	})
}

func TestRewriteDHT(t *testing.T) {
	rewritten := strings.Replace(strings.Replace(announcePeer1, "porti1e", "porti0e", 1), "porti6881e", "porti4242e", 1)
	for name, c := range map[string]struct{ in, want string }{
		"announce_peer":      {announcePeer1, rewritten},
		"no implied port":    {strings.Replace(announcePeer1, "12:implied_porti1e", "", 1), strings.Replace(rewritten, "12:implied_porti0e", "", 1)},
		"implied is a word":  {strings.Replace(announcePeer1, "porti1e", "port1:x", 1), ""},
		"port is a word":     {strings.Replace(announcePeer1, "porti6881e", "port1:x", 1), ""},
		"no port":            {strings.Replace(announcePeer1, "4:porti6881e", "", 1), ""},
		"port twice":         {strings.Replace(announcePeer1, "4:porti6881e", "4:porti1e4:porti2e", 1), strings.Replace(rewritten, "4:porti4242e", "4:porti4242e4:porti4242e", 1)},
		"port outside of a":  {"d4:porti1e" + announcePeer1[1:], "d4:porti1e" + rewritten[1:]},
		"a is no dictionary": {"d1:ai1e1:q13:announce_peer1:t1:a1:y1:qe", ""},
		"no a":               {"d1:q13:announce_peer1:t1:a1:y1:qe", ""},
		"get_peers":          {getPeers, ""},
		"reply":              {dhtReply, ""},
		"not a query":        {strings.Replace(announcePeer1, "1:y1:q", "1:y1:r", 1), ""},
		"trailing":           {announcePeer1 + "x", ""},
		"deep":               {"d1:a" + strings.Repeat("l", 40) + strings.Repeat("e", 40) + announcePeer1[1:], ""},
		"nothing":            {"", ""},
	} {
		got, ok := RewriteDHT(nil, []byte(c.in), 4242)
		if ok != (c.want != "") || string(got) != c.want {
			t.Errorf("%s: %v %q", name, ok, got)
		}
	}
}

// TestDHTAgainstKRPC lets anacrolix read what becomes of any announce_peer.
func TestDHTAgainstKRPC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		port, public := int(rapid.Uint16().Draw(t, "port")), rapid.Uint16().Draw(t, "public")
		m := krpc.Msg{
			Q: "announce_peer", Y: "q", T: rapid.StringN(1, 8, 8).Draw(t, "t"), ReadOnly: rapid.Bool().Draw(t, "ro"),
			A: &krpc.MsgArgs{
				InfoHash: krpc.ID(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "hash")), Token: rapid.String().Draw(t, "token"),
				Port: &port, ImpliedPort: rapid.Bool().Draw(t, "implied"), ID: krpc.ID{1},
			},
		}
		got, ok := RewriteDHT([]byte("before"), bencode.MustMarshal(m), public)
		if !ok {
			t.Fatal("not taken for an announce")
		}
		n := int(public)
		m.A.Port = &n
		var read krpc.Msg
		if err := bencode.Unmarshal(got[6:], &read); err != nil {
			t.Fatal(err)
		}
		m.A.ImpliedPort = false
		if want, all := bencode.MustMarshal(m), bencode.MustMarshal(read); !bytes.Equal(want, all) {
			t.Fatalf("%s\n%s", want, all)
		}
	})
}

func FuzzDHT(f *testing.F) {
	for _, s := range []string{announcePeer1, getPeers, dhtPing, dhtReply} {
		f.Add([]byte(s), uint16(4242))
	}
	f.Fuzz(func(t *testing.T, in []byte, port uint16) {
		was := bytes.Clone(in)
		got, ok := RewriteDHT(nil, in, port)
		if !bytes.Equal(in, was) {
			t.Fatal("the input was written to")
		}
		if !ok {
			if len(got) > 0 {
				t.Fatal("something from nothing")
			}
			return
		}
		again, ok := RewriteDHT(nil, got, port)
		if !ok || !bytes.Equal(again, got) {
			t.Fatal("a second time is different")
		}
		back := mask(got)
		if !bytes.Equal(back, mask(in)) {
			t.Fatalf("more changed: %q of %q", got, in)
		}
	})
}

// mask replaces every integer by i0e.
func mask(b []byte) []byte {
	var out []byte
	for i := 0; i < len(b); i++ {
		out = append(out, b[i])
		if b[i] == 'i' {
			for i+1 < len(b) && (b[i+1] >= '0' && b[i+1] <= '9' || b[i+1] == '-') {
				i++
			}
		}
	}
	return out
}
