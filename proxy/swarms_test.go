package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/time/rate"
	"pgregory.net/rapid"

	"paygate/proxy/announce"
	"paygate/proxy/wire"
	"paygate/units"
)

var noon = time.Unix(1_700_000_000, 0)

func nobody(units.InfoHash, netip.Addr) bool { return false }

func peers(list ...string) announce.Answer {
	a := announce.Answer{Interval: 30 * time.Minute}
	for _, s := range list {
		a.Peers = append(a.Peers, netip.MustParseAddrPort(s))
	}
	return a
}

func notUs(netip.AddrPort) bool { return false }

var announced = announce.Request{InfoHash: testHash, Port: 51413}

func TestSwarmsDial(t *testing.T) {
	s := newSwarms(10, 2, notUs)
	if !s.heard(announced, peers("1.0.0.1:1", "1.0.0.1:2", "1.0.0.2:1", "1.0.0.3:1"), noon) || s.heard(announced, peers(), noon) {
		t.Error("only the first answer is news")
	}
	first, _ := s.due(noon, nobody)
	if len(first) != 2 || first[0].addr.Addr() == first[1].addr.Addr() {
		t.Fatalf("%d begun", len(first))
	}
	if more, _ := s.due(noon, nobody); len(more) != 0 {
		t.Fatalf("%d more", len(more))
	}
	s.end(first[0], 0, noon, 0)
	next, again := s.due(noon, nobody)
	if len(next) != 1 || next[0].addr == first[0].addr || again > againFirst/2 {
		t.Fatalf("%d begun, again in %s", len(next), again)
	}
	s.end(first[1], 0, noon, 0)
	s.end(next[0], 0, noon, 0)
	if s.active != 0 || s.inDialing != 0 {
		t.Fatalf("%d active, %d in dialling", s.active, s.inDialing)
	}
}

func TestSwarmsWait(t *testing.T) {
	s := newSwarms(1, 1, notUs)
	a := peers("1.0.0.1:1")
	a.Interval = 24 * time.Hour
	s.heard(announced, a, noon)
	now := noon
	var waits []time.Duration
	for range 9 {
		list, _ := s.due(now, nobody)
		if len(list) != 1 {
			t.Fatalf("%d begun after %v", len(list), waits)
		}
		s.end(list[0], 0, now, 0.5)
		if list, again := s.due(now, nobody); len(list) != 0 || again <= 0 {
			t.Fatal("dialled again at once")
		}
		next := list[0].peer.next
		waits = append(waits, next.Sub(now))
		now = next
	}
	if got := fmt.Sprint(waits); got != "[30s 1m0s 2m0s 4m0s 8m0s 16m0s 30m0s 30m0s 30m0s]" {
		t.Error(got)
	}
	list, _ := s.due(now, nobody)
	s.end(list[0], livedWell, now, 0.5)
	if got := list[0].peer.next.Sub(now); got != againFirst {
		t.Errorf("after a good session %s", got)
	}
}

func TestSwarmsForget(t *testing.T) {
	begun := func(s *swarms, now time.Time) int { list, _ := s.due(now, nobody); return len(list) }
	t.Run("a torrent that is not announced", func(t *testing.T) {
		s := newSwarms(10, 10, notUs)
		s.heard(announced, peers("1.0.0.1:1"), noon)
		if begun(s, noon.Add(90*time.Minute+time.Second)) != 0 || len(s.of) != 0 {
			t.Error("still there")
		}
	})
	t.Run("a peer that is not repeated", func(t *testing.T) {
		s := newSwarms(10, 10, notUs)
		s.heard(announced, peers("1.0.0.1:1", "1.0.0.2:1"), noon)
		s.heard(announced, peers("1.0.0.2:1"), noon.Add(time.Hour))
		if list, _ := s.due(noon.Add(2*time.Hour), nobody); len(list) != 1 || list[0].addr.String() != "1.0.0.2:1" {
			t.Errorf("%d begun", len(list))
		}
	})
	t.Run("stopped", func(t *testing.T) {
		s := newSwarms(10, 10, notUs)
		s.heard(announced, peers("1.0.0.1:1"), noon)
		list, _ := s.due(noon, nobody)
		stopped := announced
		stopped.Stopped = true
		s.heard(stopped, peers("1.0.0.2:1"), noon)
		if begun(s, noon) != 0 || len(s.of) != 0 {
			t.Error("still dialled")
		}
		s.end(list[0], 0, noon, 0)
		if s.active != 0 {
			t.Error("still active")
		}
	})
	t.Run("ourselves", func(t *testing.T) {
		s := newSwarms(10, 10, func(a netip.AddrPort) bool {
			return a.Port() == 7 && (a.Addr().IsUnspecified() || a.Addr().String() == "1.0.0.1")
		})
		a := peers("1.0.0.1:7", "1.0.0.1:8", "9.9.9.9:7", "9.9.9.9:8", "1.0.0.2:7")
		a.External = netip.MustParseAddr("9.9.9.9")
		s.heard(announced, a, noon)
		if n := begun(s, noon); n != 3 {
			t.Errorf("%d begun", n)
		}
	})
	t.Run("connected already", func(t *testing.T) {
		s := newSwarms(10, 10, notUs)
		s.heard(announced, peers("1.0.0.1:7"), noon)
		if list, _ := s.due(noon, func(h units.InfoHash, a netip.Addr) bool { return h == testHash && a.String() == "1.0.0.1" }); len(list) != 0 {
			t.Error("dialled twice")
		}
		if begun(s, noon.Add(alreadyThere)) != 1 {
			t.Error("never looked again")
		}
	})
}

