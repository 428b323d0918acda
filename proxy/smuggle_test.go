package proxy

import (
	"encoding/binary"
	"testing"
	"time"

	"paygate/proxy/wire"
)

// TestMessageThatBeganToPassPassesWhole has a remote begin a message under an id that becomes ours while it is on its
// way. Were its rest dropped, the payload of the next message would stand at a frame boundary of the client's.
func TestMessageThatBeganToPassPassesWhole(t *testing.T) {
	r := newRig(t, newDesk(Gated, 0), nil)
	remote := r.dial()
	const rest = 1000
	begun := append(binary.BigEndian.AppendUint32(nil, rest+3), 20, firstID, 'x')
	remote.send(append(hand("remote", true, true), begun...))
	client := r.accept()
	client.expectLen(wire.HandshakeLen)
	client.send(hand("client", true, true))
	remote.expectLen(wire.HandshakeLen)
	client.expect(begun)
	client.send(ext(0, "d1:md11:ut_metadatai2eee"))
	remote.expectLen(len(ext(0, "d1:md6:pg_payi200e11:ut_metadatai2eee6:pg_payd1:vi1eee"))) // our ids are known by now
	remote.send(make([]byte, rest))
	hidden := msg(99, append(make([]byte, rest-5), append(msg(2), request(0, 0, 16384)...)...)...)
	remote.send(hidden)
	if err := client.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	client.expect(make([]byte, rest))
	client.expect(hidden)
}
