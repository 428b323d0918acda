package proxy

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"paygate/proxy/wire"
)

func TestHandshakeProceedsOnHeadsAlone(t *testing.T) {
	r := newRig(t, newDesk(Watched, 0), nil)
	remote := r.dial()
	full := hand("remote", true, true)
	remote.send(full[:20], full[20:48])
	client := r.accept()
	client.expect(full[:48])
	answer := hand("client", true, true)
	client.send(answer[:30])
	client.send(answer[30:])
	remote.expect(answer)
	remote.send(full[48:50], full[50:])
	client.expect(full[48:])
}

func TestFastBitIsClearedBothWaysWhenGated(t *testing.T) {
	r := newRig(t, newDesk(Gated, 0), nil)
	remote := r.dial()
	remote.send(hand("remote", true, true))
	client := r.accept()
	client.expect(hand("remote", true, false))
	client.send(hand("client", true, true))
	remote.expect(hand("client", true, false))
}

func TestHeadsPassUntouchedWhenWatched(t *testing.T) {
	r := newRig(t, newDesk(Watched, 0), nil)
	remote := r.dial()
	full := hand("remote", true, true)
	full[20], full[27] = 0x80, full[27]|1
	remote.send(full)
	client := r.accept()
	client.expect(full)
}

func TestFreeSessionIsCopiedWhateverItSays(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), nil)
	remote := r.dial()
	full := hand("remote", true, true)
	remote.send(full, []byte("no frames at all"))
	client := r.accept()
	client.expect(append(full, "no frames at all"...))
	client.send([]byte("what?"))
	remote.expect([]byte("what?"))
	eventually(t, "session listed", func() bool { return len(r.proxy.Sessions()) == 1 })
	if s := r.proxy.Sessions()[0]; s.Treatment != Free || s.InfoHash != testHash || s.Valve != "" {
		t.Errorf("listed as %+v", s)
	}
	remote.CloseWrite()
	client.expectEnd()
	client.send([]byte("late"))
	remote.expect([]byte("late"))
	client.Close()
	remote.expectEnd()
	eventually(t, "session gone", func() bool { return len(r.proxy.Sessions()) == 0 })
	eventually(t, "one line", func() bool { return r.log.FilterMessage("session ended").Len() == 1 })
	line := r.log.FilterMessage("session ended").All()[0].ContextMap()
	if line["bytes_in"] != int64(68+16) || line["bytes_out"] != int64(9) {
		t.Errorf("logged %v", line)
	}
}

func TestExtendedHandshakeIsRewritten(t *testing.T) {
	desk := newDesk(Watched, 0)
	r := newRig(t, desk, nil)
	remote, client := r.inbound()
	conv := <-desk.convs
	client.send(ext(0, "d1:md6:ut_pexi200ee1:pi6881e4:reqqi40e6:yourip4:\x7f\x40\x00\x01e"))
	got := remote.frame()
	h, err := wire.ParseExtHandshake(got[2:])
	if err != nil {
		t.Fatal(err)
	}
	want := "d1:md6:pg_payi201e11:tr_paymentsi202e6:ut_pexi200ee1:pi4242e6:pg_payd1:vi1ee4:reqqi40e6:yourip4:\x7f\x00\x00\x01e"
	if string(got[2:]) != want {
		t.Errorf("rewritten to %q", got[2:])
	}
	if id, _ := h.ID("pg_pay"); id != 201 {
		t.Errorf("pg_pay = %d", id)
	}
	conv.await(t, Ready)
	remote.send(ext(0, "d1:md6:pg_payi7ee6:pg_payd1:vi1e5:nonce1:xee"), ext(201, "hello"), ext(202, "tip"), ext(200, "d5:added0:e"))
	client.expect(ext(0, "d1:md6:pg_payi7ee6:pg_payd1:vi1e5:nonce1:xee"))
	client.expect(ext(200, "d5:added0:e"))
	if m := <-conv.messages; m != "0hello" {
		t.Errorf("message %q", m)
	}
	if m := <-conv.messages; m != "1tip" {
		t.Errorf("message %q", m)
	}
	e := conv.await(t, RemoteHello)
	if !e.Dialects[0] || e.Dialects[1] || string(e.Dicts[0]) != "d1:vi1e5:nonce1:xe" || e.Dicts[1] != nil {
		t.Errorf("hello %+v", e)
	}
	if err := conv.s.Send(0, []byte("terms")); err != nil {
		t.Error(err)
	}
	remote.expect(ext(7, "terms"))
	if err := conv.s.Send(1, []byte("x")); !errors.Is(err, ErrNoDialect) {
		t.Errorf("Send to a dialect that the remote lacks: %v", err)
	}

	// A later handshake that claims one of our ids moves us, and keeps the other.
	client.send(ext(0, "d1:md5:otheri201eee"))
	if got := string(remote.frame()[2:]); got != "d1:md5:otheri201e6:pg_payi203e11:tr_paymentsi202ee6:pg_payd1:vi1eee" {
		t.Errorf("second handshake rewritten to %q", got)
	}
	remote.send(ext(201, "theirs"), ext(203, "ours"))
	client.expect(ext(201, "theirs"))
	if m := <-conv.messages; m != "0ours" {
		t.Errorf("message %q", m)
	}
	remote.Close()
	client.expectEnd()
	client.Close()
	eventually(t, "Run to end", func() bool { return conv.ran.Load() == 1 })
	if err := conv.s.Send(0, nil); !errors.Is(err, ErrEnded) {
		t.Errorf("Send after the end: %v", err)
	}
}

