package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"paygate/units"
)

// Attack writes to a connection what no honest peer would. It returns when it has nothing more to say; the attacker
// then keeps the connection open until the other side closes it.
type Attack struct {
	Name string
	do   func(ctx context.Context, c net.Conn, ih units.InfoHash) error
}

// Attacks are all of them.
func Attacks() []Attack {
	return []Attack{
		{"random garbage", garbage},
		{"handshake, then garbage", handshakeGarbage},
		{"frame cut short", cutFrame},
		{"length prefix of 4 GiB", hugeLength},
		{"piece of 4 GiB", hugePiece},
		{"bencode bomb", bomb},
		{"slow handshake", slow},
		{"silence", func(context.Context, net.Conn, units.InfoHash) error { return nil }},
		{"encrypted handshake", encrypted},
		{"flood of requests", requests},
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// handshake is a valid one (BEP 3), with the bit for extensions (BEP 10) and, as clients send it, the Fast bit (BEP 6).
func handshake(ih units.InfoHash) []byte {
	b := append([]byte("\x13BitTorrent protocol"), 0, 0, 0, 0, 0, 0x10, 0, 0x05)
	b = append(b, ih[:]...)
	return append(b, append([]byte("-XX0001-"), random(12)...)...)
}

// frame is a message with its length prefix.
func frame(id byte, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)+1))
	return append(append(b, id), payload...)
}

func garbage(_ context.Context, c net.Conn, _ units.InfoHash) error {
	_, err := c.Write(random(4096))
	return err
}

func handshakeGarbage(_ context.Context, c net.Conn, ih units.InfoHash) error {
	_, err := c.Write(append(handshake(ih), random(4096)...))
	return err
}

func cutFrame(_ context.Context, c net.Conn, ih units.InfoHash) error {
	_, err := c.Write(append(handshake(ih), frame(6, random(12))[:9]...))
	return err
}

func hugeLength(_ context.Context, c net.Conn, ih units.InfoHash) error {
	_, err := c.Write(append(handshake(ih), 0xff, 0xff, 0xff, 0xff, 20, 0))
	return err
}

func hugePiece(_ context.Context, c net.Conn, ih units.InfoHash) error {
	_, err := c.Write(append(handshake(ih), append([]byte{0xff, 0xff, 0xff, 0xfe, 7}, random(1<<16)...)...))
	return err
}

// bomb nests lists as deep as an extended handshake of 60 KiB can, and promises a string of 9 EB.
func bomb(_ context.Context, c net.Conn, ih units.InfoHash) error {
	payload := append([]byte{0}, "d1:m"...)
	payload = append(payload, bytes.Repeat([]byte("l"), 60<<10)...)
	payload = append(payload, "9223372036854775807:"...)
	_, err := c.Write(append(handshake(ih), frame(20, payload)...))
	return err
}

// slow sends a byte of a valid handshake every second.
func slow(ctx context.Context, c net.Conn, ih units.InfoHash) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for _, b := range handshake(ih) {
		if _, err := c.Write([]byte{b}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// encrypted looks like the first message of MSE/PE: 96 bytes of a public key and some padding.
func encrypted(_ context.Context, c net.Conn, _ units.InfoHash) error {
	_, err := c.Write(random(96 + rand.IntN(512)))
	return err
}

// requests asks for far more blocks than any peer may.
func requests(ctx context.Context, c net.Conn, ih units.InfoHash) error {
	out := append(handshake(ih), frame(2, nil)...)
	for i := range 20000 {
		block := binary.BigEndian.AppendUint32(nil, uint32(i%64))
		block = binary.BigEndian.AppendUint32(block, 0)
		out = append(out, frame(6, binary.BigEndian.AppendUint32(block, 16384))...)
	}
	_, err := c.Write(out)
	return err
}

// attacker repeats one attack until ctx ends.
type attacker struct {
	attack Attack
	from   netip.Addr
	target string
	ih     units.InfoHash
	pause  time.Duration // between two connections
}

// run returns how often it got a connection.
func (a attacker) run(ctx context.Context) (connected int) {
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.from, 0))}
	for ctx.Err() == nil {
		if c, err := dialer.DialContext(ctx, "tcp", a.target); err == nil {
			connected++
			a.once(ctx, c)
		}
		timer := time.NewTimer(a.pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return connected
}

// once attacks and then reads until the other side closes.
func (a attacker) once(ctx context.Context, c net.Conn) {
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	defer func() { _ = c.Close() }()
	if a.attack.do(ctx, c, a.ih) != nil {
		return
	}
	sink := make([]byte, 4096)
	for {
		if _, err := c.Read(sink); err != nil {
			return
		}
	}
}
