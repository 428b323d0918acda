package proxy

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"paygate/proxy/wire"
)

// TestWhoLeftIsTold ends sessions in every way, with bytes under way and without.
func TestWhoLeftIsTold(t *testing.T) {
	reset := func(e *end) {
		if err := e.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		e.Close()
	}
	for name, tc := range map[string]struct {
		end  func(r *rig, remote, client *end, conv *fakeConv)
		left bool
	}{
		"the client closes":               {func(_ *rig, _, client *end, _ *fakeConv) { client.Close() }, true},
		"the client closes its half":      {func(_ *rig, _, client *end, _ *fakeConv) { client.CloseWrite() }, true},
		"the client resets":               {func(_ *rig, _, client *end, _ *fakeConv) { reset(client) }, true},
		"the client closes on what comes": {func(_ *rig, remote, client *end, _ *fakeConv) { remote.send(piece(0, 0, 60000)); client.Close() }, true},
		"the remote closes":               {func(_ *rig, remote, _ *end, _ *fakeConv) { remote.Close() }, false},
		"the remote closes its half first": {func(_ *rig, remote, client *end, _ *fakeConv) {
			remote.CloseWrite()
		}, false},
		"the remote resets":         {func(_ *rig, remote, _ *end, _ *fakeConv) { reset(remote) }, false},
		"paygate closes":            {func(_ *rig, _, _ *end, conv *fakeConv) { conv.s.Close("enough") }, false},
		"paygate shuts down":        {func(r *rig, _, _ *end, _ *fakeConv) { r.stop() }, false},
		"the remote talks nonsense": {func(_ *rig, remote, _ *end, _ *fakeConv) { remote.send([]byte{255, 0, 0, 0, 4}) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			desk := newDesk(Watched, 0)
			r := newRig(t, desk, nil)
			remote, client := r.inbound()
			conv := <-desk.convs
			remote.send(msg(1))
			client.expect(msg(1))
			tc.end(r, remote, client, conv)
			if tc.left {
				conv.await(t, ClientLeft)
				return
			}
			client.expectEnd()
			remote.Close()
			client.Close()
			eventually(t, "session gone", func() bool { return len(r.proxy.Sessions()) == 0 })
			close(conv.events)
			for e := range conv.events {
				if e.Kind == ClientLeft {
					t.Error("the client is said to have left")
				}
			}
		})
	}
}

func TestClientThatLeavesInTheHandshakeIsTold(t *testing.T) {
	desk := newDesk(Watched, 0)
	r := newRig(t, desk, nil)
	remote := r.dial()
	remote.send(hand("remote", true, true))
	client := r.accept()
	client.expectLen(wire.HandshakeLen)
	client.Close()
	r.accept().Close() // it is tried again, encrypted
	(<-desk.convs).await(t, ClientLeft)
	remote.expectEnd()
}

// TestPiecesThatCameAreRemembered takes a piece whole, another in part, and watches what the client says of them
// elsewhere.
func TestPiecesThatCameAreRemembered(t *testing.T) {
	desk := newDesk(Watched, 0)
	r := newRig(t, desk, nil)
	remote, client := r.inbound()
	conv := <-desk.convs
	have := func(i byte) []byte { return msg(4, 0, 0, 0, i) }
	client.send(request(3, 0, 16384), request(3, 16384, 16384), request(5, 0, 16384))
	remote.expectLen(3 * 17)
	if n, sure := conv.s.PieceLength(); n != 32768 || sure {
		t.Errorf("pieces of %d bytes, sure %t", n, sure)
	}
	for _, b := range [][]byte{piece(3, 0, 16384), piece(5, 0, 16384), piece(3, 16384, 16384)} {
		remote.send(b)
		client.expect(b)
	}
	eventually(t, "all counted", func() bool { return conv.got.Load() == 3*16384 })
	if got := fmt.Sprint(conv.s.Taken()); got != "[{3 32768} {5 16384}]" {
		t.Errorf("taken %s", got)
	}
	look := NewLookout([]uint32{3, 5, 7})
	conv.s.Watch([]*Lookout{look})
	client.send(have(3), have(9), request(7, 0, 16384), have(10), have(11))
	remote.expectLen(4*9 + 17)
	if !look.Announced(3) || look.Announced(5) || look.Announced(9) || !look.Asked(7) || look.Asked(3) || look.Haves() != 4 {
		t.Errorf("seen %b announced, %b asked, %d haves", look.announced.Load(), look.asked.Load(), look.Haves())
	}
	if got := fmt.Sprint(conv.s.Taken()); got != "[{5 16384}]" {
		t.Errorf("taken %s", got)
	}
	if _, sure := conv.s.PieceLength(); !sure {
		t.Error("the length of a piece is not sure after four of them")
	}
	conv.s.Watch(nil)
	client.send(have(5))
	remote.expectLen(9)
	if look.Announced(5) || conv.s.BytesIn() != wire.HandshakeLen+3*(16384+13) {
		t.Errorf("announced %t, %d bytes in", look.Announced(5), conv.s.BytesIn())
	}
}

// TestTakenAgreesWithAMap: up to 32 pieces nothing is forgotten, and never more kept.
func TestTakenAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Session
		want := map[uint32]int64{}
		most := rapid.SampledFrom([]uint32{maxTaken - 1, 2 * maxTaken}).Draw(t, "most")
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			i := rapid.Uint32Range(0, most).Draw(t, "piece")
			if rapid.IntRange(0, 4).Draw(t, "have") == 0 {
				s.taken.announced(i)
				delete(want, i)
				continue
			}
			s.taken.came([]wire.Block{{Index: i, Length: 16}, {Index: i, Length: 1}})
			want[i] += 17
		}
		got := s.Taken()
		if len(got) > maxTaken || most < maxTaken && len(got) != len(want) {
			t.Fatalf("%d pieces, %d came", len(got), len(want))
		}
		for i, p := range got {
			if p.Bytes > want[p.Index] || most < maxTaken && p.Bytes != want[p.Index] || i > 0 && p.Bytes > got[i-1].Bytes {
				t.Fatalf("%v, want %v", got, want)
			}
		}
	})
}
