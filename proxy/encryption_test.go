package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	anacrolix "github.com/anacrolix/torrent/mse"
	"pgregory.net/rapid"

	"paygate/proxy/mse"
	"paygate/proxy/wire"
	"paygate/units"
)

// tongue is what an end speaks: the methods that it provides or takes, none if it speaks plainly.
type tongue struct {
	name   string
	offers anacrolix.CryptoMethod // provides, or takes in this order of preference: plaintext last
	takes  anacrolix.CryptoMethod
}

var tongues = []tongue{
	{name: "plain"},
	{"RC4", anacrolix.CryptoMethodRC4, anacrolix.CryptoMethodRC4},
	{"plaintext method", anacrolix.CryptoMethodPlaintext, anacrolix.CryptoMethodPlaintext},
	{"both methods", anacrolix.AllSupportedCrypto, anacrolix.CryptoMethodRC4},
}

func (g tongue) encrypted() bool { return g.offers != 0 }

// initiate makes the handshake of somebody who calls.
func (e *end) initiate(g tongue, h units.InfoHash, early []byte) {
	e.t.Helper()
	if err := e.tryInitiate(g, h, early); err != nil {
		e.t.Fatalf("initiate: %v", err)
	}
}

func (e *end) tryInitiate(g tongue, h units.InfoHash, early []byte) (err error) {
	if g.encrypted() {
		e.rw, _, err = anacrolix.InitiateHandshake(e.TCPConn, h[:], early, g.offers)
		return err
	}
	_, err = e.Write(early)
	return err
}

// understand answers whoever has called, and reports whether it is in this tongue. If not, it closes the connection without a
// word, as clients do.
func (e *end) understand(g tongue) bool {
	said, err := peek(e.TCPConn, classify)
	if (err == nil && classify(said) == bitTorrent) == g.encrypted() {
		_, _ = e.TCPConn.Read(make([]byte, 1000))
		e.Close()
		return false
	}
	if g.encrypted() {
		keys := func(try func([]byte) bool) { try(testHash[:]) }
		choose := func(offered anacrolix.CryptoMethod) anacrolix.CryptoMethod {
			if both := offered & g.takes; both != 0 {
				return both
			}
			return offered & g.offers
		}
		if e.rw, _, err = anacrolix.ReceiveHandshake(context.Background(), e.TCPConn, keys, choose); err != nil {
			e.Close()
			return false
		}
	}
	return true
}

// answer takes connections of l until one is in a tongue that its end understands.
func (r *rig) answer(l *net.TCPListener, g tongue) *end {
	r.t.Helper()
	for range 3 {
		_ = l.SetDeadline(time.Now().Add(10 * time.Second))
		conn, err := l.Accept()
		if err != nil {
			r.t.Fatalf("%s: nobody calls: %v", g.name, err)
		}
		if e := newEnd(r.t, conn); e.understand(g) {
			return e
		}
	}
	r.t.Fatalf("%s: nobody calls in this tongue", g.name)
	return nil
}

// called makes a session that a stranger has opened, handshakes through. early says the whole handshake with the encryption's.
func (r *rig) called(g, client tongue, early bool) (*end, *end) {
	r.t.Helper()
	remote := r.dial()
	first, rest := hand("remote", true, true), []byte(nil)
	if !early {
		first, rest = nil, first
	}
	remote.initiate(g, testHash, first)
	remote.send(rest)
	return remote, r.answer(r.client, client)
}

