package proxy

import (
	"fmt"
	"testing"
	"time"

	anacrolix "github.com/anacrolix/torrent/mse"

	"paygate/proxy/wire"
)

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