// TestSwarmsKeepTheirBounds plays at random, and counts.
func TestSwarmsKeepTheirBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total, per := rapid.IntRange(1, 40).Draw(t, "total"), rapid.IntRange(1, 10).Draw(t, "per")
		s := newSwarms(total, per, notUs)
		now := noon
		var under []*attempt
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				a := announce.Answer{Interval: time.Duration(rapid.IntRange(0, 5000).Draw(t, "interval")) * time.Second}
				for range rapid.IntRange(0, 60).Draw(t, "peers") {
					a.Peers = append(a.Peers, netip.AddrPortFrom(netip.AddrFrom4([4]byte{1, 2, 3, rapid.Byte().Draw(t, "ip")}), 1+rapid.Uint16Max(3).Draw(t, "port")))
				}
				asked := announce.Request{InfoHash: units.InfoHash{rapid.ByteMax(4).Draw(t, "torrent")}, Stopped: rapid.IntRange(0, 9).Draw(t, "stop") == 0}
				s.heard(asked, a, now)
			case 1:
				list, again := s.due(now, nobody)
				if again <= 0 {
					t.Fatal("a storm of looks")
				}
				under = append(under, list...)
			case 2:
				if len(under) > 0 {
					i := rapid.IntRange(0, len(under)-1).Draw(t, "which")
					s.end(under[i], time.Duration(rapid.IntRange(0, 60).Draw(t, "lived"))*time.Second, now, 0.3)
					under = append(under[:i], under[i+1:]...)
				}
			case 3:
				now = now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "later")) * time.Second)
			}
			busy := map[string]int{}
			for _, a := range under {
				busy[a.hash.String()]++
			}
			if len(under) > total || s.active != len(under) || s.inDialing > maxDialling {
				t.Fatalf("%d under way, %d counted, of %d", len(under), s.active, total)
			}
			for hash, one := range s.of {
				if one.active > per || len(one.peers) > knownFactor*per {
					t.Fatalf("%s: %d active, %d known", hash, one.active, len(one.peers))
				}
			}
		}
		for _, a := range under {
			s.end(a, 0, now, 0)
		}
		if s.active != 0 || s.inDialing != 0 {
			t.Fatal("a place was lost")
		}
	})
}

func TestManySwarms(t *testing.T) {
	s := newSwarms(1, 1, notUs)
	for i := range maxSwarms + 10 {
		asked := announce.Request{InfoHash: units.InfoHash{byte(i >> 8), byte(i)}}
		if s.heard(asked, peers("1.0.0.1:1"), noon) != (i < maxSwarms) {
			t.Fatal(i)
		}
	}
}

// track lets the client of a rig announce through the HTTP proxy, with this answer, and returns what the client was told.
func (r *rig) track(more, answer, header string) string {
	r.t.Helper()
	server := newRawServer(r.t)
	client := r.web()
	query := "info_hash=" + fmt.Sprintf("%%%02x", testHash[:1]) + string(escaped(testHash[1:])) + "&peer_id=bbbbbbbbbbbbbbbbbbbb&port=51413" + more
	client.send([]byte("GET " + server.url() + "/a?" + query + " HTTP/1.1\r\nHost: t\r\nAccept-Encoding: br, gzip\r\nConnection: close\r\n\r\n"))
	tracker := server.accept()
	codings := " br, gzip"
	if r.proxy.cfg.DialTrackers {
		codings = " gzip"
	}
	want := "GET /a?" + public(query) + " HTTP/1.1\r\nHost: t\r\nAccept-Encoding:" + codings + "\r\n"
	tracker.expect([]byte(want))
	tracker.send([]byte("HTTP/1.1 200 OK\r\n" + header + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(answer)) + answer))
	var all strings.Builder
	b := make([]byte, 4096)
	for {
		n, err := client.Read(b)
		all.Write(b[:n])
		if err != nil {
			break
		}
	}
	return all.String()
}