// calls makes a session that the client has opened through SOCKS5.
func (r *rig) calls(g, remote tongue, early bool) (*end, *end) {
	r.t.Helper()
	l, err := listenTCP("127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { l.Close() })
	client := r.socks()
	client.send([]byte{5, 1, 0}, connectTo(addrPort(l.Addr())))
	client.expectLen(2 + 10)
	first, rest := hand("client", true, true), []byte(nil)
	if !early {
		first, rest = nil, first
	}
	client.initiate(g, testHash, first)
	client.send(rest)
	return client, r.answer(l, remote)
}

// shakeHands says and hears what is left of the handshake.
func shakeHands(caller, called *end, name string) {
	called.t.Helper()
	called.expectLen(wire.HandshakeLen)
	called.send(hand(name, true, true))
	caller.expectLen(wire.HandshakeLen)
}

// greet exchanges extended handshakes.
func greet(t *testing.T, remote, client *end, conv *fakeConv) {
	t.Helper()
	client.send(ext(0, "d1:mdee"))
	remote.send(ext(0, "d1:md6:pg_payi250eee"), msg(4, 0, 0, 0, 0))
	remote.frame()
	client.expect(append(ext(0, "d1:md6:pg_payi250eee"), msg(4, 0, 0, 0, 0)...))
	conv.await(t, RemoteHello)
}

// TestEncryptedByteExact sends random streams over every combination of tongues, in both directions, with injections.
func TestEncryptedByteExact(t *testing.T) {
	desk := newDesk(Watched, 0)
	desk.charge = true
	r := newRig(t, desk, nil)
	r.proxy.known.add(testHash)
	rapid.Check(t, func(rt *rapid.T) {
		outbound, early := rapid.Bool().Draw(rt, "outbound"), rapid.Bool().Draw(rt, "early")
		caller := rapid.SampledFrom(tongues).Draw(rt, "caller")
		called := rapid.SampledFrom(tongues).Draw(rt, "called")
		r.proxy.secrecy.client.Store(uint32(habitUnknown))
		r.proxy.secrecy.retries.SetLimit(1e9)
		if outbound {
			called = caller // auto is what the client does
			if caller.offers == anacrolix.AllSupportedCrypto {
				called = tongues[rapid.IntRange(0, 3).Draw(rt, "remote")] // in plaintext if nothing else works
			}
			if caller.name == "plaintext method" {
				called = tongues[rapid.SampledFrom([]int{0, 2}).Draw(rt, "remote")]
			}
		}
		var remote, client *end
		if outbound {
			client, remote = r.calls(caller, called, early)
			shakeHands(client, remote, "remote")
		} else {
			remote, client = r.called(caller, called, early)
			shakeHands(remote, client, "client")
		}
		defer remote.Close()
		defer client.Close()
		conv := <-desk.convs
		greet(t, remote, client, conv)
		exchange(rt, remote, client, conv)
	})
}

// TestEncryptedSessionsShow compares what status tells, and counters, with what happens.
func TestEncryptedSessionsShow(t *testing.T) {
	for _, treat := range []Treatment{Free, Watched, Gated} {
		for _, g := range tongues[:2] {
			for _, c := range tongues[:2] {
				t.Run(fmt.Sprint(treat, " ", g.name, " to ", c.name), func(t *testing.T) {
					desk := newDesk(treat, 0)
					desk.charge = true
					r := newRig(t, desk, nil)
					r.proxy.known.add(testHash)
					remote, client := r.called(g, c, true)
					shakeHands(remote, client, "client")
					list := r.proxy.Sessions()
					if len(list) != 1 || list[0].RemoteEncrypted != g.encrypted() || list[0].ClientEncrypted != c.encrypted() {
						t.Fatalf("listed as %+v", list)
					}
					b := piece(0, 0, 100_000)
					client.send(b, b)
					remote.expect(append(b, b...))
					remote.send(msg(4, 0, 0, 0, 1))
					client.expect(msg(4, 0, 0, 0, 1))
					client.CloseWrite()
					remote.expectEnd()
					remote.send(msg(4, 0, 0, 0, 2))
					client.expect(msg(4, 0, 0, 0, 2))
					remote.Close()
					client.expectEnd()
					eventually(t, "one line", func() bool { return r.log.FilterMessage("session ended").Len() == 1 })
					line := r.log.FilterMessage("session ended").All()[0].ContextMap()
					if line["bytes_in"] != int64(68+18) || line["bytes_out"] != int64(68+2*len(b)) || line["info_hash"] != testHash.String() {
						t.Errorf("logged %v", line)
					}
					if r.proxy.secrecy.budget != nil && !g.encrypted() && !c.encrypted() {
						return
					}
					eventually(t, "the budget is whole again", func() bool { return r.proxy.secrecy.budget.Left() == cipherBudget })
				})
			}
		}
	}
}

func TestPoliciesTowardsTheClient(t *testing.T) {
	for _, c := range []struct {
		mode  EncryptionMode
		speak tongue
		calls int // until it answers; 0: never
	}{
		{EncryptionAuto, tongues[0], 1},
		{EncryptionAuto, tongues[1], 2},
		{EncryptionAuto, tongues[2], 2},
		{EncryptionPrefer, tongues[0], 2},
		{EncryptionPrefer, tongues[1], 1},
		{EncryptionRequire, tongues[1], 1},
		{EncryptionRequire, tongues[0], 0},
		{EncryptionOff, tongues[0], 1},
		{EncryptionOff, tongues[1], 0},
	} {
		for _, both := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, %s, both legs by us: %v", c.mode, c.speak.name, both), func(t *testing.T) {
				peer, err := listenTCP("127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer peer.Close()
				r := newRig(t, newDesk(Watched, 0), func(cfg *Config) {
					cfg.Encryption.Client, cfg.HandshakeTimeout = c.mode, 2*time.Second
					if both {
						cfg.Dial = []Dial{{InfoHash: testHash, Peers: []string{peer.Addr().String()}}}
					}
				})
				if !both {
					r.dial().send(hand("remote", true, true))
				}
				for n := 1; ; n++ {
					_ = r.client.SetDeadline(time.Now().Add(300 * time.Millisecond))
					conn, err := r.client.Accept()
					if err != nil {
						if c.calls != 0 {
							t.Fatalf("call %d of %d: %v", n, c.calls, err)
						}
						return
					}
					e := newEnd(t, conn)
					if !e.understand(c.speak) {
						continue
					}
					if n != c.calls {
						t.Errorf("understood at call %d", n)
					}
					e.expectLen(wire.HeadLen)
					return
				}
			})
		}
	}
}

