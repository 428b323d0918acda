package wire

import (
	"math"
)

// ExtHandshake is a checked extended handshake (BEP 10). It aliases the payload it was parsed from and costs no memory of
// its own. The zero value is that of a peer that has said nothing. Of a key that stands there twice, the first counts.
type ExtHandshake struct {
	raw  []byte
	m    int       // where the first m dictionary begins; 0: there is none
	used [4]uint64 // set of the ids in m
}

// ParseExtHandshake checks the payload of an extended handshake, what follows the extended id. Keys may come in any order
// and more than once, values of keys that it does not know may be anything, and bytes may follow the dictionary. It fails with a
// *BencodeError if the payload is not bencoding, is nested deeper than MaxDepth, or if m is not a dictionary.
func ParseExtHandshake(payload []byte) (ExtHandshake, error) {
	h := ExtHandshake{raw: payload}
	d, err := dictAt(payload, 0, 0)
	if err != nil {
		return ExtHandshake{}, err
	}
	for d.next() {
		if string(d.key) != "m" {
			continue
		}
		if err := h.collect(d.value); err != nil {
			return ExtHandshake{}, err
		}
	}
	if d.err != nil {
		return ExtHandshake{}, d.err
	}
	return h, nil
}

// collect notes the ids of an m dictionary.
func (h *ExtHandshake) collect(at int) error {
	m, err := dictAt(h.raw, at, 1)
	if err != nil {
		return err
	}
	if h.m == 0 {
		h.m = at
	}
	for m.next() {
		if n, ok := intValue(m.raw()); ok && n > 0 && n <= math.MaxUint8 {
			h.used[n>>6] |= 1 << (n & 63)
		}
	}
	return m.err
}

// ID returns the extended id, 1 to 255, by which the sender wants to be sent messages of this extension. False means that it has
// not named it, has switched it off (0), or gave something else than an id.
func (h ExtHandshake) ID(name string) (byte, bool) {
	if h.m == 0 {
		return 0, false
	}
	v, _, _ := lookup(h.raw, h.m, name)
	n, ok := intValue(v)
	if !ok || n <= 0 || n > math.MaxUint8 {
		return 0, false
	}
	return byte(n), true
}

// Uses reports whether any extension in m has this id. Id 0 is never in use.
func (h ExtHandshake) Uses(id byte) bool { return h.used[id>>6]&(1<<(id&63)) != 0 }

// Dict returns the value of a top-level key as it stands, still bencoded, aliasing the payload. It may be of any type.
func (h ExtHandshake) Dict(name string) ([]byte, bool) {
	if len(h.raw) == 0 {
		return nil, false
	}
	v, _, ok := lookup(h.raw, 0, name)
	return v, ok
}

// ReqQ returns how many outstanding requests the sender says it takes (BEP 10, reqq), at least 1.
func (h ExtHandshake) ReqQ() (int, bool) {
	n, ok := h.int("reqq")
	if !ok || n < 1 || n > math.MaxInt32 {
		return 0, false
	}
	return int(n), true
}

// Port returns the TCP port on which the sender says it listens (BEP 10, p), at least 1.
func (h ExtHandshake) Port() (uint16, bool) {
	n, ok := h.int("p")
	if !ok || n < 1 || n > math.MaxUint16 {
		return 0, false
	}
	return uint16(n), true
}

// UploadOnly reports whether the sender says that it wants nothing more (BEP 21, upload_only).
func (h ExtHandshake) UploadOnly() bool {
	n, ok := h.int("upload_only")
	return ok && n != 0
}

func (h ExtHandshake) int(key string) (int64, bool) {
	v, _ := h.Dict(key)
	return intValue(v)
}

// PickID returns the lowest id from wanted up that no extension of the handshake uses, or 0 if there is none.
func PickID(h ExtHandshake, wanted byte) byte {
	for id := max(int(wanted), 1); id <= math.MaxUint8; id++ {
		if !h.Uses(byte(id)) {
			return byte(id)
		}
	}
	return 0
}
