package units

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// InfoHash is the 20 bytes that name a torrent in the BitTorrent handshake (BEP 3; for v2 torrents the truncated
// SHA-256, BEP 52).
type InfoHash [20]byte

// PaymentHash is the SHA-256 of a payment's preimage (BOLT 11); it names an invoice and the payment of it.
type PaymentHash [32]byte

// Preimage is the secret that proves a payment. It prints as "[redacted]".
type Preimage [32]byte

// PeerKey is the Ed25519 public key by which a pg_pay peer is known.
type PeerKey [32]byte

// NodeKey is the compressed secp256k1 public key of a Lightning node (BOLT 7).
type NodeKey [33]byte

// Secret is text that must never reach a log. It prints as "[redacted]".
type Secret string

const redacted = "[redacted]"

// ParseInfoHash reads 40 hexadecimal digits.
func ParseInfoHash(s string) (InfoHash, error) {
	var h InfoHash
	return h, parseHex(h[:], s, "info-hash")
}

// ParsePaymentHash reads 64 hexadecimal digits.
func ParsePaymentHash(s string) (PaymentHash, error) {
	var h PaymentHash
	return h, parseHex(h[:], s, "payment hash")
}

// ParsePeerKey reads 64 hexadecimal digits.
func ParsePeerKey(s string) (PeerKey, error) {
	var k PeerKey
	return k, parseHex(k[:], s, "peer key")
}

// ParseNodeKey reads 66 hexadecimal digits.
func ParseNodeKey(s string) (NodeKey, error) {
	var k NodeKey
	return k, parseHex(k[:], s, "node key")
}

func parseHex(dst []byte, s, what string) error {
	s = strings.TrimSpace(s)
	if len(s) != 2*len(dst) {
		return fmt.Errorf("%q is not a %s: it takes %d hexadecimal digits, this has %d", s, what, 2*len(dst), len(s))
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return fmt.Errorf("%q is not a %s: %w", s, what, err)
	}
	return nil
}

func (h InfoHash) String() string    { return hex.EncodeToString(h[:]) }
func (h PaymentHash) String() string { return hex.EncodeToString(h[:]) }
func (k PeerKey) String() string     { return hex.EncodeToString(k[:]) }
func (k NodeKey) String() string     { return hex.EncodeToString(k[:]) }

// IsZero reports whether the key is unset.
func (k PeerKey) IsZero() bool { return k == PeerKey{} }

// IsZero reports whether the key is unset.
func (k NodeKey) IsZero() bool { return k == NodeKey{} }

// String hides the preimage.
func (Preimage) String() string { return redacted }

// GoString hides the preimage from %#v too.
func (Preimage) GoString() string { return redacted }

// Format hides the preimage from every verb.
func (Preimage) Format(f fmt.State, _ rune) { hide(f) }

// MarshalText hides the preimage from encoders, such as a structured log's.
func (Preimage) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Hex returns the preimage in hexadecimal digits, for the rare place that must store or send it.
func (p Preimage) Hex() string { return hex.EncodeToString(p[:]) }

// String hides the secret.
func (Secret) String() string { return redacted }

// GoString hides the secret from %#v too.
func (Secret) GoString() string { return redacted }

// Format hides the secret from every verb.
func (Secret) Format(f fmt.State, _ rune) { hide(f) }

// MarshalText hides the secret from encoders, such as a structured log's.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func hide(f fmt.State) { _, _ = io.WriteString(f, redacted) }

// Reveal returns the secret's text, for the one place that must use it.
func (s Secret) Reveal() string { return string(s) }
