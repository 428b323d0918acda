package wire

import (
	"bytes"
	"errors"
	"io"

	"paygate/units"
)

// Sizes of the BitTorrent handshake (BEP 3), in bytes: the head that names the torrent, the peer id that follows it, and both.
const (
	HeadLen      = 48
	PeerIDLen    = 20
	HandshakeLen = HeadLen + PeerIDLen
)

const (
	magic       = "\x13BitTorrent protocol"
	extendedBit = 0x10 // of reserved[5], BEP 10
	fastBit     = 0x04 // of reserved[7], BEP 6
)

// ErrNotBitTorrent says that a stream does not begin like a plain BitTorrent handshake. It may be encrypted (MSE).
var ErrNotBitTorrent = errors.New("not a BitTorrent handshake")

// Head is the part of a handshake before the peer id: protocol string with its length, 8 reserved bytes, info-hash (BEP 3).
type Head [HeadLen]byte

// ParseHead takes the head off the front of b, which should hold at least HeadLen bytes. It returns ErrNotBitTorrent if
// the bytes that are there do not start with the protocol string, and io.ErrUnexpectedEOF if they do but are too few.
func ParseHead(b []byte) (Head, error) {
	var h Head
	if !LooksLikeBitTorrent(b) {
		return h, ErrNotBitTorrent
	}
	if len(b) < HeadLen {
		return h, io.ErrUnexpectedEOF
	}
	copy(h[:], b)
	return h, nil
}

// LooksLikeBitTorrent reports whether prefix can still be the beginning of a plain handshake, so that a caller can fail
// before all of it has come. Only the first 20 bytes are looked at; the empty prefix looks like one.
func LooksLikeBitTorrent(prefix []byte) bool {
	n := min(len(prefix), len(magic))
	return bytes.Equal(prefix[:n], []byte(magic)[:n])
}

// NewHead makes a head for the torrent in which the only capability shown is the extension protocol (BEP 10).
func NewHead(ih units.InfoHash) Head {
	var h Head
	copy(h[:], magic)
	copy(h[28:], ih[:])
	h.SetExtended()
	return h
}

// InfoHash returns the 20 bytes that name the torrent.
func (h Head) InfoHash() units.InfoHash { return units.InfoHash(h[28:]) }

// Extended reports whether the sender speaks the extension protocol (BEP 10).
func (h Head) Extended() bool { return h[25]&extendedBit != 0 }

// SetExtended shows the extension protocol.
func (h *Head) SetExtended() { h[25] |= extendedBit }

// Fast reports whether the sender speaks the Fast extension (BEP 6).
func (h Head) Fast() bool { return h[27]&fastBit != 0 }

// ClearFast hides the Fast extension. Both directions must be cleared, or one side uses messages the other refuses.
func (h *Head) ClearFast() { h[27] &^= fastBit }