func TestUnreadableExtendedHandshakePasses(t *testing.T) {
	r := newRig(t, newDesk(Watched, 0), nil)
	remote, client := r.inbound()
	client.send(ext(0, "not bencode"))
	remote.expect(ext(0, "not bencode"))
	remote.send(ext(0, "li1e"))
	client.expect(ext(0, "li1e"))
}

func TestPaygateSpeaksForAClientWithoutExtensions(t *testing.T) {
	desk := newDesk(Watched, 0)
	r := newRig(t, desk, nil)
	remote := r.dial()
	remote.send(hand("remote", true, false))
	client := r.accept()
	client.expect(hand("remote", true, false))
	client.send(hand("client", false, false), msg(5, 0xff))
	remote.expect(hand("client", true, false))
	conv := <-desk.convs
	conv.await(t, Ready)
	frames := [][]byte{remote.frame(), remote.frame()}
	if frames[0][0] == 5 {
		frames[0], frames[1] = frames[1], frames[0]
	}
	h, err := wire.ParseExtHandshake(frames[0][2:])
	if id, ok := h.ID("pg_pay"); err != nil || !ok || id != 200 {
		t.Fatalf("hello %q, %v", frames[0], err)
	}
	remote.send(ext(0, "d1:md6:pg_payi9eee"), ext(200, "hi"), ext(3, "pex"), msg(4, 0, 0, 0, 1))
	client.expect(msg(4, 0, 0, 0, 1))
	if m := <-conv.messages; m != "0hi" {
		t.Errorf("message %q", m)
	}
}

func TestClientHas(t *testing.T) {
	for name, c := range map[string]struct {
		say      [][]byte
		complete bool
	}{
		"full bitfield":         {[][]byte{msg(5, 0xff, 0xf0)}, true},
		"holes":                 {[][]byte{msg(5, 0xfe, 0xf0)}, false},
		"have all":              {[][]byte{msg(14)}, true},
		"have none":             {[][]byte{msg(15)}, false},
		"nothing said":          {[][]byte{{0, 0, 0, 0}, ext(3, "x"), msg(9, 1, 1), msg(1)}, false},
		"upload only":           {[][]byte{ext(0, "d1:mde11:upload_onlyi1ee"), msg(5, 0)}, true},
		"handshake, bitfield":   {[][]byte{ext(0, "d1:mdee"), msg(5, 0xff)}, true},
		"a have only":           {[][]byte{msg(4, 0, 0, 0, 0), msg(5, 0xff)}, false},
		"bitfield sent again":   {[][]byte{msg(5, 0x00), msg(5, 0xff)}, false},
		"unknown message first": {[][]byte{msg(99, 1), msg(14)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			desk := newDesk(Watched, 0)
			r := newRig(t, desk, nil)
			_, client := r.inbound()
			client.send(append(c.say, msg(3))...)
			conv := <-desk.convs
			if e := conv.await(t, ClientHas); e.Complete != c.complete {
				t.Errorf("complete = %v", e.Complete)
			}
			for e := range conv.events {
				if e.Kind == ClientHas {
					t.Error("told twice")
				}
				if e.Kind == ClientNotInterested {
					break
				}
			}
		})
	}
}

