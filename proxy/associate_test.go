package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
)

const (
	utpData  = "\x01\x00\x12\x34\x00\x00\x00\x05\x00\x00\x00\x09\x00\x10\x00\x00\x00\x01\x00\x00payload"
	dhtPing  = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
	dhtTell  = "d1:ad2:id20:abcdefghij012345678912:implied_porti%de9:info_hash20:mnopqrstuvwxyz1234564:porti%de5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe"
	connects = "\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00\xca\xfe\xba\xbe"
)

// told is a UDP tracker announce with a port, and an option behind it (BEP 41).
func told(port uint16) []byte {
	b := append([]byte("\x01\x02\x03\x04\x05\x06\x07\x08\x00\x00\x00\x01\xca\xfe\xba\xbe"), bytes.Repeat([]byte{7}, 80)...)
	return append(binary.BigEndian.AppendUint16(b, port), "\x02\x02/a"...)
}

// associated is a client's UDP relay.
type associated struct {
	*end
	relay netip.AddrPort
	sock  *net.UDPConn
}

// associate asks for a UDP relay, from and with the address of the listener.
func (r *rig) associate() *associated {
	r.t.Helper()
	conn := r.socks()
	conn.send([]byte{5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0})
	conn.expect([]byte{5, 0, 5, 0, 0})
	kind, n := conn.expectLen(1)[0], 4
	if kind == addrIPv6 {
		n = 16
	}
	ip, _ := netip.AddrFromSlice(conn.expectLen(n))
	relay := netip.AddrPortFrom(ip, binary.BigEndian.Uint16(conn.expectLen(2)))
	if at := addrPort(conn.RemoteAddr()).Addr(); ip != at {
		r.t.Fatalf("the relay is at %s, the listener at %s", ip, at)
	}
	return &associated{conn, relay, udpAt(r.t, ip.String())}
}

func udpAt(t *testing.T, ip string) *net.UDPConn {
	t.Helper()
	sock, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(ip)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sock.Close() })
	return sock
}

func (a *associated) say(sock *net.UDPConn, head, data []byte) {
	a.t.Helper()
	if _, err := sock.WriteToUDPAddrPort(append(bytes.Clone(head), data...), a.relay); err != nil {
		a.t.Fatal(err)
	}
}

func addressOf(sock *net.UDPConn) netip.AddrPort {
	a := sock.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func headerTo(to netip.AddrPort) []byte { return datagramHead(nil, to) }

// hears wants one datagram, and returns who sent it.
func hears(t *testing.T, sock *net.UDPConn, want []byte) netip.AddrPort {
	t.Helper()
	if err := sock.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64<<10)
	n, from, err := sock.ReadFromUDPAddrPort(b)
	if err != nil || !bytes.Equal(b[:n], want) {
		t.Fatalf("%v: heard %q, want %q", err, b[:n], want)
	}
	return netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

func TestAssociate(t *testing.T) {
	r := newRig(t, newDesk(Gated, 0), nil)
	a := r.associate()
	tracker := udpAt(t, "127.0.0.1")
	to := headerTo(addressOf(tracker))
	_, port, _ := strings.Cut(addressOf(tracker).String(), ":")
	var number uint16
	if _, err := fmt.Sscan(port, &number); err != nil {
		t.Fatal(err)
	}
	byName := binary.BigEndian.AppendUint16(append([]byte{0, 0, 0, 3, 9}, "localhost"...), number)
	var from netip.AddrPort
	for name, c := range map[string]struct {
		head       []byte
		said, want string
	}{
		"connect":       {to, connects, connects},
		"announce":      {to, string(told(1)), string(told(4242))},
		"DHT query":     {to, dhtPing, dhtPing},
		"announce_peer": {to, fmt.Sprintf(dhtTell, 1, 6881), fmt.Sprintf(dhtTell, 0, 4242)},
		"by name":       {byName, string(told(1)), string(told(4242))},
	} {
		t.Run(name, func(t *testing.T) {
			a.say(a.sock, c.head, []byte(c.said))
			from = hears(t, tracker, []byte(c.want))
		})
	}
	answer := "\x00\x00\x00\x00\xca\xfe\xba\xbe01234567"
	if _, err := tracker.WriteToUDPAddrPort([]byte(answer), from); err != nil {
		t.Fatal(err)
	}
	if got := hears(t, a.sock, append(to, answer...)); got != a.relay {
		t.Errorf("the answer comes from %s", got)
	}
	a.Close()
	eventually(t, "the relay is closed", func() bool { return len(r.proxy.associations) == 0 })
}

// TestAssociateDrops sends what must not pass, then something that must: that comes first.
func TestAssociateDrops(t *testing.T) {
	r := newRig(t, newDesk(Gated, 0), nil)
	a := r.associate()
	world := udpAt(t, "127.0.0.1")
	to := headerTo(addressOf(world))
	other := bytes.Clone(to)
	other[3] = 9
	fragment := bytes.Clone(to)
	fragment[2] = 1
	nowhere := bytes.Clone(to)
	nowhere[8], nowhere[9] = 0, 0
	a.say(a.sock, to, []byte(connects)) // settles the port
	from := hears(t, world, []byte(connects))
	a.say(udpAt(t, "127.0.0.1"), to, []byte("d1:t1:s1:y1:qe"))
	a.say(udpAt(t, "127.0.0.2"), to, []byte("d1:t1:s1:y1:qe"))
	a.say(a.sock, fragment, []byte(dhtPing))
	a.say(a.sock, other, []byte(dhtPing))
	a.say(a.sock, nowhere, []byte(dhtPing))
	a.say(a.sock, to[:9], nil)
	a.say(a.sock, []byte{0, 0, 0, 3, 200, 'x'}, nil)
	a.say(a.sock, nil, nil)
	a.say(a.sock, to, []byte(utpData))
	a.say(a.sock, to, []byte("who knows"))
	a.say(a.sock, to, append([]byte(dhtPing), make([]byte, maxDatagram)...))
	a.say(a.sock, to, []byte(dhtPing))
	hears(t, world, []byte(dhtPing))
	for _, back := range []string{utpData, "who knows", dhtPing} {
		if _, err := world.WriteToUDPAddrPort([]byte(back), from); err != nil {
			t.Fatal(err)
		}
	}
	hears(t, a.sock, append(to, dhtPing...))
	lines := r.log.FilterLevelExact(zapcore.WarnLevel).All()
	if len(lines) != 1 || lines[0].ContextMap()["remedy"] == nil {
		t.Errorf("lines %v", lines)
	}
}

func TestAssociateFreePassesAll(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), nil)
	a := r.associate()
	world := udpAt(t, "127.0.0.1")
	to := headerTo(addressOf(world))
	for _, said := range []string{utpData, "who knows", ""} {
		a.say(a.sock, to, []byte(said))
		from := hears(t, world, []byte(said))
		if _, err := world.WriteToUDPAddrPort([]byte(said), from); err != nil {
			t.Fatal(err)
		}
		hears(t, a.sock, append(to, said...))
	}
}

