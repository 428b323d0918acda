package proxy

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/proxy"

	"paygate/proxy/wire"
)

func (r *rig) socks() *end {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.proxy.SOCKS5Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	return newEnd(r.t, conn)
}

// through connects through the SOCKS5 listener to a server, and returns both ends.
func (r *rig) through() (client, server *end) {
	r.t.Helper()
	l, err := listenTCP("127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	defer l.Close()
	client = r.socks()
	client.send([]byte{5, 1, 0}, connectTo(addrPort(l.Addr())))
	conn, err := l.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	client.expect([]byte{5, 0, 5, 0, 0, 1})
	from := addrPort(conn.RemoteAddr())
	client.expect(binary.BigEndian.AppendUint16(from.Addr().AsSlice(), from.Port()))
	return client, newEnd(r.t, conn)
}

func connectTo(to netip.AddrPort) []byte {
	kind := byte(addrIPv4)
	if to.Addr().Is6() {
		kind = addrIPv6
	}
	b := append([]byte{5, 1, 0, kind}, to.Addr().AsSlice()...)
	return binary.BigEndian.AppendUint16(b, to.Port())
}

func TestSOCKS5Table(t *testing.T) {
	dead, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	refused := connectTo(addrPort(dead.Addr()))
	none := []byte{5, 1, 0}
	fail := func(code byte) []byte { return []byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0} }
	pass := func(user, pw string) []byte {
		return append(append([]byte{1, byte(len(user))}, user...), append([]byte{byte(len(pw))}, pw...)...)
	}
	for name, c := range map[string]struct {
		user string
		say  [][]byte
		want []byte // then the end
	}{
		"version 4":            {"", [][]byte{{4, 1, 0}}, nil},
		"no method fits":       {"", [][]byte{{5, 1, 2}}, []byte{5, 0xff}},
		"password wanted":      {"u", [][]byte{{5, 1, 0}}, []byte{5, 0xff}},
		"wrong password":       {"u", [][]byte{{5, 2, 0, 2}, pass("u", "x")}, []byte{5, 2, 1, 1}},
		"wrong user":           {"u", [][]byte{{5, 2, 0, 2}, pass("v", "secret")}, []byte{5, 2, 1, 1}},
		"right password":       {"u", [][]byte{{5, 2, 0, 2}, pass("u", "secret"), refused}, append([]byte{5, 2, 1, 0}, fail(5)...)},
		"old password version": {"u", [][]byte{{5, 1, 2}, {2, 0, 0}}, []byte{5, 2}},
		"bind":                 {"", [][]byte{none, {5, 2, 0, 1, 127, 0, 0, 1, 0, 80}}, append([]byte{5, 0}, fail(7)...)},
		"command 4":            {"", [][]byte{none, {5, 4, 0, 1, 0, 0, 0, 0, 0, 0}}, append([]byte{5, 0}, fail(7)...)},
		"address type":         {"", [][]byte{none, {5, 1, 0, 9}}, append([]byte{5, 0}, fail(8)...)},
		"empty domain":         {"", [][]byte{none, {5, 1, 0, 3, 0}}, append([]byte{5, 0}, fail(1)...)},
		"connection refused":   {"", [][]byte{none, refused}, append([]byte{5, 0}, fail(5)...)},
		"request version":      {"", [][]byte{none, {4, 1, 0, 1}}, []byte{5, 0}},
		"truncated":            {"", [][]byte{none, {5, 1, 0, 1, 127}}, []byte{5, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, newDesk(Free, 0), func(cfg *Config) { cfg.SOCKS5User, cfg.SOCKS5Password = c.user, "secret" })
			client := r.socks()
			client.send(c.say...)
			client.CloseWrite()
			client.expect(c.want)
			client.expectEnd()
		})
	}
}