func TestWatchedEvents(t *testing.T) {
	desk := newDesk(Watched, 0)
	r := newRig(t, desk, nil)
	remote, client := r.inbound()
	conv := <-desk.convs
	said := bytes.Join([][]byte{msg(5, 0xff), msg(1), msg(0), msg(2), msg(3), piece(1, 0, 1000)}, nil)
	remote.send(said)
	client.expect(said)
	for _, k := range []EventKind{RemoteUnchoke, RemoteChoke, RemoteInterested, RemoteNotInterested} {
		conv.await(t, k)
	}
	eventually(t, "1000 bytes in", func() bool { return conv.got.Load() == 1000 })
	said = bytes.Join([][]byte{msg(5, 0), msg(2), request(1, 0, 16384), cancelOf(1, 0, 16384), piece(3, 0, 77), msg(3)}, nil)
	client.send(said)
	remote.expect(said)
	conv.await(t, ClientInterested)
	if e := conv.await(t, ClientRequest); e.N != 16384 {
		t.Errorf("request of %d", e.N)
	}
	conv.await(t, ClientCancel)
	conv.await(t, ClientNotInterested)
	eventually(t, "77 bytes out", func() bool { return conv.unreserved.Load() == 77 })
	conv.s.Open() // no valve: nothing happens
	conv.s.Resume()
	if conv.s.Outstanding() != 0 || conv.s.Treatment() != Watched || conv.s.Initiator() || conv.s.InfoHash() != testHash {
		t.Error("session describes itself wrongly")
	}
	conv.s.Close("enough")
	remote.expectEnd()
	eventually(t, "line", func() bool { return r.log.FilterMessage("session ended").Len() == 1 })
	if got := r.log.FilterMessage("session ended").All()[0].ContextMap()["reason"]; got != "enough" {
		t.Errorf("reason %q", got)
	}
}

func TestReleaseGoesBlind(t *testing.T) {
	desk := newDesk(Gated, 0)
	r := newRig(t, desk, nil)
	remote, client := r.inbound()
	conv := <-desk.convs
	remote.send(ext(0, "d1:mdee"), msg(2))
	client.expect(ext(0, "d1:mdee"))
	client.send(ext(0, "d1:mdee"))
	remote.frame()
	conv.await(t, RemoteInterested)
	client.send(msg(1))
	conv.await(t, ClientUnchoke)
	client.expect(msg(3))
	conv.s.Release()
	client.expect(msg(2))
	remote.expect(msg(1))
	remote.send(request(0, 0, 5), []byte{0, 0})
	client.expect(request(0, 0, 5))
	client.send(piece(0, 0, 5))
	remote.expect(piece(0, 0, 5))
	client.send([]byte("not a frame\xff\xff\xff\xff"))
	remote.expect([]byte("not a frame\xff\xff\xff\xff"))
	client.expect([]byte{0, 0})
	remote.send([]byte("\xff\xff\xff\xff anything"))
	client.expect([]byte("\xff\xff\xff\xff anything"))
	if err := conv.s.Send(0, nil); err == nil {
		t.Error("Send after release works")
	}
}

func TestReleaseKeepsPaymentMessagesFromTheClient(t *testing.T) {
	desk := newDesk(Watched, 0)
	r := newRig(t, desk, nil)
	remote, client := r.inbound()
	conv := <-desk.convs
	client.send(ext(0, "d1:mdee"))
	remote.frame()
	conv.await(t, Ready)
	remote.send(ext(0, "d1:md6:pg_payi3eee"))
	client.frame()
	conv.await(t, RemoteHello)
	conv.s.Release()
	for range 3 {
		remote.send(msg(4, 0, 0, 0, 1), ext(200, "pay"), msg(4, 0, 0, 0, 2))
		client.expect(msg(4, 0, 0, 0, 1))
		client.expect(msg(4, 0, 0, 0, 2))
	}
}

func TestHalfClose(t *testing.T) {
	r := newRig(t, newDesk(Watched, 0), nil)
	remote, client := r.inbound()
	remote.send(msg(2))
	remote.CloseWrite()
	client.expect(msg(2))
	client.expectEnd()
	client.send(piece(0, 0, 100))
	remote.expect(piece(0, 0, 100))
	client.Close()
	remote.expectEnd()
	eventually(t, "line", func() bool { return r.log.FilterMessage("session ended").Len() == 1 })
	if got := r.log.FilterMessage("session ended").All()[0].ContextMap()["reason"]; got != "remote closed" {
		t.Errorf("reason %q", got)
	}
}

func TestDrainEndsQuietSessions(t *testing.T) {
	desk := newDesk(Watched, 0)
	r := newRig(t, desk, func(c *Config) { c.DrainTimeout = 30 * time.Second })
	remote, client := r.inbound()
	conv := <-desk.convs
	remote.send(msg(2))
	client.expect(msg(2))
	r.stop()
	if rest, err := io.ReadAll(remote); err != nil || len(rest) != 0 {
		t.Errorf("remote read %x, %v", rest, err)
	}
	client.expectEnd()
	if err := <-r.stopped; err != nil {
		t.Error(err)
	}
	r.stopped <- nil
	if conv.ran.Load() != 1 {
		t.Error("conversation not ended")
	}
	if n := r.log.FilterLevelExact(zapcore.WarnLevel).Len(); n != 0 {
		t.Errorf("%d warnings", n)
	}
}
