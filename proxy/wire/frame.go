package wire

import (
	"encoding/binary"
	"fmt"
)

// Kind says what a frame is.
type Kind uint8

// The kinds of frame. Extended messages are split into the extended handshake (id 20, extended id 0) and all others;
// Other is every message id that has no kind of its own (BEP 52 hashes among them).
const (
	KeepAlive Kind = iota
	Choke
	Unchoke
	Interested
	NotInterested
	Have
	Bitfield
	Request
	Piece
	Cancel
	Port
	Suggest
	HaveAll
	HaveNone
	Reject
	AllowedFast
	ExtendedHandshake
	Extended
	Other
)

var kindNames = [...]string{
	"keepalive", "choke", "unchoke", "interested", "not interested", "have", "bitfield", "request", "piece", "cancel",
	"port", "suggest", "have all", "have none", "reject", "allowed fast", "extended handshake", "extended", "other",
}

// String names the kind as the BEPs do.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Message ids (BEP 3, 5, 6, 10).
const (
	idChoke         = 0
	idUnchoke       = 1
	idInterested    = 2
	idNotInterested = 3
	idHave          = 4
	idBitfield      = 5
	idRequest       = 6
	idPiece         = 7
	idCancel        = 8
	idPort          = 9
	idSuggest       = 13
	idHaveAll       = 14
	idHaveNone      = 15
	idReject        = 16
	idAllowedFast   = 17
	idExtended      = 20
)

// Block names a run of bytes of a torrent (BEP 3). Nothing says that the torrent has such a block.
type Block struct{ Index, Begin, Length uint32 }

// Frame is one message of the stream, or a fragment of one.
type Frame struct {
	Kind Kind
	// ID is the message id; 0 for a keepalive.
	ID byte
	// Ext is the extended id of ExtendedHandshake and Extended frames; 0 for all others.
	Ext byte
	// Bytes is this fragment as it came, with the 4-byte length prefix when Start. It aliases the scanned buffer.
	Bytes []byte
	// Start and End tell whether the fragment begins and ends its message. Control frames always come whole.
	Start, End bool
	// Block is set in all fragments of Request, Cancel, Reject and Piece. For Piece, Length is the length of the payload.
	Block Block
}

// Payload returns the bytes of this fragment that follow the message's header: length prefix, id, and the extended id of
// ExtendedHandshake and Extended, or index and begin of Piece. It aliases Bytes.
func (f Frame) Payload() []byte {
	if !f.Start {
		return f.Bytes
	}
	return f.Bytes[headerLen(f.Kind):]
}

func headerLen(k Kind) int {
	switch k {
	case KeepAlive:
		return 4
	case ExtendedHandshake, Extended:
		return 6
	case Piece:
		return 13
	}
	return 5
}

// FrameKeepAlive returns a new keepalive message.
func FrameKeepAlive() []byte { return []byte{0, 0, 0, 0} }

// FrameChoke returns a new choke message.
func FrameChoke() []byte { return []byte{0, 0, 0, 1, idChoke} }

// FrameUnchoke returns a new unchoke message.
func FrameUnchoke() []byte { return []byte{0, 0, 0, 1, idUnchoke} }

// FrameInterested returns a new interested message.
func FrameInterested() []byte { return []byte{0, 0, 0, 1, idInterested} }

// FrameNotInterested returns a new not-interested message.
func FrameNotInterested() []byte { return []byte{0, 0, 0, 1, idNotInterested} }

// AppendRequest appends a request message for the block (BEP 3).
func AppendRequest(dst []byte, b Block) []byte {
	dst = append(dst, 0, 0, 0, 13, idRequest)
	dst = binary.BigEndian.AppendUint32(dst, b.Index)
	dst = binary.BigEndian.AppendUint32(dst, b.Begin)
	return binary.BigEndian.AppendUint32(dst, b.Length)
}

// AppendExtended appends an extended message with this extended id and payload (BEP 10).
func AppendExtended(dst []byte, ext byte, payload []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload))+2)
	dst = append(dst, idExtended, ext)
	return append(dst, payload...)
}