func escaped(b []byte) []byte {
	var out []byte
	for _, c := range b {
		out = fmt.Appendf(out, "%%%02x", c)
	}
	return out
}

func toldPeers(addrs ...net.Addr) string {
	var b []byte
	for _, a := range addrs {
		ap := addrPort(a)
		b = append(append(b, ap.Addr().AsSlice()...), byte(ap.Port()>>8), byte(ap.Port()))
	}
	return fmt.Sprintf("d8:intervali1800e5:peers%d:%se", len(b), b)
}

const emptyAnswer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 27\r\n\r\nd8:intervali1800e5:peers0:e"

// TestSeekCrosses has a tracker tell of a peer, of our public port and of nobody: paygate connects the client to the peer.
func TestSeekCrosses(t *testing.T) {
	for name, zip := range map[string]bool{"plain": false, "gzip": true} {
		t.Run(name, func(t *testing.T) {
			desk := newDesk(Gated, 0)
			r := newWebRig(t, desk, func(c *Config) { c.DialTrackers = true })
			far := newRawServer(t)
			dead, err := listenTCP("127.0.0.9:0")
			if err != nil {
				t.Fatal(err)
			}
			dead.Close()
			us := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4242}
			answer, header := toldPeers(far.l.Addr(), us, dead.Addr()), ""
			if zip {
				var b strings.Builder
				z := gzip.NewWriter(&b)
				if _, err := z.Write([]byte(answer)); err != nil {
					t.Fatal(err)
				}
				z.Close()
				answer, header = b.String(), "Content-Encoding: gzip\r\n"
			}
			if got := r.track("&event=started", answer, header); got != emptyAnswer {
				t.Fatalf("the client hears %q", got)
			}
			head := wire.NewHead(testHash)
			remote := far.accept() // dialled first, since most of a swarm does not answer
			client := r.accept()
			client.expect(head[:])
			client.send(hand("client", true, true))
			remote.expect(hand("client", true, false))
			remote.send(hand("remote", true, true))
			client.expect(hand("remote", true, true)[48:])
			if conv := <-desk.convs; !conv.s.Initiator() || conv.s.Remote() != addrPort(remote.LocalAddr()) {
				t.Errorf("initiator %v, remote %v", conv.s.Initiator(), conv.s.Remote())
			}
			if got := r.track("&event=stopped", toldPeers(far.l.Addr()), ""); got != emptyAnswer {
				t.Fatalf("the client hears %q", got)
			}
			client.send(msg(1), msg(2)) // the session goes on
			client.Close()
			remote.Close()
		})
	}
}

// TestSeekLeavesAlone has answers that cannot be read, and requests that are no announces.
func TestSeekLeavesAlone(t *testing.T) {
	r := newWebRig(t, newDesk(Free, 0), func(c *Config) { c.DialTrackers = true })
	for _, answer := range []string{"<html>no", "d14:failure reason2:noe", strings.Repeat("x", maxAnswer+5)} {
		got := r.track("", answer, "")
		if !strings.HasSuffix(got, "\r\n\r\n"+answer) || !strings.Contains(got, fmt.Sprintf("Content-Length: %d\r\n", len(answer))) {
			t.Errorf("%.60q became %.200q", answer, got)
		}
	}
	off := newWebRig(t, newDesk(Free, 0), nil)
	full := toldPeers(off.client.Addr())
	if got := off.track("", full, ""); !strings.HasSuffix(got, full) {
		t.Errorf("%q", got)
	}
}

