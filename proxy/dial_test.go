package proxy

import (
	"net/netip"
	"testing"
	"time"

	"paygate/proxy/wire"
)

func dialRig(t *testing.T, desk *fakeDesk) (*rig, *rig) {
	t.Helper()
	far := newRig(t, newDesk(Free, 0), nil)
	return newRig(t, desk, func(c *Config) {
		c.Dial = []Dial{{testHash, []string{far.client.Addr().String()}}}
	}), far
}

func TestDialCrossesHandshakes(t *testing.T) {
	desk := newDesk(Gated, 0)
	r, far := dialRig(t, desk)
	client := r.accept()
	head := wire.NewHead(testHash)
	client.expect(head[:])
	client.silent() // no peer id yet
	answer := hand("client", true, true)
	answer[20], answer[27] = 0x40, answer[27]|1
	client.send(answer)
	remote := far.accept()
	remote.expect(hand("client", true, false)) // what the client was told of, and no more
	remote.send(hand("remote", true, true), msg(5, 0xff))
	client.expect(hand("remote", true, true)[48:])
	client.expect(msg(5, 0xff))
	conv := <-desk.convs
	if !conv.s.Initiator() || conv.s.Remote().String() != far.client.Addr().String() {
		t.Errorf("initiator %v, remote %v", conv.s.Initiator(), conv.s.Remote())
	}
	client.send(ext(0, "d1:mdee"))
	remote.frame()
	remote.send(ext(200, "for us"))
	if m := <-conv.messages; m != "0for us" {
		t.Errorf("message %q", m)
	}
}

func TestDialFreeAndAgain(t *testing.T) {
	r, far := dialRig(t, newDesk(Free, 0))
	for range 2 { // the second time after the first wait
		client := r.accept()
		client.expectLen(wire.HeadLen)
		client.send(hand("client", true, true))
		remote := far.accept()
		remote.expect(hand("client", true, false))
		remote.send(hand("remote", true, true), msg(5, 0xff))
		client.expect(append(hand("remote", true, true)[48:], msg(5, 0xff)...))
		client.Close()
		remote.expectEnd()
		remote.Close()
	}
}

func TestDialSpeaksForAClientWithoutExtensions(t *testing.T) {
	desk := newDesk(Watched, 0)
	r, far := dialRig(t, desk)
	client := r.accept()
	client.expectLen(wire.HeadLen)
	client.send(hand("client", false, false))
	remote := far.accept()
	remote.expect(hand("client", true, false))
	remote.send(hand("remote", true, false))
	if f := remote.frame(); f[0] != 20 || f[1] != 0 {
		t.Errorf("message %x", f)
	}
	client.expect(hand("remote", true, false)[48:])
	(<-desk.convs).await(t, Ready)
}

func TestDialEndsInTime(t *testing.T) {
	r, _ := dialRig(t, newDesk(Free, 0))
	client := r.accept()
	client.expectLen(wire.HeadLen) // and no answer
	began := time.Now()
	r.stop()
	client.expectEnd()
	if time.Since(began) > 4*time.Second {
		t.Error("waited for the handshake timeout")
	}
}

func TestResolve(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:6881": "127.0.0.1:6881", "[::ffff:1.2.3.4]:1": "1.2.3.4:1", "[::1]:9": "[::1]:9",
		"nowhere": "", "1.2.3.4:70000": "", "1.2.3.4:": "",
	} {
		got, err := resolve(t.Context(), in)
		if want == "" {
			if err == nil {
				t.Errorf("%q: %v", in, got)
			}
			continue
		}
		if err != nil || got != netip.MustParseAddrPort(want) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}