func TestAssociateIPv6(t *testing.T) {
	l, err := listenTCP("[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	l.Close()
	r := newRig(t, newDesk(Gated, 0), func(c *Config) { c.SOCKS5 = "[::1]:0" })
	a := r.associate()
	for _, ip := range []string{"::1", "127.0.0.1"} {
		world := udpAt(t, ip)
		to := headerTo(addressOf(world))
		a.say(a.sock, to, told(9))
		from := hears(t, world, told(4242))
		if _, err := world.WriteToUDPAddrPort([]byte(dhtPing), from); err != nil {
			t.Fatal(err)
		}
		hears(t, a.sock, append(to, dhtPing...))
	}
}

func TestAssociationsAreLimited(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), func(c *Config) { c.Associations = 1 })
	first := r.associate()
	full := r.socks()
	full.send([]byte{5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0})
	full.expect([]byte{5, 0, 5, 1, 0, 1, 0, 0, 0, 0, 0, 0})
	full.expectEnd()
	first.Close()
	eventually(t, "there is room again", func() bool { return len(r.proxy.associations) == 0 })
	r.associate()
}

func TestIdleAssociationsEnd(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), func(c *Config) { c.AssociationIdle = 100 * time.Millisecond })
	a := r.associate()
	a.send([]byte("talk on the connection changes nothing"))
	a.expectEnd()
}

func TestAssociationsEndWithTheProxy(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), nil)
	a := r.associate()
	r.stop()
	a.expectEnd()
}

func TestUnresolvableNames(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), nil)
	a := r.associate()
	world := udpAt(t, "127.0.0.1")
	for range 2 * maxNames { // more than wait
		a.say(a.sock, []byte("\x00\x00\x00\x03\x0bbad..name.x\x00\x01"), []byte("lost"))
	}
	a.say(a.sock, headerTo(addressOf(world)), []byte("not held up"))
	hears(t, world, []byte("not held up"))
	eventually(t, "a line", func() bool { return r.log.FilterMessage("connection refused").Len() > 0 })
}

func TestNamesAreBounded(t *testing.T) {
	a := &association{known: map[string]resolved{}}
	for i := range 3 * maxNames {
		a.remember(fmt.Sprint(i), netip.MustParseAddrPort("127.0.0.1:1"))
	}
	if len(a.known) > maxNames {
		t.Errorf("%d names", len(a.known))
	}
}

func FuzzDatagram(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x7f\x00\x00\x01\x00\x50data"))
	f.Add([]byte("\x00\x00\x00\x03\x04host\x00\x50data"))
	f.Fuzz(func(t *testing.T, in []byte) {
		to, data, ok := parseDatagram(in)
		if !ok {
			return
		}
		if (to.name == "") != to.addr.IsValid() || !bytes.HasSuffix(in, data) {
			t.Fatalf("%v %q", to, data)
		}
		if to.name != "" || in[3] == addrIPv6 && to.addr.Addr().Is4() {
			return
		}
		in[0], in[1] = 0, 0 // reserved
		if head := datagramHead(nil, to.addr); !bytes.Equal(append(head, data...), in) {
			t.Fatalf("%x of %x", head, in)
		}
	})
}
