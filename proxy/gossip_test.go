package proxy

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	pp "github.com/anacrolix/torrent/peer_protocol"
	utHolepunch "github.com/anacrolix/torrent/peer_protocol/ut-holepunch"

	"paygate/proxy/wire"
)

// compact writes addresses as BEP 11 does.
func compact(peers ...netip.AddrPort) string {
	var b []byte
	for _, p := range peers {
		b = append(b, p.Addr().AsSlice()...)
		b = append(b, byte(p.Port()>>8), byte(p.Port()))
	}
	return string(b)
}

func added(peers ...netip.AddrPort) string {
	return string(bencode.MustMarshal(map[string]string{"added": compact(peers...), "added.f": strings.Repeat("\x02", len(peers))}))
}

// told reads a PEX message with this id and returns whom it adds.
func (e *end) told(id byte) string {
	e.t.Helper()
	f := e.frame()
	if f[0] != 20 || f[1] != id {
		e.t.Fatalf("message %x, want one with id %d", f, id)
	}
	m, err := pp.LoadPexMsg(f[2:])
	if err != nil {
		e.t.Fatal(err)
	}
	var list []string
	for i, p := range m.Added {
		list = append(list, fmt.Sprintf("%s:%d", p.IP, p.Port))
		if m.AddedFlags[i] != 2 {
			e.t.Errorf("flags %x", m.AddedFlags)
		}
	}
	return strings.Join(list, " ")
}

// met makes a session from ip, with both handshakes through and the remote's hello passed.
func (r *rig) met(ip, hello string) (remote, client *end) {
	r.t.Helper()
	remote = r.dialFrom(ip)
	remote.send(hand("remote", true, false))
	client = r.accept()
	client.expectLen(wire.HandshakeLen)
	client.send(hand("client", true, false))
	remote.expectLen(wire.HandshakeLen)
	remote.send(ext(0, hello))
	client.frame()
	return remote, client
}

func TestPEXIsTranslated(t *testing.T) {
	for _, treat := range []Treatment{Free, Watched, Gated} {
		t.Run(treat.String(), func(t *testing.T) {
			r := newRig(t, newDesk(treat, 0), nil)
			_, ca := r.met("127.0.9.1", "d1:md6:ut_pexi3ee1:pi7001ee")
			_, cb := r.met("127.0.9.2", "d1:mdee")
			remote, client := r.met("127.0.9.3", "d1:md6:ut_pexi9ee1:pi7003ee")
			client.send(ext(0, "d1:md6:ut_pexi1eee"))
			remote.frame()
			a, b, self := addrPort(ca.RemoteAddr()), addrPort(cb.RemoteAddr()), addrPort(client.RemoteAddr())
			real := netip.MustParseAddrPort("198.51.100.1:1")
			at := func(ip netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(ip, port) }

			client.send(ext(9, added(real)))
			remote.expect(ext(9, added(real))) // nothing to change
			client.send(ext(9, added(at(a.Addr(), 7001), a, b, real, at(b.Addr(), 7002), self, at(self.Addr(), 7003), netip.MustParseAddrPort("127.99.9.9:1"))))
			if got := remote.told(9); got != "127.0.9.1:7001 127.0.9.1:7001 198.51.100.1:1 127.0.9.2:7002" {
				t.Errorf("the remote was told of %s", got)
			}
			client.send(ext(9, "what is this?"), ext(9, "d5:added6:"+compact(a)+"7:added.f0:e"), ext(9, added(a)+"x"), msg(4, 0, 0, 0, 1))
			remote.expect(msg(4, 0, 0, 0, 1)) // what cannot be read does not pass
			client.send(ext(9, "d5:added"+strings.Repeat("x", wire.MaxWhole)), msg(4, 0, 0, 0, 2))
			remote.expect(msg(4, 0, 0, 0, 2)) // nor what is too long

			remote.send(ext(1, added(real, a)))
			if got := client.told(1); got != "198.51.100.1:1" {
				t.Errorf("the client was told of %s", got)
			}
			remote.send(ext(1, "nothing that can be read"), ext(1, added(real)), msg(4, 0, 0, 0, 3))
			client.expect(append(ext(1, added(real)), msg(4, 0, 0, 0, 3)...))

			// Another id for PEX, whose old one goes to another extension.
			remote.send(ext(0, "d1:md11:ut_metadatai9e6:ut_pexi11eee"))
			client.frame()
			client.send(ext(9, "d8:msg_typei1ee"+string(make([]byte, 5000))), ext(11, added(a)))
			remote.expect(ext(9, "d8:msg_typei1ee"+string(make([]byte, 5000))))
			if got := remote.told(11); got != "127.0.9.1:7001" {
				t.Errorf("under the new id: %s", got)
			}
			// A handshake that does not say anything of PEX leaves it as it is.
			remote.send(ext(0, "d1:mdee"))
			client.frame()
			client.send(ext(11, added(a)))
			if got := remote.told(11); got != "127.0.9.1:7001" {
				t.Errorf("after another handshake: %s", got)
			}
		})
	}
}

