package wire

import "net/netip"

// ExtHandshake is the payload of an extended handshake (BEP 10).
type ExtHandshake struct {
	raw []byte
}

// ParseExtHandshake reads one.
func ParseExtHandshake(payload []byte) (ExtHandshake, error) { panic("wire: not there yet") }

// ID returns m[name].
func (h ExtHandshake) ID(name string) (byte, bool) { return 0, false }

// Uses reports whether any value in m equals id.
func (h ExtHandshake) Uses(id byte) bool { return false }

// Dict returns the raw bencoded top-level value.
func (h ExtHandshake) Dict(name string) ([]byte, bool) { return nil, false }

// ReqQ returns reqq.
func (h ExtHandshake) ReqQ() (int, bool) { return 0, false }

// Port returns p.
func (h ExtHandshake) Port() (uint16, bool) { return 0, false }

// UploadOnly returns upload_only.
func (h ExtHandshake) UploadOnly() bool { return false }

// Name is an extension to add.
type Name struct {
	Name string
	ID   byte
	Dict []byte
}

// Rewrite says what to change.
type Rewrite struct {
	Names  []Name
	Port   uint16
	YourIP netip.Addr
}

// RewriteExtHandshake rewrites.
func RewriteExtHandshake(dst, payload []byte, r Rewrite) ([]byte, error) {
	panic("wire: not there yet")
}

// NewExtHandshake makes one.
func NewExtHandshake(r Rewrite) []byte { panic("wire: not there yet") }

// PickID picks an id.
func PickID(h ExtHandshake, wanted byte) byte { panic("wire: not there yet") }
