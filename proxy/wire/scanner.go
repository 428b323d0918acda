package wire

import (
	"encoding/binary"
	"fmt"
	"math"
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
	short [4]uint64 // set of extended ids that come whole if they fit
	open  Frame     // the message being streamed, without Bytes
	left  uint32    // bytes of it that have not come yet
}

// Whole asks for extended messages with this id to be delivered in one piece. A message of such an id that is longer than
// MaxWhole is a LengthError. The extended handshake (id 0) is always delivered whole, unless it is longer than MaxWhole: then it is
// streamed, as Kind Extended with Ext 0.
func (s *Scanner) Whole(ext byte) { s.whole[ext>>6] |= 1 << (ext & 63) }

// WholeIfShort asks for extended messages with this id to be delivered in one piece, unless they are longer than MaxWhole: those
// are streamed.
func (s *Scanner) WholeIfShort(ext byte) { s.short[ext>>6] |= 1 << (ext & 63) }

// Stream takes Whole and WholeIfShort back.
func (s *Scanner) Stream(ext byte) {
	s.whole[ext>>6] &^= 1 << (ext & 63)
	s.short[ext>>6] &^= 1 << (ext & 63)
}

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

// start takes a message of length ≥ 1 off the front of b, or as much of it as may be handed on.
func (s *Scanner) start(b []byte, length uint32) (Frame, int, error) {
	if len(b) < 5 {
		return Frame{}, 0, nil
	}
	r := s.rule(b[4])
	if length < r.min || length > r.max {
		return Frame{}, 0, &LengthError{Kind: r.kind, ID: b[4], Length: length, Min: r.min, Max: r.max}
	}
	f := Frame{Kind: r.kind, ID: b[4], Start: true}
	need, total := uint64(r.need), 4+uint64(length)
	if r.kind == Extended && len(b) >= 6 {
		whole, err := s.extended(&f, b[5], length)
		if err != nil {
			return Frame{}, 0, err
		}
		if whole {
			need = total
		}
	}
	if need == 0 {
		need = total
	}
	if uint64(len(b)) < need {
		return Frame{}, 0, nil
	}
	f.Block = block(f.Kind, b, length)
	return s.deliver(f, b, total)
}

// extended fills in what the extended id tells and reports whether the message must come whole.
func (s *Scanner) extended(f *Frame, ext byte, length uint32) (whole bool, err error) {
	f.Ext = ext
	if ext == 0 {
		if length > MaxWhole-4 {
			return false, nil
		}
		f.Kind = ExtendedHandshake
		return true, nil
	}
	if s.whole[ext>>6]&(1<<(ext&63)) == 0 {
		return s.short[ext>>6]&(1<<(ext&63)) != 0 && length <= MaxWhole-4, nil
	}
	if length > MaxWhole-4 {
		return false, &LengthError{Kind: Extended, ID: idExtended, Length: length, Min: 2, Max: MaxWhole - 4}
	}
	return true, nil
}

// deliver hands on as much of the message of total bytes as b has, and remembers what is left of it.
func (s *Scanner) deliver(f Frame, b []byte, total uint64) (Frame, int, error) {
	n := int(min(uint64(len(b)), total))
	if s.left = uint32(total - uint64(n)); s.left > 0 {
		s.open = f
	}
	f.Bytes, f.End = b[:n:n], s.left == 0
	return f, n, nil
}

// block reads the fields of a request, cancel or reject, or of a piece with its payload's length. All 13 bytes of
// Piece's header, or 17 of the others, are there.
func block(k Kind, b []byte, length uint32) Block {
	switch k {
	case Piece:
		return Block{binary.BigEndian.Uint32(b[5:]), binary.BigEndian.Uint32(b[9:]), length - 9}
	case Request, Cancel, Reject:
		return Block{binary.BigEndian.Uint32(b[5:]), binary.BigEndian.Uint32(b[9:]), binary.BigEndian.Uint32(b[13:])}
	}
	return Block{}
}

// rule is what an id alone tells about a message: the bounds of its length prefix, and how many of its bytes must be there
// before any is handed on (0: all of them).
type rule struct {
	kind           Kind
	min, max, need uint32
}

const maxFixed = MaxWhole - 4

var rules = [...]rule{
	idChoke:         {Choke, 1, maxFixed, 0},
	idUnchoke:       {Unchoke, 1, maxFixed, 0},
	idInterested:    {Interested, 1, maxFixed, 0},
	idNotInterested: {NotInterested, 1, maxFixed, 0},
	idHave:          {Have, 5, maxFixed, 0},
	idBitfield:      {Bitfield, 1, DefaultMaxBitfield + 1, 5},
	idRequest:       {Request, 13, maxFixed, 0},
	idPiece:         {Piece, 9, MaxPieceMessage, 13},
	idCancel:        {Cancel, 13, maxFixed, 0},
	idPort:          {Port, 3, maxFixed, 0},
	10:              other,
	11:              other,
	12:              other,
	idSuggest:       {Suggest, 5, maxFixed, 0},
	idHaveAll:       {HaveAll, 1, maxFixed, 0},
	idHaveNone:      {HaveNone, 1, maxFixed, 0},
	idReject:        {Reject, 13, maxFixed, 0},
	idAllowedFast:   {AllowedFast, 5, maxFixed, 0},
	18:              other,
	19:              other,
	idExtended:      {Extended, 2, MaxExtendedMessage, 6},
}

var other = rule{Other, 1, MaxOtherMessage, 5}

func (s *Scanner) rule(id byte) rule {
	if int(id) >= len(rules) {
		return other
	}
	r := rules[id]
	if id == idBitfield && s.MaxBitfield > 0 {
		r.max = uint32(min(uint64(s.MaxBitfield), math.MaxUint32-1)) + 1
	}
	return r
}
