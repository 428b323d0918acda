package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"paygate/proxy/wire"
)

// TestThousandAttackers holds a thousand of each kind of attacker at once against the public port, and wants little
// memory, few log lines, and an honest session beside them that works.
func TestThousandAttackers(t *testing.T) {
	shake := hand("attacker", true, true)
	shaken := func(more ...[]byte) []byte { return append(bytes.Clone(shake), bytes.Join(more, nil)...) }
	head := func(length uint32, b ...byte) []byte { return append(binary.BigEndian.AppendUint32(nil, length), b...) }
	for name, c := range map[string]struct {
		say  []byte
		gone bool // the proxy ends the connection
	}{
		"slow handshake":           {shake[:10], false},
		"no peer id":               {shake[:48], false},
		"garbage":                  {bytes.Repeat([]byte{0xa5}, 500), true},
		"half of an encrypted one": {bytes.Repeat([]byte{0xa5, 0x5a, 7}, 60), true},
		"almost a handshake":       {append(bytes.Clone(shake[:19]), "X and much more"...), true},
		"4 GiB prefix":             {shaken(head(1<<32-1, 7, 1, 2, 3)), true},
		"4 GiB piece":              {shaken(head(1<<32-1, 7), make([]byte, 8)), true},
		"2 GiB unknown message":    {shaken(head(1<<31, 99)), true},
		"truncated piece":          {shaken(piece(0, 0, 100000)[:5000]), false},
		"truncated bitfield":       {shaken(head(1<<20, 5), make([]byte, 100)), false},
		"half a long hello":        {shaken(ext(0, "d1:v60000:")[:6], make([]byte, 0)), false},
		"bencode bomb":             {shaken(ext(0, strings.Repeat("d1:a", 12000))), false},
		"list bomb":                {shaken(ext(0, strings.Repeat("l", 60000))), false},
		"unfinished long hello":    {shaken(head(60000, 20, 0), make([]byte, 58000)), false},
		"requests while choked":    {shaken(bytes.Repeat(request(1, 2, 16384), 500)), false},
		"interest and none":        {shaken(bytes.Repeat(append(msg(2), msg(3)...), 500)), false},
		"keepalives":               {shaken(make([]byte, 4000)), false},
		"extended before a hello":  {shaken(ext(200, "x"), ext(201, "y")), false},
	} {
		t.Run(name, func(t *testing.T) {
			desk := newDesk(Gated, 1<<40)
			desk.silent = true
			r := newRig(t, desk, func(c *Config) {
				c.Handshakes = 2000
				c.HandshakeTimeout = time.Minute
				c.DrainTimeout = time.Millisecond
			})
			r.proxy.known.add(testHash)
			held := &crowd{rig: r}
			t.Cleanup(held.leave)
			before := rss(t)
			held.attack(1000, c.say)
			if c.gone {
				held.allGone()
			}
			time.Sleep(50 * time.Millisecond)
			debug.FreeOSMemory()
			if grown := rss(t) - before; grown > 32<<20 && !raceDetector {
				t.Errorf("memory grew by %d KiB", grown>>10)
			} else {
				t.Logf("memory grew by %d KiB with %d sessions", grown>>10, len(r.proxy.Sessions()))
			}
			if n := r.log.FilterMessage("connection refused").Len(); n > 40 {
				t.Errorf("%d lines about refused connections", n)
			}
			if n := r.log.Len(); n > 1100 {
				t.Errorf("%d lines", n)
			}
			honest(t, r)
		})
	}
}

// crowd is many connections that nobody reads.
type crowd struct {
	*rig
	remotes, clients []net.Conn
	client           chan struct{}
	answered         atomic.Int64
}

// attack opens n connections that all say the same. A client behind the proxy answers every handshake.
func (c *crowd) attack(n int, say []byte) {
	c.t.Helper()
	c.client = make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(c.client)
		c.answer(done)
	}()
	for i := range n {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 9, byte(i>>8), byte(i))}}
		conn, err := d.Dial("tcp", c.proxy.PeersAddr().String())
		if err != nil {
			c.t.Fatal(err)
		}
		c.remotes = append(c.remotes, conn)
		_, _ = conn.Write(say) // some are cut off in the middle
	}
	if len(say) >= wire.HeadLen && wire.LooksLikeBitTorrent(say) {
		// The proxy calls the client as soon as it knows the torrent. Who is answered late would be taken for the honest one.
		eventually(c.t, "the client to be called for everybody", func() bool { return c.answered.Load() == int64(n) })
	}
	if len(say) >= wire.HandshakeLen && wire.LooksLikeBitTorrent(say) {
		eventually(c.t, "everybody to be served", func() bool { return len(c.desk.convs) == n })
	}
	close(done)
	<-c.client
}

// answer accepts connections and says the client's handshake, until done and nobody waits.
func (c *crowd) answer(done <-chan struct{}) {
	for {
		_ = c.rig.client.SetDeadline(time.Now().Add(100 * time.Millisecond))
		conn, err := c.rig.client.Accept()
		if err != nil {
			select {
			case <-done:
				return
			default:
				continue
			}
		}
		c.clients = append(c.clients, conn)
		c.answered.Add(1)
		_, _ = conn.Write(append(hand("client", true, true), ext(0, "d1:mdee")...))
	}
}

func (c *crowd) allGone() {
	eventually(c.t, "no session left", func() bool { return len(c.proxy.Sessions()) == 0 })
}

func (c *crowd) leave() {
	for _, conn := range append(c.remotes, c.clients...) {
		conn.Close()
	}
}

// honest runs one small paid transfer.
func honest(t *testing.T, r *rig) {
	t.Helper()
	for len(r.desk.convs) > 0 {
		<-r.desk.convs
	}
	remote, client := r.inbound()
	conv := <-r.desk.convs
	conv.s.Open()
	go serveBlocks(client)
	remote.send(msg(2))
	remote.expect(msg(1))
	for i := range uint32(50) {
		remote.send(request(i, 0, 16384))
		remote.expect(piece(i, 0, 16384))
	}
}

// rss is the resident memory of this process, in bytes.
func rss(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// TestPeersThatDoNotRead lets a client push data at peers that take none of it.
func TestPeersThatDoNotRead(t *testing.T) {
	const peers = 150
	desk := newDesk(Watched, 0)
	desk.silent = true
	r := newRig(t, desk, func(c *Config) { c.DrainTimeout = time.Millisecond })
	before := rss(t)
	var keep []net.Conn
	push := bytes.Repeat(piece(0, 0, 131000), 8)
	for i := range peers {
		remote := r.dialFrom(fmt.Sprintf("127.9.1.%d", 1+i))
		_ = remote.SetReadBuffer(4096)
		remote.send(hand("remote", true, true))
		client := r.accept()
		client.send(hand("client", true, true))
		_ = client.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		for range 10 {
			if _, err := client.Write(push); err != nil {
				break
			}
		}
		keep = append(keep, remote, client)
	}
	out := r.proxy.buffers.out.Load()
	if grown := rss(t) - before; grown > 32<<20 && !raceDetector {
		t.Errorf("memory grew by %d KiB, %d large buffers are out", grown>>10, out)
	} else {
		t.Logf("memory grew by %d KiB, %d large buffers are out", grown>>10, out)
	}
	for _, c := range keep {
		c.Close()
	}
}