func TestHolepunchNamesNoAlias(t *testing.T) {
	r := newRig(t, newDesk(Watched, 0), nil)
	_, other := r.met("127.0.9.1", "d1:mdee")
	remote, client := r.met("127.0.9.2", "d1:md12:ut_holepunchi4eee")
	client.send(ext(0, "d1:md12:ut_holepunchi5eee"))
	remote.frame()
	connect := func(to netip.AddrPort) string {
		m := utHolepunch.Msg{MsgType: utHolepunch.Connect, AddrPort: to}
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	far := connect(netip.MustParseAddrPort("[2001:db8::1]:1"))
	client.send(ext(4, connect(addrPort(other.RemoteAddr()))), ext(4, "\x00"), ext(4, far))
	remote.expect(ext(4, far))
	remote.send(ext(5, connect(addrPort(other.RemoteAddr()))), ext(5, far))
	client.expect(ext(5, far))
}

// TestQuietFreeSession: the client is told that the remote takes no word of other peers, and everything after the extended handshakes
// is copied as it stands.
func TestQuietFreeSession(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), func(c *Config) { c.FreePEX = -1 })
	remote := r.dial()
	remote.send(hand("remote", true, true), ext(0, "d1:md12:ut_holepunchi4e11:ut_metadatai3e6:ut_pexi9ee1:pi7003ee"))
	client := r.accept()
	client.expect(append(hand("remote", true, true), ext(0, "d1:md12:ut_holepunchi0e11:ut_metadatai3e6:ut_pexi0ee1:pi7003ee")...))
	client.send(hand("client", true, true), ext(0, "d1:md6:ut_pexi1ee1:pi5e6:yourip4:\x7f\x40\x00\x01e"))
	remote.expect(append(hand("client", true, true), ext(0, "d1:md6:ut_pexi1ee1:pi4242e6:yourip4:\x7f\x00\x00\x01e")...))
	expectBlind(t, remote, client)
}

// expectBlind wants bytes that are no frames to pass in both directions.
func expectBlind(t *testing.T, remote, client *end) {
	t.Helper()
	for range 3 { // by the second message, each direction has seen that it may
		remote.send(msg(4, 0, 0, 0, 1))
		client.expect(msg(4, 0, 0, 0, 1))
		client.send(msg(4, 0, 0, 0, 2))
		remote.expect(msg(4, 0, 0, 0, 2))
	}
	half := ext(77, "half of a message")[:6]
	remote.send(half)
	client.expect(half)
	client.send(half)
	remote.expect(half)
	long := bytes.Repeat([]byte{0xff}, 300_000) // no length that a message can have
	for _, way := range [][2]*end{{remote, client}, {client, remote}} {
		go func() { _, _ = way[0].Write(long) }()
		way[1].expect(long)
	}
}

// TestFreeSessionGoesBlind when nobody can say anything of other peers that would have to be translated.
func TestFreeSessionGoesBlind(t *testing.T) {
	const pex, none = "d1:md6:ut_pexi9eee", "d1:md11:ut_metadatai3eee"
	for _, c := range []struct {
		name           string
		remote, client string // extended handshakes; "": without the extension protocol
	}{
		{"the remote has no extensions", "", none},
		{"the client has none", none, ""},
		{"nobody has", "", ""},
		{"the remote takes no PEX", none, pex},
		{"the client takes none", pex, none},
		{"nobody says what it takes", "-", "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, newDesk(Free, 0), nil)
			remote := r.dial()
			remote.send(hand("remote", c.remote != "", true))
			client := r.accept()
			client.expect(hand("remote", c.remote != "", true))
			client.send(hand("client", c.client != "", true))
			remote.expect(hand("client", c.client != "", true)) // paygate does not speak for a client here
			switch {
			case c.remote == "-":
				remote.send(request(0, 0, 16384))
				client.expect(request(0, 0, 16384))
				client.send(piece(0, 0, 16384))
				remote.expect(piece(0, 0, 16384))
			case c.remote != "" && c.client != "":
				remote.send(ext(0, c.remote))
				client.expect(ext(0, c.remote))
				client.send(ext(0, c.client))
				remote.expect(ext(0, c.client))
			}
			expectBlind(t, remote, client)
		})
	}
}

