package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"paygate/proxy/mse"
	"paygate/proxy/wire"
	"paygate/units"
)

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
		"the web":       {func(e *end) { _, _ = e.Write([]byte("GET / HTTP/1.1\r\n")) }, "not a BitTorrent handshake"},
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

// TestEncryptedDrains ends an encrypted session that stands between two messages.
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

// TestEncryptedPartialWrites relays and injects over a socket that takes little at a time, to a slow reader. Both streams
// arrive whole, each in its order.
func TestEncryptedPartialWrites(t *testing.T) {
	far, near := secretPair(t)
	client, nearClient := farPair(t, false)
	discard(client.conn)
	for _, err := range []error{near.conn.SetWriteBuffer(8 << 10), far.conn.SetReadBuffer(100_000)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := midSession(t, Watched, near, nearClient)
	const rounds = 300
	var relayed, injected []byte
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := range uint32(rounds) {
			if err := s.toRemote.relay(piece(i, 0, 1+int(i*i*37)%30000), 0, false); err != nil {
				t.Error(err)
			}
		}
	})
	writers.Go(func() {
		for i := range rounds {
			for s.toRemote.put(msg(99, make([]byte, 1+i*i%5000)...)) != nil {
				time.Sleep(time.Millisecond)
			}
			s.toRemote.kick()
		}
	})
	for i := range uint32(rounds) {
		relayed = append(relayed, piece(i, 0, 1+int(i*i*37)%30000)...)
		injected = append(injected, msg(99, make([]byte, 1+i*i%5000)...)...)
	}
	var got []byte
	b := make([]byte, 3001)
	for len(got) < len(relayed)+len(injected) {
		n, err := far.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, b[:n]...); len(got)%7 == 0 {
			time.Sleep(100 * time.Microsecond)
		}
	}
	writers.Wait()
	var pieces, others []byte
	var scan wire.Scanner
	for len(got) > 0 {
		f, n, err := scan.Next(got)
		if err != nil || n == 0 {
			t.Fatalf("the stream breaks: %v", err)
		}
		if f.Kind == wire.Piece {
			pieces = append(pieces, got[:n]...)
		} else {
			others = append(others, got[:n]...)
		}
		got = got[n:]
	}
	if !bytes.Equal(pieces, relayed) || !bytes.Equal(others, injected) {
		t.Errorf("%d of %d and %d of %d bytes", len(pieces), len(relayed), len(others), len(injected))
	}
	s.close()
	s.wg.Wait()
}
