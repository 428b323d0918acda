package proxy

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	anacrolix "github.com/anacrolix/torrent/mse"
	"pgregory.net/rapid"

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