// TestWhoseGossipIsWatched: free sessions are only where there are aliases to be told, and then as the owner wants it.
func TestWhoseGossipIsWatched(t *testing.T) {
	for _, c := range []struct {
		client            string
		freePEX           int
		treat             Treatment
		translates, quiet bool
	}{
		{"", 1, Free, false, false},
		{"", -1, Free, false, false},
		{"", -1, Watched, true, false},
		{"127.0.0.1:6882", 1, Free, true, false},
		{"127.0.0.1:6882", -1, Free, false, true},
		{"127.0.0.1:6882", -1, Watched, true, false},
		{"127.0.0.1:6882", -1, Gated, true, false},
		{"192.0.2.1:6882", 1, Free, false, false},
		{"[::1]:6882", -1, Free, false, false},
	} {
		p, err := New(Config{Client: c.client, FreePEX: c.freePEX}, Deps{})
		if err != nil {
			t.Fatal(err)
		}
		near, far := pair(t)
		s := &Session{remote: side{conn: near}, client: side{conn: far}, treatment: c.treat}
		p.gossips(s)
		if s.translates != c.translates || s.quiet != c.quiet {
			t.Errorf("%+v: translates %v, quiet %v", c, s.translates, s.quiet)
		}
	}
}

// TestFewFreeSessionsGossip: the first ones may, a further one may not, and when one of them goes blind or ends another may.
func TestFewFreeSessionsGossip(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), func(c *Config) { c.FreePEX = 2 })
	const pex = "d1:md6:ut_pexi9eee"
	meet := func() (hangUp func(), gossips bool) {
		remote := r.dial()
		remote.send(hand("remote", true, false), ext(0, pex))
		client := r.accept()
		client.expectLen(wire.HandshakeLen)
		client.send(hand("client", true, false), ext(0, pex))
		remote.expectLen(wire.HandshakeLen)
		remote.expect(ext(0, pex))
		return func() { remote.Close(); client.Close() }, string(client.frame()[2:]) == pex
	}
	first, gossips := meet()
	_, also := meet()
	if !gossips || !also {
		t.Fatal("the first two are told nothing")
	}
	if _, gossips = meet(); gossips {
		t.Fatal("a third is told")
	}
	first()
	eventually(t, "a place is free", func() bool { return r.proxy.gossipy.Load() == 1 })
	plain := r.dial()
	plain.send(hand("remote", false, false))
	r.accept().send(hand("client", true, false))
	plain.expectLen(wire.HandshakeLen)
	plain.send(msg(4, 0, 0, 0, 1))
	eventually(t, "a place is free again", func() bool { return r.proxy.gossipy.Load() == 1 })
	if _, gossips = meet(); !gossips {
		t.Error("the place of one that has ended is lost")
	}
}

// TestReleasedSessionsTranslateOn: a session that nothing is charged for any more must still not tell aliases.
func TestReleasedSessionsTranslateOn(t *testing.T) {
	desk := newDesk(Gated, 0)
	r := newRig(t, desk, nil)
	_, other := r.met("127.0.9.1", "d1:mdee")
	<-desk.convs
	remote, client := r.met("127.0.9.2", "d1:md6:ut_pexi9eee")
	(<-desk.convs).s.Release()
	client.send(ext(0, "d1:md6:ut_pexi1eee"))
	remote.frame()
	for range 3 {
		client.send(ext(9, added(netip.AddrPortFrom(addrPort(other.RemoteAddr()).Addr(), 7))))
		if got := remote.told(9); got != "127.0.9.1:7" {
			t.Errorf("told of %s", got)
		}
	}
}

