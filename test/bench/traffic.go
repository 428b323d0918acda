package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent/mse"

	"paygate/proxy/wire"
	"paygate/units"
)

// The traffic is that of a seeder and its downloaders: blocks of 16 KiB one way, requests the other, and a `have` among
// every sixteen of either. (BEP 3)
const (
	block     = 16 << 10
	pieces    = 1 << 10 // of the pretended torrent
	pieceLen  = 16      // blocks in one
	haveEvery = 16
	endBuffer = 256 << 10
)

// torrent is what everybody pretends to exchange.
var torrent = units.InfoHash([]byte("the torrent in bench"))

// seeder answers every request with a block, for as many downloaders as come.
type seeder struct {
	l         net.Listener
	encrypted bool // takes nothing but MSE with RC4
	wg        sync.WaitGroup
	mu        sync.Mutex
	open      map[net.Conn]bool
}

func newSeeder(encrypted bool) (*seeder, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &seeder{l: l, encrypted: encrypted, open: map[net.Conn]bool{}}
	s.wg.Go(s.accept)
	return s, nil
}

func (s *seeder) addr() string { return s.l.Addr().String() }

func (s *seeder) close() {
	_ = s.l.Close()
	s.mu.Lock()
	for c := range s.open {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *seeder) accept() {
	for {
		conn, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.open[conn] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			_ = s.serve(conn) // the other end's going away is how every connection ends
			_ = conn.Close()
			s.mu.Lock()
			delete(s.open, conn)
			s.mu.Unlock()
		})
	}
}

func (s *seeder) serve(conn net.Conn) error {
	rw, err := s.shake(conn)
	if err != nil {
		return err
	}
	frame := make([]byte, 13+block)
	binary.BigEndian.PutUint32(frame, 9+block)
	frame[4] = 7
	out := bufio.NewWriterSize(rw, endBuffer)
	in := bufio.NewReaderSize(rw, 16<<10)
	for served := 1; ; {
		if in.Buffered() < 4 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		id, body, err := readMessage(in)
		if err != nil {
			return err
		}
		switch id {
		case 2: // interested
			_, err = out.Write([]byte{0, 0, 0, 1, 1})
		case 6:
			copy(frame[5:13], body[:8])
			_, err = out.Write(frame)
			if served++; err == nil && served%haveEvery == 0 {
				_, err = out.Write([]byte{0, 0, 0, 5, 4, 0, 0, 0, 1})
			}
		}
		if err != nil {
			return err
		}
	}
}

// shake says the handshake and a full bitfield.
func (s *seeder) shake(conn net.Conn) (io.ReadWriter, error) {
	rw := io.ReadWriter(conn)
	if s.encrypted {
		var err error
		rw, _, err = mse.ReceiveHandshake(background, conn, func(yield func([]byte) bool) { yield(torrent[:]) },
			func(mse.CryptoMethod) mse.CryptoMethod { return mse.CryptoMethodRC4 })
		if err != nil {
			return nil, err
		}
	}
	hand := make([]byte, wire.HandshakeLen)
	if _, err := io.ReadFull(rw, hand); err != nil {
		return nil, err
	}
	copy(hand[20:28], make([]byte, 8))
	copy(hand[48:], "-SE0001-seederseeder")
	bits := make([]byte, 5+pieces/8)
	binary.BigEndian.PutUint32(bits, 1+pieces/8)
	bits[4] = 5
	for i := range bits[5:] {
		bits[5+i] = 0xff
	}
	_, err := rw.Write(append(hand, bits...))
	return rw, err
}

// readMessage reads one small message. Its body is valid until the next read.
func readMessage(in *bufio.Reader) (id byte, body []byte, err error) {
	head, err := in.Peek(4)
	if err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint32(head))
	if n > 1<<12 {
		return 0, nil, errors.New("a message that nobody sends here")
	}
	all, err := in.Peek(4 + n)
	if err != nil {
		return 0, nil, err
	}
	if _, err := in.Discard(4 + n); err != nil {
		return 0, nil, err
	}
	if n == 0 {
		return 0xff, nil, nil
	}
	return all[4], all[5:], nil
}

// leecher is one downloader.
type leecher struct {
	conn net.Conn
	rw   io.ReadWriter
	in   *bufio.Reader
	next uint32
	got  *atomic.Int64
}