func TestTheClientsHabitIsRemembered(t *testing.T) {
	r := newRig(t, newDesk(Watched, 0), nil)
	for i, c := range []struct {
		speak tongue
		calls int
	}{
		{tongues[1], 2},
		{tongues[1], 1},
		{tongues[0], 2},
		{tongues[0], 1},
		{tongues[1], 1}, // the first one after a change is lost
		{tongues[1], 2},
		{tongues[1], 1},
	} {
		remote := r.dial()
		remote.send(hand("remote", true, true))
		lost := i == 4
		for n := range c.calls {
			_ = r.client.SetDeadline(time.Now().Add(10 * time.Second))
			conn, err := r.client.Accept()
			if err != nil {
				t.Fatal(err)
			}
			e := newEnd(t, conn)
			if got, want := e.understand(c.speak), n == c.calls-1 && !lost; got != want {
				t.Fatalf("step %d: call %d understood: %v", i, n+1, got)
			}
			if !lost && n == c.calls-1 {
				shakeHands(remote, e, "client")
				defer e.Close()
				e.CloseWrite()
			}
		}
		if lost {
			remote.expectEnd()
			eventually(t, "doubts", func() bool { return habit(r.proxy.secrecy.client.Load()) == habitUnknown })
		}
		remote.Close()
		eventually(t, "session gone", func() bool { return len(r.proxy.Sessions()) == 0 })
	}
}