func TestRetell(t *testing.T) {
	a := newAliases(t, "127.64.0.0/10", "", &clock{})
	alias := func(remote string) string { return mustTake(t, a, remote).String() }
	four, six, lan := alias("203.0.113.7"), alias("2001:db8::7"), alias("192.168.1.9")
	const public, private, local, public6 = "198.51.100.2:40000", "192.168.1.5:40000", "127.0.0.5:40000", "[2001:db8::5]:40000"
	for _, c := range []struct {
		remote, peer, toRemote, toClient string // "": taken out
	}{
		{public, "203.0.113.9:1", "203.0.113.9:1", "203.0.113.9:1"},
		{public, "[2001:db8::9]:1", "[2001:db8::9]:1", "[2001:db8::9]:1"},
		{public, four + ":6881", "203.0.113.7:6881", ""},
		{public, six + ":6881", "[2001:db8::7]:6881", ""},
		{public6, six + ":6881", "[2001:db8::7]:6881", ""},
		{public6, four + ":6881", "203.0.113.7:6881", ""},
		{public, lan + ":6881", "", ""},
		{private, lan + ":6881", "192.168.1.9:6881", ""},
		{local, lan + ":6881", "192.168.1.9:6881", ""},
		{local, four + ":6881", "203.0.113.7:6881", ""},
		{public, "127.99.0.1:1", "", ""}, // an alias that nobody has
		{local, "127.99.0.1:1", "", ""},
		{public, "127.0.0.1:6882", "", ""},
		{private, "127.0.0.1:6882", "", ""},
		{local, "127.0.0.1:6882", "127.0.0.1:6882", "127.0.0.1:6882"},
		{public, "10.1.2.3:1", "", ""},
		{public6, "10.1.2.3:1", "", ""},
		{public, "[::ffff:10.1.2.3]:1", "", ""},
		{public, "[::ffff:203.0.113.9]:1", "[::ffff:203.0.113.9]:1", "[::ffff:203.0.113.9]:1"},
		{private, "10.1.2.3:1", "10.1.2.3:1", "10.1.2.3:1"},
		{public, "169.254.1.1:1", "", ""},
		{public, "[fe80::1]:1", "", ""},
		{public, "[fd00::1]:1", "", ""},
		{public, "[::1]:1", "", ""},
		{public, "[::]:1", "", ""},
		{public, "0.0.0.0:1", "", ""},
		{public, "0.1.2.3:1", "", ""},
		{public, "198.51.100.2:40000", "", "198.51.100.2:40000"}, // the recipient
		{public, "198.51.100.2:7003", "", "198.51.100.2:7003"},
		{public, "198.51.100.2:7004", "198.51.100.2:7004", "198.51.100.2:7004"}, // its neighbour
		{public6, "[2001:db8::5]:7003", "", "[2001:db8::5]:7003"},
		{public, "203.0.113.1:4242", "", "203.0.113.1:4242"}, // ourselves
		{public, "203.0.113.1:4243", "203.0.113.1:4243", "203.0.113.1:4243"},
	} {
		s := &Session{addr: netip.MustParseAddrPort(c.remote), aliases: a, self: netip.MustParseAddrPort("203.0.113.1:4242")}
		s.listens.Store(7003)
		for _, way := range []struct {
			toRemote bool
			want     string
		}{{true, c.toRemote}, {false, c.toClient}} {
			got := s.retell(way.toRemote, netip.MustParseAddrPort(c.peer))
			if got.IsValid() != (way.want != "") || got.IsValid() && got.String() != way.want {
				t.Errorf("%s tells of %s (to the remote: %v): %s, want %q", c.remote, c.peer, way.toRemote, got, way.want)
			}
		}
	}
}

func TestYourIPOfAnIPv6Remote(t *testing.T) {
	s := &Session{addr: netip.MustParseAddrPort("[2001:db8::7%eth0]:40000"), port: 4242}
	f := &flow{s: s, out: true}
	payload := ext(0, "d1:mde1:pi6882e6:yourip4:\x7f\x40\x00\x01e")
	var scan wire.Scanner
	frame, _, err := scan.Next(payload)
	if err != nil {
		t.Fatal(err)
	}
	want := ext(0, "d1:mde1:pi4242e6:yourip16:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07e")
	if got := s.rewriteHello(f, &frame); !bytes.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// TestAliasesAreDialled: the client asks the SOCKS5 proxy for a peer by the alias that it knows, and gets the peer.
func TestAliasesAreDialled(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), nil)
	_, client := r.met("127.0.9.1", "d1:mdee")
	l, err := listenTCP("127.0.9.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	alias := addrPort(client.RemoteAddr()).Addr()
	port := addrPort(l.Addr()).Port()
	if got := r.proxy.behind(netip.AddrPortFrom(alias, port).String()); got != l.Addr().String() {
		t.Errorf("behind %s is %s, want %s", alias, got, l.Addr())
	}
	for _, other := range []string{"127.99.1.1:1", "127.0.0.1:6881", "192.0.2.1:5", "tracker.example:80", "nonsense"} {
		if got := r.proxy.behind(other); got != other {
			t.Errorf("behind %s is %s", other, got)
		}
	}
	conn, err := r.proxy.dialRemote(t.Context(), netip.AddrPortFrom(alias, port).String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
