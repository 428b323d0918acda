package announce

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"paygate/units"
)

// Announces as the clients write them.
var targets = map[string]string{
	"qbittorrent-4.5.2": "/announce?info_hash=%b2%fdj%12%00%ff%3d%20%26%25abcdefghij&peer_id=-qB4520-abcdefghijkl&port=6881&uploaded=12&downloaded=0&left=0&corrupt=0&key=7F00AA11&event=started&numwant=200&compact=1&no_peer_id=1&supportcrypto=1&redundant=0",
	"transmission-3.00": "/announce?info_hash=%B2%FDj%12%00%FF%3D%20%26%25abcdefghij&peer_id=-TR3000-abcdefghijkl&port=51413&uploaded=0&downloaded=0&left=33554432&numwant=80&key=4be0a3e5&compact=1&supportcrypto=1&event=started",
	"aria2-1.36.0":      "/announce?info_hash=%b2%fdj%12%00%ff%3d%20%26%25abcdefghij&peer_id=A2-1-36-0-%00bcdefghi&uploaded=0&downloaded=0&left=1&compact=1&key=%00a&numwant=50&no_peer_id=1&port=6961&event=stopped&supportcrypto=1",
	"absolute":          "http://tracker.example:6969/x/announce?passkey=port%3D1&info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1",
}

func TestRewriteTarget(t *testing.T) {
	const rest = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb"
	for name, c := range map[string]struct{ in, want string }{
		"last":              {"/a?" + rest + "&port=1", "/a?" + rest + "&port=4242"},
		"first":             {"/a?port=65535&" + rest, "/a?port=4242&" + rest},
		"twice":             {"/a?port=1&" + rest + "&port=22", "/a?port=4242&" + rest + "&port=4242"},
		"one is a word":     {"/a?port=x&" + rest + "&port=2", "/a?port=x&" + rest + "&port=4242"},
		"port elsewhere":    {"/port=3?xport=4&" + rest + "&port=2&key=port=5", "/port=3?xport=4&" + rest + "&port=4242&key=port=5"},
		"empty parameters":  {"/a?&&" + rest + "&port=2&&x", "/a?&&" + rest + "&port=4242&&x"},
		"no port":           {"/a?" + rest, ""},
		"port a word":       {"/a?" + rest + "&port=http", ""},
		"port too big":      {"/a?" + rest + "&port=65536", ""},
		"port empty":        {"/a?" + rest + "&port=", ""},
		"no peer id":        {"/a?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1", ""},
		"no info-hash":      {"/a?peer_id=bbbbbbbbbbbbbbbbbbbb&port=1", ""},
		"info-hash of 19":   {"/a?info_hash=aaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1", ""},
		"info-hash of 21":   {"/a?info_hash=aaaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1", ""},
		"info-hash escapes": {"/a?info_hash=%zzaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1", ""},
		"scrape":            {"/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa", ""},
		"no query":          {"/port=1", ""},
		"nothing":           {"", ""},
	} {
		got, ok := RewriteTarget([]byte("x"), []byte(c.in), 4242)
		if want := c.want; ok != (want != "") || want != "" && string(got) != "x"+want || want == "" && string(got) != "x"+c.in {
			t.Errorf("%s: %v %s", name, ok, got)
		}
	}
}

func TestParseTarget(t *testing.T) {
	hash := units.InfoHash([]byte("\xb2\xfdj\x12\x00\xff= &%abcdefghij"))
	for name, want := range map[string]Request{
		"qbittorrent-4.5.2": {hash, [20]byte([]byte("-qB4520-abcdefghijkl")), 6881, false},
		"transmission-3.00": {hash, [20]byte([]byte("-TR3000-abcdefghijkl")), 51413, false},
		"aria2-1.36.0":      {hash, [20]byte([]byte("A2-1-36-0-\x00bcdefghi\x00")), 6961, true},
	} {
		in := targets[name]
		if name == "aria2-1.36.0" {
			in = strings.Replace(in, "bcdefghi&", "bcdefghi%00&", 1)
		}
		if got, ok := ParseTarget([]byte(in)); !ok || got != want {
			t.Errorf("%s: %v %+v", name, ok, got)
		}
	}
}