func TestPoliciesTowardsTheSwarm(t *testing.T) {
	for _, c := range []struct {
		mode  EncryptionMode
		speak tongue
		taken bool
	}{
		{EncryptionOff, tongues[0], true},
		{EncryptionOff, tongues[1], false},
		{EncryptionRequire, tongues[0], false},
		{EncryptionRequire, tongues[1], true},
		{EncryptionRequire, tongues[2], false},
		{EncryptionRequire, tongues[3], true},
		{EncryptionPrefer, tongues[0], true},
		{EncryptionPrefer, tongues[2], true},
		{EncryptionPrefer, tongues[3], true},
		{EncryptionAuto, tongues[0], true},
		{EncryptionAuto, tongues[1], true},
		{EncryptionAuto, tongues[2], true},
	} {
		t.Run(fmt.Sprintf("%s, %s calls", c.mode, c.speak.name), func(t *testing.T) {
			r := newRig(t, newDesk(Gated, 0), func(cfg *Config) { cfg.Encryption.Remote = c.mode })
			r.proxy.known.add(testHash)
			remote := r.dial()
			err := remote.tryInitiate(c.speak, testHash, hand("remote", true, true))
			if !c.taken {
				if err == nil {
					remote.expectEnd()
				}
				eventually(t, "a line", func() bool { return r.log.FilterMessage("connection refused").Len() == 1 })
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			shakeHands(remote, r.accept(), "client")
			eventually(t, "listed", func() bool { return len(r.proxy.Sessions()) == 1 })
			hides := r.proxy.Sessions()[0].RemoteEncrypted
			if want := c.mode != EncryptionAuto && c.speak.offers&anacrolix.CryptoMethodRC4 != 0 || c.speak.name == "RC4"; hides != want {
				t.Errorf("encrypted: %v", hides)
			}
		})
		if c.mode == EncryptionAuto {
			continue
		}
		t.Run(fmt.Sprintf("%s, %s is called", c.mode, c.speak.name), func(t *testing.T) {
			r := newRig(t, newDesk(Gated, 0), func(cfg *Config) { cfg.Encryption.Remote = c.mode })
			l, err := listenTCP("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			client := r.socks()
			client.send([]byte{5, 1, 0}, connectTo(addrPort(l.Addr())), hand("client", true, true))
			client.expectLen(12)
			taken := c.taken && !(c.mode == EncryptionRequire && c.speak.name == "plaintext method")
			if taken {
				shakeHands(client, r.answer(l, c.speak), "remote")
				return
			}
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if newEnd(t, conn).understand(c.speak) {
				t.Error("understood")
			}
			client.expectEnd()
		})
	}
}

// fixedCatalog is a list of torrents.
type fixedCatalog struct {
	list  []units.InfoHash
	asked atomic.Int64
}

func (c *fixedCatalog) InfoHashes() []units.InfoHash {
	c.asked.Add(1)
	return c.list
}

func TestTorrentsAreKnown(t *testing.T) {
	other := units.InfoHash{9, 9, 9}
	for name, c := range map[string]struct {
		prepare func(*rig)
		want    string // of the refusal; "" = served
	}{
		"nothing":     {func(*rig) {}, "client.api"},
		"another one": {func(r *rig) { r.proxy.known.add(other) }, "client.api"},
		"the catalog": {func(r *rig) { r.proxy.known.catalog = &fixedCatalog{list: []units.InfoHash{other, testHash}} }, ""},
		"the client answered": {func(r *rig) {
			remote, _ := r.inbound()
			remote.Close()
		}, ""},
		"the client named it": {func(r *rig) {
			client, remote := r.through()
			client.send(hand("client", true, true))
			remote.expectLen(48)
		}, ""},
		"a stranger named it": {func(r *rig) {
			remote := r.dial()
			remote.send(hand("remote", true, true))
			r.accept().Close()
			remote.expectEnd()
		}, "client.api"},
	} {
		t.Run(name, func(t *testing.T) {
			desk := newDesk(Gated, 0)
			r := newRig(t, desk, func(cfg *Config) { cfg.Encryption.Client = EncryptionOff })
			c.prepare(r)
			remote := r.dial()
			err := remote.tryInitiate(tongues[1], testHash, hand("remote", true, true))
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				r.accept().expectLen(wire.HandshakeLen)
				return
			}
			if err == nil {
				t.Fatal("taken")
			}
			eventually(t, "a line", func() bool { return r.log.FilterMessage("connection refused").Len() > 0 })
			line := fmt.Sprint(r.log.FilterMessage("connection refused").All()[0].ContextMap()["error"])
			if !strings.Contains(line, c.want) {
				t.Errorf("logged %q", line)
			}
		})
	}
}

func TestSeenTorrentsAreBounded(t *testing.T) {
	k := newKnown(nil)
	for i := range knownTorrents + 100 {
		k.add(units.InfoHash{byte(i), byte(i >> 8), 1})
	}
	lists, any := k.torrents()
	if !any || len(lists[0]) != knownTorrents {
		t.Errorf("%d are kept", len(lists[0]))
	}
}

// TestUnseenWhileNothingIsCharged passes encrypted connections byte for byte while no rule could charge.
func TestUnseenWhileNothingIsCharged(t *testing.T) {
	for name, c := range map[string]struct {
		treat Treatment
		known []units.InfoHash
		tries int // until the torrent is looked at no more
	}{
		"everything is free":               {Free, []units.InfoHash{testHash}, 1},
		"buying, nothing known":            {Watched, nil, 1},
		"buying, another torrent is known": {Watched, []units.InfoHash{{9}}, 2},
	} {
		for _, outbound := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", outbound: ", outbound), func(t *testing.T) {
				r := newRig(t, newDesk(c.treat, 0), nil)
				for _, h := range c.known {
					r.proxy.known.add(h)
				}
				for try := 1; ; try++ {
					var caller, called *end
					done := make(chan error, 1)
					if outbound {
						client, remote := r.through()
						caller, called = client, remote
						go func() { done <- caller.tryInitiate(tongues[1], testHash, hand("a", true, true)) }()
					} else {
						caller = r.dial()
						go func() { done <- caller.tryInitiate(tongues[1], testHash, hand("a", true, true)) }()
						if try == c.tries {
							called = r.accept()
						}
					}
					if try < c.tries {
						if err := <-done; err == nil {
							t.Fatal("an unknown torrent was taken")
						}
						continue
					}
					if !called.understand(tongues[1]) {
						t.Fatal("not passed as it was")
					}
					if err := <-done; err != nil {
						t.Fatal(err)
					}
					shakeHands(caller, called, "b")
					if s := r.proxy.Sessions(); len(s) != 1 || s[0].InfoHash != (units.InfoHash{}) || s[0].RemoteEncrypted {
						t.Errorf("listed as %+v", s)
					}
					return
				}
			})
		}
	}
}

