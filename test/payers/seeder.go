package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"

	"paygate/proxy/wire"
	"paygate/units"
)

const (
	block  = 16 << 10
	pieces = 1 << 13 // of the pretended torrent
	inside = 16      // blocks in a piece
	buffer = 64 << 10
)

// torrent is what everybody pretends to have or to want.
var torrent = units.InfoHash([]byte("what payers are for."))

// seeder is the seller's client: it unchokes who is interested, and answers every request.
type seeder struct {
	l    net.Listener
	wg   sync.WaitGroup
	mu   sync.Mutex
	open map[net.Conn]bool
}

func newSeeder() (*seeder, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &seeder{l: l, open: map[net.Conn]bool{}}
	s.wg.Go(s.accept)
	return s, nil
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
			_ = serve(conn) // it ends when the other side goes away
			_ = conn.Close()
			s.mu.Lock()
			delete(s.open, conn)
			s.mu.Unlock()
		})
	}
}

func (s *seeder) close() {
	_ = s.l.Close()
	s.mu.Lock()
	for c := range s.open {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func serve(conn net.Conn) error {
	hand := make([]byte, wire.HandshakeLen)
	if _, err := io.ReadFull(conn, hand); err != nil {
		return err
	}
	copy(hand[20:28], make([]byte, 8)) // no extensions
	copy(hand[48:], "-SE0001-seederseeder")
	if _, err := conn.Write(append(hand, everything()...)); err != nil {
		return err
	}
	in, out := bufio.NewReaderSize(conn, 4<<10), bufio.NewWriterSize(conn, buffer)
	frame := make([]byte, 13+block)
	binary.BigEndian.PutUint32(frame, 9+block)
	frame[4] = 7
	for {
		if in.Buffered() < 4 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		id, body, err := readMessage(in)
		switch {
		case err != nil:
			return err
		case id == 2: // interested
			_, err = out.Write(wire.FrameUnchoke())
		case id == 3:
			_, err = out.Write(wire.FrameChoke())
		case id == 6 && len(body) == 12:
			copy(frame[5:13], body)
			_, err = out.Write(frame)
		}
		if err != nil {
			return err
		}
	}
}

// everything is a bitfield with every bit set.
func everything() []byte {
	b := make([]byte, 5+pieces/8)
	binary.BigEndian.PutUint32(b, 1+pieces/8)
	b[4] = 5
	for i := range b[5:] {
		b[5+i] = 0xff
	}
	return b
}

// readMessage reads one message that is not a block. Its body is valid until the next read.
func readMessage(in *bufio.Reader) (id byte, body []byte, err error) {
	head, err := in.Peek(4)
	if err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint32(head))
	if n+4 > in.Size() {
		return 0, nil, errors.New("a message that nobody sends here")
	}
	all, err := in.Peek(4 + n)
	if err != nil {
		return 0, nil, err
	}
	if _, err := in.Discard(4 + n); err != nil || n == 0 {
		return 0xff, nil, err
	}
	return all[4], all[5:], nil
}
