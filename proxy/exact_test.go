package proxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"paygate/proxy/wire"
)

// randomFrame is any message that a peer may send, with odd ones among them. Extended messages carry ids below 200.
func randomFrame(t *rapid.T) []byte {
	bytesOf := func(most int) []byte {
		b := make([]byte, rapid.IntRange(0, most).Draw(t, "n"))
		for i := range b {
			b[i] = byte(i*31 + len(b))
		}
		return b
	}
	switch rapid.IntRange(0, 13).Draw(t, "kind") {
	case 0:
		return msg(byte(rapid.IntRange(0, 3).Draw(t, "id")))
	case 1:
		return msg(byte(rapid.IntRange(0, 3).Draw(t, "id")), bytesOf(20)...) // trailing bytes
	case 2:
		return msg(4, 0, 0, 0, 9)
	case 3:
		return msg(5, bytesOf(3000)...)
	case 4, 5:
		return request(1, 2, 16384)
	case 6, 7, 8:
		return piece(3, 4, rapid.IntRange(0, 40000).Draw(t, "size"))
	case 9:
		return piece(3, 4, 128<<10)
	case 10:
		return cancelOf(1, 2, 3)
	case 11:
		return msg(byte(rapid.IntRange(21, 255).Draw(t, "unknown id")), bytesOf(9000)...)
	case 12:
		return ext(byte(rapid.IntRange(1, 199).Draw(t, "ext")), string(bytesOf(70000)))
	}
	return msg(byte(rapid.IntRange(21, 23).Draw(t, "hash message")), bytesOf(600)...)
}

// writeSplit writes b in pieces of random sizes.
func writeSplit(e *end, b []byte, r *rand.Rand) {
	for len(b) > 0 {
		n := 1 + r.IntN(min(len(b), 1<<(1+r.IntN(17))))
		if _, err := e.Write(b[:min(n, len(b))]); err != nil {
			return
		}
		b = b[min(n, len(b)):]
	}
}

// TestByteExact sends random streams both ways in random splits, with payment messages in both directions and keepalives of
// our own in between. Either side must read exactly what the other has sent, but for what was injected; and
// the client nothing that has an id of ours.
func TestByteExact(t *testing.T) {
	desk := newDesk(Watched, 0)
	r := newRig(t, desk, nil)
	rapid.Check(t, func(rt *rapid.T) {
		remote, client := r.inbound()
		defer remote.Close()
		defer client.Close()
		conv := <-desk.convs
		client.send(ext(0, "d1:mdee"))
		remote.send(ext(0, "d1:md6:pg_payi250eee"), msg(4, 0, 0, 0, 0))
		remote.frame()
		client.expect(append(ext(0, "d1:md6:pg_payi250eee"), msg(4, 0, 0, 0, 0)...))
		conv.await(t, RemoteHello)
		exchange(rt, remote, client, conv)
	})
}

// exchange sends random streams both ways, between two ends that have greeted each other, and ends the session.
func exchange(rt *rapid.T, remote, client *end, conv *fakeConv) {
	n := rapid.IntRange(1, 60).Draw(rt, "frames")
	var fromClient, fromRemote, clean []byte
	pays := 0
	for range n {
		fromClient = append(fromClient, randomFrame(rt)...)
		f := randomFrame(rt)
		fromRemote, clean = append(fromRemote, f...), append(clean, f...)
		if rapid.IntRange(0, 3).Draw(rt, "pay") == 0 {
			fromRemote = append(fromRemote, ext(200, "from the remote, for us")...)
			pays++
		}
	}
	seed := rapid.Uint64().Draw(rt, "splits")
	var wg sync.WaitGroup
	wg.Go(func() { writeSplit(client, fromClient, rand.New(rand.NewPCG(seed, 1))); client.CloseWrite() })
	wg.Go(func() { writeSplit(remote, fromRemote, rand.New(rand.NewPCG(seed, 2))); remote.CloseWrite() })
	stop, sent := make(chan struct{}), 0
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if conv.s.Send(0, []byte("from us")) == nil {
				sent++
			}
			conv.s.toClient.keepalive(wire.FrameKeepAlive())
			conv.s.toRemote.keepalive(wire.FrameKeepAlive())
		}
	})
	var atClient []byte
	wg.Go(func() { atClient, _ = io.ReadAll(client) })
	atRemote, err := io.ReadAll(remote)
	close(stop)
	wg.Wait()
	if err != nil {
		rt.Fatal(err)
	}
	if got, _ := without(rt, atClient, 0); !bytes.Equal(got, clean) {
		rt.Fatalf("client read %d bytes, want %d; first difference at %d", len(got), len(clean), differ(got, clean))
	}
	got, injected := without(rt, atRemote, 250)
	if !bytes.Equal(got, fromClient) {
		rt.Fatalf("remote read %d bytes, want %d; first difference at %d", len(got), len(fromClient), differ(got, fromClient))
	}
	if injected > sent {
		rt.Fatalf("%d of %d injected messages came", injected, sent)
	}
	if len(conv.messages) != pays {
		rt.Fatalf("%d of %d payment messages came", len(conv.messages), pays)
	}
}

// without frames a stream strictly, and takes keepalives and extended messages with one id out.
func without(t *rapid.T, b []byte, id byte) (rest []byte, taken int) {
	var s wire.Scanner
	s.Whole(id)
	for len(b) > 0 {
		f, n, err := s.Next(b)
		if err != nil || n == 0 {
			t.Fatalf("the stream breaks %d bytes before its end: %v", len(b), err)
		}
		switch {
		case f.Kind == wire.KeepAlive:
		case f.Kind == wire.Extended && f.Ext == id && id != 0:
			taken++
			if string(f.Payload()) != "from us" {
				t.Fatalf("injected message %q", f.Payload())
			}
		default:
			rest = append(rest, f.Bytes...)
		}
		b = b[n:]
	}
	if s.InFrame() {
		t.Fatal("the stream ends inside a message")
	}
	return rest, taken
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// TestInjectorNeverWaits fills the path to a remote that does not read, and goes on injecting.
func TestInjectorNeverWaits(t *testing.T) {
	desk := newDesk(Watched, 0)
	r := newRig(t, desk, nil)
	remote, client := r.inbound()
	conv := <-desk.convs
	client.send(ext(0, "d1:mdee"))
	remote.send(ext(0, "d1:md6:pg_payi250eee"))
	remote.frame()
	conv.await(t, RemoteHello)
	eventually(t, "Send to work", func() bool { return conv.s.Send(0, nil) == nil })
	remote.frame()
	payload := bytes.Repeat([]byte("x"), 4000)
	sent := 0
	var err error
	for ; sent < 100000 && err == nil; sent++ {
		err = conv.s.Send(0, payload)
	}
	if !errors.Is(err, errQueueFull) {
		t.Fatalf("after %d: %v", sent, err)
	}
	// Once the remote reads, every message that was taken arrives, and the relay goes on.
	client.send(piece(0, 0, 50))
	pieces := 0
	for range sent { // the last one was refused, the piece stands in for it
		if remote.frame()[0] == 7 {
			pieces++
		}
	}
	if pieces != 1 {
		t.Errorf("%d pieces came", pieces)
	}
}
