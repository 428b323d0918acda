package proxy

import (
	"encoding/binary"
	"testing"
	"time"

	"paygate/proxy/wire"
)

func TestGateLife(t *testing.T) {
	desk := newDesk(Gated, 200)
	r := newRig(t, desk, nil)
	remote, client := r.inbound()
	conv := <-desk.convs
	valve := func() string { return r.proxy.Sessions()[0].Valve }

	client.send(msg(5, 0xff), msg(1)) // an early unchoke
	remote.expect(msg(5, 0xff))
	conv.await(t, ClientUnchoke)
	client.silent() // before the remote's first message some clients still want a bitfield
	remote.send(msg(5, 0x00), msg(2), request(0, 0, 100))
	client.expect(msg(5, 0x00))
	client.expect(msg(3))
	conv.await(t, RemoteInterested)
	client.send(msg(0))
	conv.await(t, ClientChoke)
	remote.silent()
	if v := valve(); v != "closed" {
		t.Errorf("valve %s", v)
	}

	conv.s.Offer()
	client.expect(msg(2))
	client.send(msg(1))
	conv.await(t, ClientUnchoke)
	remote.silent()
	conv.s.Withdraw()
	client.expect(msg(3))
	client.send(msg(0))
	conv.await(t, ClientChoke)
	conv.s.Offer()
	client.expect(msg(2))
	client.send(msg(1))
	conv.await(t, ClientUnchoke)
	conv.s.Open()
	remote.expect(msg(1))
	if v := valve(); v != "open" {
		t.Errorf("valve %s", v)
	}

	remote.send(request(0, 0, 100), request(0, 100, 100), request(0, 200, 100))
	client.expect(append(request(0, 0, 100), request(0, 100, 100)...))
	conv.await(t, Starved)
	client.silent()
	if conv.s.Outstanding() != 2 {
		t.Errorf("%d outstanding", conv.s.Outstanding())
	}
	client.send(piece(0, 0, 100))
	remote.expect(piece(0, 0, 100))
	conv.credit.Add(100)
	conv.s.Resume()
	client.expect(request(0, 200, 100))
	conv.s.Shut()
	remote.silent()
	client.send(piece(0, 100, 100), piece(0, 200, 100))
	remote.expect(append(piece(0, 100, 100), piece(0, 200, 100)...))
	remote.expect(msg(0))
	client.expect(msg(3))
	remote.send(request(0, 300, 100), msg(4, 0, 0, 0, 1))
	client.expect(msg(4, 0, 0, 0, 1))
	if conv.out.Load() != 300 || conv.reserved.Load() != 0 {
		t.Errorf("out %d, reserved %d", conv.out.Load(), conv.reserved.Load())
	}
}

func TestReservationsAreFreedAtTheEnd(t *testing.T) {
	desk := newDesk(Gated, 1000)
	r := newRig(t, desk, nil)
	remote, client := r.inbound()
	conv := <-desk.convs
	conv.s.Open()
	client.send(msg(1))
	remote.expect(msg(1))
	remote.send(msg(2), request(0, 0, 400))
	client.expect(append(msg(2), request(0, 0, 400)...))
	client.send(piece(0, 0, 400)[:200])
	remote.expectLen(200)
	remote.Close()
	client.Close()
	eventually(t, "Run to end", func() bool { return conv.ran.Load() == 1 })
	if conv.reserved.Load() != 0 || conv.out.Load() != 0 {
		t.Errorf("reserved %d, out %d", conv.reserved.Load(), conv.out.Load())
	}
}

func TestFloodOfRequestsEndsTheSession(t *testing.T) {
	desk := newDesk(Gated, 0)
	r := newRig(t, desk, nil)
	remote, client := r.inbound()
	conv := <-desk.convs
	conv.s.Open()
	client.send(msg(1))
	remote.expect(msg(1))
	var many []byte
	for i := range uint32(2 * maxHeld) {
		many = append(many, request(i, 0, 16384)...)
	}
	_, _ = remote.Write(many) // it is cut off somewhere
	for {                     // the reset may overtake anything
		if _, err := remote.Read(make([]byte, 1)); err != nil {
			break
		}
	}
	eventually(t, "line", func() bool { return r.log.FilterMessage("session ended").Len() == 1 })
	if _, ok := r.log.FilterMessage("session ended").All()[0].ContextMap()["error"]; !ok {
		t.Error("no error in the line")
	}
}

// TestPaidTransfer lets a remote pipeline requests against a client that serves them in order, while credit comes in steps.
func TestPaidTransfer(t *testing.T) {
	const blocks, size, pipeline, step = 2000, 16384, 500, 40 * 16384
	desk := newDesk(Gated, 0)
	desk.silent = true
	r := newRig(t, desk, nil)
	remote, client := r.inbound()
	conv := <-desk.convs
	conv.s.Open()
	go serveBlocks(client)
	remote.send(msg(2))
	stop := make(chan struct{})
	paid := make(chan int64)
	go func() { // pays 40 blocks at a time
		total := int64(0)
		defer func() { paid <- total }()
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
				if conv.credit.Load() < size {
					conv.credit.Add(step)
					total += step
					conv.s.Resume()
				}
			}
		}
	}()
	remote.expect(msg(1))
	asked, got := 0, 0
	for got < blocks {
		for ; asked < blocks && asked-got < pipeline; asked++ {
			remote.send(request(uint32(asked), 0, size))
		}
		f := remote.frame()
		if f[0] != 7 || binary.BigEndian.Uint32(f[1:]) != uint32(got) || len(f) != 9+size {
			t.Fatalf("block %d: message %d of piece %d, %d bytes", got, f[0], binary.BigEndian.Uint32(f[1:]), len(f))
		}
		got++
	}
	close(stop)
	total := <-paid
	eventually(t, "the account to balance", func() bool {
		return conv.out.Load() == blocks*size && conv.credit.Load() == total-blocks*size
	})
	if conv.unreserved.Load() != 0 || conv.reserved.Load() != 0 {
		t.Errorf("unreserved %d, reserved %d", conv.unreserved.Load(), conv.reserved.Load())
	}
}

// serveBlocks is a client that unchokes whoever is interested and serves every request, in order.
func serveBlocks(client *end) {
	var s wire.Scanner
	buf := make([]byte, 64<<10)
	fill := 0
	for {
		n, err := client.Read(buf[fill:])
		if err != nil {
			return
		}
		fill += n
		pos := 0
		for {
			f, n, err := s.Next(buf[pos:fill])
			if err != nil || n == 0 {
				break
			}
			pos += n
			var out []byte
			switch f.Kind {
			case wire.Interested:
				out = msg(1)
			case wire.NotInterested:
				out = msg(0)
			case wire.Request:
				out = piece(f.Block.Index, f.Block.Begin, int(f.Block.Length))
			}
			if _, err := client.Write(out); err != nil {
				return
			}
		}
		fill = copy(buf, buf[pos:fill])
	}
}