// TestHostileEncryption holds callers against a gated torrent that are up to something.
func TestHostileEncryption(t *testing.T) {
	garbage := make([]byte, 3000)
	for i := range garbage {
		garbage[i] = byte(i*i*7 + i>>3 + 1)
	}
	for name, c := range map[string]struct {
		do   func(e *end)
		want string
	}{
		"garbage":       {func(e *end) { _, _ = e.Write(garbage) }, "not a BitTorrent handshake"},
		"half a key":    {func(e *end) { _, _ = e.Write(garbage[:50]); e.CloseWrite() }, ""},
		"a key":         {func(e *end) { _, _ = e.Write(garbage[:96]) }, ""},
		"the full pad":  {func(e *end) { _, _ = e.Write(garbage[:96+512]) }, ""},
		"wrong torrent": {func(e *end) { _ = e.tryInitiate(tongues[1], units.InfoHash{3}, nil) }, "client.api"},
		"two torrents": {func(e *end) {
			head := wire.NewHead(units.InfoHash{3})
			_ = e.tryInitiate(tongues[1], testHash, head[:])
		}, errTwoTorrents.Error()},
		"no BitTorrent inside": {func(e *end) { _ = e.tryInitiate(tongues[1], testHash, garbage[:60]) }, "not a BitTorrent handshake"},
		"nothing inside":       {func(e *end) { _ = e.tryInitiate(tongues[1], testHash, nil) }, ""},
		"a method of its own":  {func(e *end) { _ = e.tryInitiate(tongue{offers: 64}, testHash, nil) }, mse.ErrNoMethod.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, newDesk(Gated, 0), func(cfg *Config) { cfg.HandshakeTimeout = 300 * time.Millisecond })
			r.proxy.known.add(testHash)
			e := r.dial()
			c.do(e)
			for b := make([]byte, 4096); ; {
				if _, err := e.TCPConn.Read(b); err != nil {
					if isTimeout(err) {
						t.Fatal("the connection stays")
					}
					break
				}
			}
			eventually(t, "no slot is taken", func() bool { return inUse(r.proxy.limits) == 0 })
			lines := r.log.FilterMessage("connection refused").All()
			switch {
			case c.want == "" && len(lines) > 0:
				t.Errorf("logged %v", lines[0].ContextMap())
			case c.want != "" && (len(lines) != 1 || !strings.Contains(fmt.Sprint(lines[0].ContextMap()["error"]), c.want)):
				t.Errorf("logged %v", lines)
			}
		})
	}
}