func TestSOCKS5Domain(t *testing.T) {
	l, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := newRig(t, newDesk(Free, 0), func(c *Config) { c.SOCKS5User, c.SOCKS5Password = "me", "pw" })
	d, err := proxy.SOCKS5("tcp", r.proxy.SOCKS5Addr().String(), &proxy.Auth{User: "me", Password: "pw"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	conn, err := d.Dial("tcp", "localhost:"+port)
	if err != nil {
		t.Fatal(err)
	}
	client := newEnd(t, conn)
	conn, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server := newEnd(t, conn)
	client.send([]byte("GET / HTTP/1.1\r\n\r\n"))
	server.expect([]byte("GET / HTTP/1.1\r\n\r\n"))
}

func TestSOCKS5IPv6(t *testing.T) {
	l, err := listenTCP("[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	defer l.Close()
	r := newRig(t, newDesk(Free, 0), nil)
	client := r.socks()
	client.send([]byte{5, 1, 0}, connectTo(addrPort(l.Addr())))
	client.expect([]byte{5, 0, 5, 0, 0, 4})
	client.expectLen(18)
}

func TestSOCKS5PeerSession(t *testing.T) {
	desk := newDesk(Gated, 0)
	r := newRig(t, desk, nil)
	client, remote := r.through()
	client.send(hand("client", true, true))
	remote.expect(hand("client", true, false))
	remote.send(hand("remote", true, true))
	client.expect(hand("remote", true, false))
	conv := <-desk.convs
	if !conv.s.Initiator() || conv.s.Remote() != addrPort(remote.LocalAddr()) {
		t.Errorf("initiator %v, remote %v", conv.s.Initiator(), conv.s.Remote())
	}
	client.send(ext(0, "d1:mdee"))
	h, err := wire.ParseExtHandshake(remote.frame()[2:])
	if id, ok := h.ID("pg_pay"); err != nil || !ok || id != 200 {
		t.Errorf("pg_pay = %d", id)
	}
	remote.send(msg(2))
	conv.await(t, RemoteInterested)
	client.silent()
}

func TestSOCKS5Plain(t *testing.T) {
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
	for name, words := range map[string][]string{ // > the remote says it; + the client does, and it is not passed yet
		"http":             {"GET /announce?port=1 HTTP/1.1\r\n\r\n", ">200"},
		"http in pieces":   {"+G", "+ET / HTTP/1.1\r\n", "\r\n", ">200"},
		"tls":              {hello, ">\x16\x03\x03"},
		"tls in pieces":    {"+" + hello[:1], "+" + hello[1:3], hello[3:], ">x"},
		"server speaks":    {">220 mail\r\n", "EHLO me\r\n", ">250 ok\r\n", "\xff\xff now anything"},
		"server, then tls": {">hi", hello},
		"dns over tcp":     {"\x00\x1d\xca\xfe\x01\x20\x00\x01\x00\x00\x00\x00\x00\x00\x07tracker\x04test\x00\x00\x01\x00\x01", ">\x00\x02an", "\x00\x1d again"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, newDesk(Gated, 0), nil)
			client, server := r.through()
			waiting := ""
			for _, w := range words {
				switch w[0] {
				case '>':
					server.send([]byte(w[1:]))
					client.expect([]byte(w[1:]))
				case '+':
					client.send([]byte(w[1:]))
					waiting += w[1:]
					server.silent()
				default:
					client.send([]byte(w))
					server.expect([]byte(waiting + w))
					waiting = ""
				}
			}
			client.CloseWrite()
			server.expectEnd()
			server.send([]byte("bye"))
			server.Close()
			client.expect([]byte("bye"))
			client.expectEnd()
		})
	}
}

func TestHiddenTorrents(t *testing.T) {
	garbage := []byte("\x8f\x01 not a handshake at all, rather random bytes")
	almost := []byte("\x13BitTorrent protocoX")
	for name, c := range map[string]struct {
		greet  string
		first  []byte
		charge bool
		passes bool
	}{
		"charging":                 {"", garbage, true, false},
		"charging, looks plain":    {"", almost, true, false},
		"free":                     {"", garbage, false, true},
		"free, looks plain":        {"", almost, false, true},
		"greeted, charging":        {"\x01\x02 Yb first", garbage, true, false},
		"greeted, plain handshake": {"hello", hand("x", true, true), true, false},
		"greeted, free":            {"\x01\x02 Yb first", garbage, false, true},
		"not quite tls":            {"", []byte("\x16\x03\x09\xff\xff\x07"), true, false},
		"not quite tls, early":     {"", []byte("\x16\x04"), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			desk := newDesk(Free, 0)
			desk.charge = c.charge
			r := newRig(t, desk, nil)
			client, remote := r.through()
			if c.greet != "" {
				remote.send([]byte(c.greet))
				client.expect([]byte(c.greet))
			}
			client.send(c.first)
			if c.passes {
				remote.expect(c.first)
				remote.send([]byte("answer"))
				client.expect([]byte("answer"))
				return
			}
			remote.expectEnd()
			eventually(t, "one line", func() bool { return r.log.FilterMessage("connection refused").Len() == 1 })
			if c.greet != "" {
				return
			}
			stranger := r.dial()
			stranger.send(c.first)
			stranger.expectEnd()
		})
	}
}

func TestBlindInbound(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), nil)
	stranger := r.dial()
	stranger.send([]byte("\x13BitTorrent prot"))
	stranger.send([]byte("OCOL encrypted"))
	client := r.accept()
	client.expect([]byte("\x13BitTorrent protOCOL encrypted"))
	client.send([]byte("yes"))
	stranger.expect([]byte("yes"))
}

func TestClassify(t *testing.T) {
	for in, want := range map[string]speech{
		"": unclear, "\x13": bitTorrent, "\x13BitTorrent protocol": bitTorrent, "\x13Bitt": hidden,
		"P": unclear, "PO": unclear, "POST /": plain, "POSX": hidden, "GET /": plain, "GETX": hidden,
		"\x16": unclear, "\x16\x03\x01": unclear, "\x16\x05": hidden, "\x16\x03\x01\x00\xff\x01": plain, "\x16\x03\x01\x00\xff\x02": hidden,
		"\x00\x01": unclear, "\x02": hidden, "EHLO": hidden,
		"\x00\x1d\xca\xfe\x01\x20\x00\x01\x00\x00\x00\x00\x00\x01\x07tracker": plain, "\x00\x1d\xca\xfe\x01\x20\x00": unclear,
		"\x00\x1d\xca\xfe\x81\x80\x00\x01": hidden, "\x00\x1d\xca\xfe\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00": hidden,
		"\x00\x01\xca\xfe\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00": hidden,
	} {
		if got := classify([]byte(in)); got != want {
			t.Errorf("%q: %d, want %d", in, got, want)
		}
	}
	for in, want := range map[string]speech{"EHLO x\r\n": plain, "GET /": plain, "G": unclear, "\x80": hidden, "\x13BitTorrent protocol": hidden} {
		if got := classifyReply([]byte(in)); got != want {
			t.Errorf("reply %q: %d, want %d", in, got, want)
		}
	}
}
