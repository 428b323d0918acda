package wire

import (
	"encoding/binary"
	"fmt"
)

// Bounds of the framer, in bytes. The Max…Message bounds are compared with the length prefix.
const (
	// MaxWhole bounds a message that is delivered whole, with its length prefix. Next never needs more than this in its buffer.
	MaxWhole = 64 << 10
	// MaxPieceMessage bounds a piece: 128 KiB of payload, eight times what clients ask for.
	MaxPieceMessage = 128<<10 + 9
	// MaxExtendedMessage bounds an extended message: 1 MiB of payload.
	MaxExtendedMessage = 1<<20 + 2
	// MaxOtherMessage bounds a message of an unknown id.
	MaxOtherMessage = 1 << 20
	// DefaultMaxBitfield is the bound of a bitfield's payload when Scanner.MaxBitfield is 0: 8 million pieces.
	DefaultMaxBitfield = 1 << 20
)

// LengthError is returned for a length prefix that its message cannot have. Nothing of the message has been consumed, and
// the stream cannot be followed beyond it.
type LengthError struct {
	Kind     Kind
	ID       byte
	Length   uint32 // as in the prefix: without the prefix itself
	Min, Max uint32 // what is accepted, both inclusive
}

func (e *LengthError) Error() string {
	return fmt.Sprintf("%s message (id %d) of %d bytes: %d to %d are accepted", e.Kind, e.ID, e.Length, e.Min, e.Max)
}

// Scanner cuts a stream of peer messages (what follows the 68-byte handshake) into frames, in place: it never copies,
// changes, reorders or drops a byte, and does not allocate unless it fails. Unknown ids and bytes behind the fields of a
// known message pass. The zero value is ready for use. One Scanner serves one direction of one connection.
type Scanner struct {
	// MaxBitfield bounds the payload of a bitfield, in bytes; 0 means DefaultMaxBitfield.
	MaxBitfield int

	whole [4]uint64 // set of extended ids that must come whole
	open  Frame     // the message being streamed, without Bytes
	left  uint32    // bytes of it that have not come yet
}

// Whole asks for extended messages with this id to be delivered in one piece. A message of such an id that is longer than
// MaxWhole is a LengthError. The extended handshake (id 0) is always delivered whole, unless it is longer than MaxWhole: then it is
// streamed, as Kind Extended with Ext 0.
func (s *Scanner) Whole(ext byte) { s.whole[ext>>6] |= 1 << (ext & 63) }

// Stream takes Whole back.
func (s *Scanner) Stream(ext byte) { s.whole[ext>>6] &^= 1 << (ext & 63) }

// InFrame reports whether the last fragment did not end its message. Nothing may be injected into the stream then.
func (s *Scanner) InFrame() bool { return s.left > 0 }

// Next takes the next frame or fragment off the front of b and returns how many bytes it has, which is the length of f.Bytes.
// n == 0 without an error means that b does not hold enough (it is shorter than MaxWhole then): keep b and read on behind it.
//
// Messages of a fixed size, the extended handshake and ids given to Whole come whole; of a piece the 13 bytes of its header
// do. Everything else is handed on as it comes. The error is always a *LengthError.
func (s *Scanner) Next(b []byte) (f Frame, n int, err error) {
	if s.left > 0 {
		f, n = s.more(b)
		return f, n, nil
	}
	if len(b) < 4 {
		return Frame{}, 0, nil
	}
	length := binary.BigEndian.Uint32(b)
	if length == 0 {
		return Frame{Kind: KeepAlive, Bytes: b[:4:4], Start: true, End: true}, 4, nil
	}
	return s.start(b, length)
}

// more hands on what has come of the message being streamed.
func (s *Scanner) more(b []byte) (Frame, int) {
	if len(b) == 0 {
		return Frame{}, 0
	}
	n := int(min(uint64(len(b)), uint64(s.left)))
	s.left -= uint32(n)
	f := s.open
	f.Bytes, f.Start, f.End = b[:n:n], false, s.left == 0
	return f, n
}

func (s *Scanner) start(b []byte, length uint32) (Frame, int, error) {
	panic("wire: not there yet")
}

// BitfieldCheck finds out from a bitfield, fragment by fragment, whether its sender has every piece. The zero value is
// ready for use; take a new one for each bitfield message.
type BitfieldCheck struct {
	last   byte
	any    bool
	broken bool // a byte before the last one lacks a piece
}

// Add looks at the next fragment's payload.
func (c *BitfieldCheck) Add(fragmentPayload []byte) {}

// Complete reports whether every bit is one, but for up to seven zero bits at the end of the last byte.
func (c BitfieldCheck) Complete() bool { return false }