func TestRewriteHead(t *testing.T) {
	const query = "/a?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port="
	for name, c := range map[string]struct {
		head    string
		rewrite bool
	}{
		"announce":       {"GET " + query + "1 HTTP/1.1\r\nhost: t\r\nUser-Agent:  odd \r\nX-port: port=1\r\n\r\n", true},
		"old":            {"GET " + query + "1 HTTP/1.0\r\n\r\n", true},
		"bare line feed": {"GET " + query + "1 HTTP/1.0\n\n", true},
		"post":           {"POST " + query + "1 HTTP/1.1\r\n\r\n", false},
		"no version":     {"GET " + query + "1\r\n\r\n", false},
		"HTTP/2":         {"GET " + query + "1 HTTP/2\r\n\r\n", false},
		"no line":        {"GET " + query + "1 HTTP/1.1", false},
		"other":          {"GET / HTTP/1.1\r\n\r\n", false},
		"nothing":        {"", false},
		"short":          {"GET \n", false},
	} {
		got, r, ok := RewriteHead(nil, []byte(c.head), 4242)
		want := c.head
		if c.rewrite {
			want = strings.Replace(c.head, "port=1 ", "port=4242 ", 1)
		}
		if ok != c.rewrite || string(got) != want || ok && r.Port != 1 {
			t.Errorf("%s: %v %q", name, ok, got)
		}
	}
}

// TestTargetKeepsTheRest compares with net/url: all parameters but the port are what they were, in order.
func TestTargetKeepsTheRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hash := rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "hash")
		id := rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "id")
		params := []string{
			"info_hash=" + url.QueryEscape(string(hash)), "peer_id=" + url.QueryEscape(string(id)),
			fmt.Sprintf("port=%d", rapid.Uint16().Draw(t, "port")),
		}
		for i := range rapid.IntRange(0, 5).Draw(t, "more") {
			params = append(params, fmt.Sprintf("k%d=%s", i, url.QueryEscape(rapid.String().Draw(t, "value"))))
		}
		params = rapid.Permutation(params).Draw(t, "order")
		port := rapid.Uint16().Draw(t, "public")
		in := "/announce?" + strings.Join(params, "&")
		for i, p := range params {
			if strings.HasPrefix(p, "port=") {
				params[i] = fmt.Sprintf("port=%d", port)
			}
		}
		got, ok := RewriteTarget(nil, []byte(in), port)
		if !ok || string(got) != "/announce?"+strings.Join(params, "&") {
			t.Fatalf("%v %s of %s", ok, got, in)
		}
		if r, _ := ParseTarget(got); !bytes.Equal(r.InfoHash[:], hash) || !bytes.Equal(r.PeerID[:], id) || r.Port != port {
			t.Fatalf("%+v", r)
		}
	})
}

func FuzzTarget(f *testing.F) {
	for _, s := range targets {
		f.Add([]byte(s), uint16(4242))
	}
	f.Fuzz(func(t *testing.T, in []byte, port uint16) {
		was := bytes.Clone(in)
		got, ok := RewriteTarget(nil, in, port)
		if !bytes.Equal(in, was) {
			t.Fatal("the input was written to")
		}
		if !ok {
			if !bytes.Equal(got, in) {
				t.Fatal("changed what is no announce")
			}
			return
		}
		before, after := strings.Split(string(in), "&"), strings.Split(string(got), "&")
		if len(before) != len(after) {
			t.Fatalf("%q of %q", got, in)
		}
		changed := 0
		for i := range before {
			if before[i] == after[i] {
				continue
			}
			key, _, _ := strings.Cut(after[i], "=")
			if j := strings.IndexByte(key, '?'); j >= 0 { // the first parameter carries the path
				key = key[j+1:]
			}
			if !strings.HasSuffix(after[i], fmt.Sprintf("port=%d", port)) || !strings.HasSuffix(key, "port") {
				t.Fatalf("%q became %q", before[i], after[i])
			}
			changed++
		}
		r, again := ParseTarget(got)
		if !again || r.Port != port {
			t.Fatalf("%d changed, and it tells %d", changed, r.Port)
		}
		twice, _ := RewriteTarget(nil, got, port)
		if !bytes.Equal(twice, got) {
			t.Fatal("a second time changes more")
		}
	})
}

func FuzzHead(f *testing.F) {
	for _, s := range targets {
		f.Add([]byte("GET " + s + " HTTP/1.1\r\nHost: t\r\nUser-Agent: x\r\n\r\n"))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		got, _, ok := RewriteHead(nil, head, 4242)
		if !ok {
			if !bytes.Equal(got, head) {
				t.Fatal("changed what is no announce")
			}
			return
		}
		_, before, _ := bytes.Cut(head, []byte("\n"))
		_, after, _ := bytes.Cut(got, []byte("\n"))
		if !bytes.Equal(before, after) {
			t.Fatal("a header changed")
		}
	})
}