// home is the address of downloader number i. Each has a network (/24) of its own, as in a real swarm: paygate serves
// few of one network at once for free.
func home(i int) *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(127, byte(1+i/250%60), byte(1+i%250), 1)}
}

// dial connects a downloader through a relay and says the handshake.
func dial(front string, from *net.TCPAddr, encrypted bool, hello []byte, got *atomic.Int64) (*leecher, error) {
	d := net.Dialer{Timeout: 10 * time.Second, LocalAddr: from}
	conn, err := d.Dial("tcp", front)
	if err != nil {
		return nil, err
	}
	l := &leecher{conn: conn, rw: conn, got: got}
	if err := l.shake(encrypted, hello); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return l, nil
}

func (l *leecher) shake(encrypted bool, hello []byte) (err error) {
	if err := l.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	head := wire.NewHead(torrent)
	hand := append(head[:], "-LE0001-leecherleech"...)
	if encrypted {
		l.rw, _, err = mse.InitiateHandshake(l.conn, torrent[:], hand, mse.CryptoMethodRC4)
	} else {
		_, err = l.rw.Write(hand)
	}
	if err != nil {
		return err
	}
	l.in = bufio.NewReaderSize(l.rw, endBuffer)
	if _, err := io.ReadFull(l.in, hand); err != nil {
		return err
	}
	if _, err := l.rw.Write(hello); err != nil {
		return err
	}
	for {
		switch id, _, err := readMessage(l.in); {
		case err != nil:
			return fmt.Errorf("wait for the bitfield: %w", err)
		case id == 5:
			return l.conn.SetDeadline(time.Time{})
		}
	}
}

// offer is an extended handshake (BEP 10) that knows paygate's dialect, so that a seller need not wait to see whether
// this is a peer of the old kind before it gives its sample. The other relays carry it like any message.
func offer() []byte {
	advert := wire.Advert{V: 1, Methods: []string{"bolt11"}, Net: "regtest"}
	copy(advert.Nonce[:], "bench is no buyer")
	return wire.AppendExtended(nil, 0, wire.NewExtHandshake(wire.Rewrite{
		Names: []wire.Name{{Name: "pg_pay", ID: 1, Dict: advert.Encode()}},
	}))
}

// stranger is the extended handshake of a client that knows nothing of paygate.
func stranger() []byte { return wire.AppendExtended(nil, 0, []byte("d1:mdee")) }

// begin says interested and waits until the other side unchokes.
func (l *leecher) begin() error {
	if err := l.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := l.rw.Write([]byte{0, 0, 0, 1, 2}); err != nil {
		return err
	}
	for {
		id, _, err := readMessage(l.in)
		if err != nil {
			return err
		}
		if id == 1 {
			return l.conn.SetDeadline(time.Time{})
		}
	}
}

// ask appends a request for the next block.
func (l *leecher) ask(b []byte) []byte {
	n := l.next
	l.next++
	b = append(b, 0, 0, 0, 13, 6)
	b = binary.BigEndian.AppendUint32(b, n/pieceLen%pieces)
	b = binary.BigEndian.AppendUint32(b, n%pieceLen*block)
	b = binary.BigEndian.AppendUint32(b, block)
	if n%haveEvery == 0 {
		b = append(b, 0, 0, 0, 5, 4)
		b = binary.BigEndian.AppendUint32(b, n/pieceLen%pieces)
	}
	return b
}

// receive waits for a block and counts it. Other messages are passed over.
func (l *leecher) receive() error {
	for {
		head, err := l.in.Peek(5)
		if err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(head))
		piece := n > 0 && head[4] == 7
		if _, err := l.in.Discard(4 + n); err != nil {
			return err
		}
		if piece {
			l.got.Add(int64(n - 9))
			return nil
		}
	}
}

// download keeps a window of requests outstanding until the connection is closed.
func (l *leecher) download(window int) error {
	var b []byte
	for range window {
		b = l.ask(b)
	}
	for {
		if _, err := l.rw.Write(b); err != nil {
			return err
		}
		b = b[:0]
		for {
			if err := l.receive(); err != nil {
				return err
			}
			b = l.ask(b)
			if l.in.Buffered() < 13+block {
				break
			}
		}
	}
}