// TestOtherTunnelsPass is about what comes through SOCKS5 and is not BitTorrent.
func TestOtherTunnelsPass(t *testing.T) {
	r := newRig(t, newDesk(Gated, 0), nil)
	r.proxy.known.add(testHash)
	for _, said := range []string{"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"} {
		client, server := r.through()
		client.send([]byte(said))
		server.expect([]byte(said))
		client.Close()
		server.expectEnd()
	}
}

// TestEncryptedStallsAndDrains ends an encrypted session that stands still, and drains one that does not.
func TestEncryptedDrains(t *testing.T) {
	desk := newDesk(Watched, 0)
	r := newRig(t, desk, func(c *Config) { c.DrainTimeout = 30 * time.Second })
	r.proxy.known.add(testHash)
	remote, client := r.called(tongues[1], tongues[1], true)
	shakeHands(remote, client, "client")
	r.stop()
	if rest, err := io.ReadAll(remote); err != nil || len(rest) != 0 {
		t.Errorf("remote read %x, %v", rest, err)
	}
	client.expectEnd()
	if err := <-r.stopped; err != nil {
		t.Error(err)
	}
	r.stopped <- nil
}

// TestEncryptedInjectorNeverWaits fills the path to an encrypted remote that does not read, and goes on injecting. What was
// taken arrives whole and in order.
func TestEncryptedInjectorNeverWaits(t *testing.T) {
	desk := newDesk(Watched, 0)
	desk.charge = true
	r := newRig(t, desk, nil)
	r.proxy.known.add(testHash)
	remote, client := r.called(tongues[1], tongues[0], true)
	shakeHands(remote, client, "client")
	conv := <-desk.convs
	greet(t, remote, client, conv)
	eventually(t, "Send to work", func() bool { return conv.s.Send(0, []byte("0000")) == nil })
	remote.frame()
	payload := make([]byte, 3001)
	sent := 0
	var err error
	for ; sent < 100000 && err == nil; sent++ {
		copy(payload, fmt.Sprintf("%07d", sent))
		err = conv.s.Send(0, payload)
	}
	if !errors.Is(err, errQueueFull) {
		t.Fatalf("after %d: %v", sent, err)
	}
	client.send(piece(0, 0, 50))
	next := 0
	for range sent { // the last one was refused, the piece stands in for it
		if f := remote.frame(); f[0] != 7 {
			if got := string(f[2:9]); got != fmt.Sprintf("%07d", next) {
				t.Fatalf("message %q, want %d", got, next)
			}
			next++
		}
	}
	if next != sent-1 {
		t.Errorf("%d of %d came", next, sent-1)
	}
}

func inUse(l *limits) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}