func TestIsSelf(t *testing.T) {
	p := &Proxy{cfg: Config{PublicPort: 7}}
	for in, want := range map[string]bool{"127.0.0.1:7": true, "127.0.0.1:8": false, "192.0.2.1:7": false, "0.0.0.0:7": true} {
		if got := p.isSelf(netip.MustParseAddrPort(in)); got != want {
			t.Errorf("%s: %v", in, got)
		}
	}
	r := newRig(t, newDesk(Free, 0), func(c *Config) { c.Peers, c.PublicPort = "127.0.0.3:0", 7 })
	for in, want := range map[string]bool{"127.0.0.3:7": true, "127.0.0.1:7": false} {
		if got := r.proxy.isSelf(netip.MustParseAddrPort(in)); got != want {
			t.Errorf("listening on one address, %s: %v", in, got)
		}
	}
}

func TestOnlyGzip(t *testing.T) {
	for in, want := range map[string]string{
		"Accept-Encoding: deflate, gzip, br, zstd\r\n":    "Accept-Encoding: gzip\r\n",
		"accept-encoding:gzip;q=1.0, deflate, identity\n": "accept-encoding:gzip;q=1.0, identity\n",
		"Accept-Encoding: br\r\n":                         "",
		"Accept-Encoding: *\r\n":                          "",
		"X-Accept-Encoding: br\r\n":                       "X-Accept-Encoding: br\r\n",
		"Accept-Encoding: GZIP\r\n":                       "Accept-Encoding: GZIP\r\n",
	} {
		head := func(s string) string { return "GET / HTTP/1.1\r\nHost: h\r\n" + s + "Accept: */*\r\n\r\n" }
		if got := onlyGzip([]byte(head(in))); string(got) != head(want) {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// FuzzOriginHead holds what an origin sees against what net/http reads before and after.
func FuzzOriginHead(f *testing.F) {
	for _, s := range []string{
		"GET http://h/p?q HTTP/1.1\r\nHost: h\r\nConnection: close, x\r\nX: 1\r\n 2\r\nAccept-Encoding: br, gzip\r\n\r\n", "GET http://h HTTP/1.0\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		n := headLen(in)
		before, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in[:n])))
		if err != nil || before.URL.Host == "" || before.URL.Scheme != "http" {
			return
		}
		out := originHead(nil, in[:n], before.Header)
		if headLen(out) != len(out) {
			t.Fatalf("%q has its end elsewhere", out)
		}
		after, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(out)))
		if err != nil {
			t.Fatalf("%v: %q of %q", err, out, in)
		}
		drop := hops(before.Header)
		for name, values := range before.Header {
			if got := after.Header[name]; !drop[strings.ToLower(strings.TrimSpace(name))] && fmt.Sprint(got) != fmt.Sprint(values) {
				t.Fatalf("%s: %q became %q", name, values, got)
			}
		}
		if len(after.Header) > len(before.Header) || after.ContentLength != before.ContentLength || after.Method != before.Method {
			t.Fatalf("%q of %q", out, in)
		}
		if p := before.URL.EscapedPath(); after.URL.RawQuery != before.URL.RawQuery || p != "" && after.URL.EscapedPath() != p {
			t.Fatalf("%q of %q", out, in)
		}
		onlyGzip(bytes.Clone(out))
	})
}

// TestTrackersNameNobodyNearerThanThemselves: or a tracker could have us connect to our own services.
func TestTrackersNameNobodyNearerThanThemselves(t *testing.T) {
	const loop, local, far = "127.0.0.1:10009", "192.168.1.7:6881", "1.0.0.1:6881"
	others := []string{"[::1]:10009", "0.0.0.0:10009", "[::ffff:127.0.0.1]:10009", "169.254.169.254:80", "[fe80::1]:6881", "[fd00::1]:6881", "10.0.0.1:6881"}
	core, logs := observer.New(zapcore.InfoLevel)
	for _, c := range []struct {
		tracker string
		want    []string
	}{
		{"127.0.0.1", append([]string{loop, local, far}, others...)},
		{"192.168.1.1", []string{local, far, others[3], others[4], others[5], others[6]}},
		{"1.1.1.1", []string{far}},
		{"2606:4700::1111", []string{far}},
	} {
		p := &Proxy{log: zap.New(core), quiet: rate.NewLimiter(rate.Inf, 1)}
		a := peers(append([]string{loop, local, far}, others...)...)
		p.leaveOutNear(netip.MustParseAddr(c.tracker), announce.Request{}, &a)
		if got, want := fmt.Sprint(a.Peers), fmt.Sprint(peers(c.want...).Peers); got != want {
			t.Errorf("tracker %s: %s, want %s", c.tracker, got, want)
		}
	}
	if logs.Len() != 3 {
		t.Errorf("%d lines", logs.Len())
	}
}
