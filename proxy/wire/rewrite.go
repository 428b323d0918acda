package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// maxEdits bounds how many places of one handshake are changed: only a hostile one repeats its keys dozens of times.
const maxEdits = 64

// Name is an extension to announce: m[Name] = ID (0 switches it off) and, unless Dict is nil, a top-level key of the same
// name whose value is Dict, one bencoded value. With a nil Dict a top-level key of that name is left alone.
type Name struct {
	Name string
	ID   byte
	Dict []byte
}

// Rewrite says what to change in an extended handshake.
type Rewrite struct {
	// Names are added, or replace what stands there under the same name. Each name at most once; m, p and yourip are not
	// possible names of a Dict.
	Names []Name
	// Port replaces p, where there is one; 0 leaves it.
	Port uint16
	// YourIP replaces yourip, where there is one, by 4 or 16 bytes (an IPv4 address in IPv6 clothes counts as IPv4); the zero
	// value leaves it.
	YourIP netip.Addr
}

// edit replaces the bytes [at, end) by text.
type edit struct {
	at, end int
	text    []byte
}

// RewriteExtHandshake appends to dst the payload of an extended handshake (BEP 10) with the changes that r asks for. Every byte
// that is not part of a changed value stays: order and repetition of keys, unknown keys, bytes behind the dictionary. New keys go
// before the first greater one. A key that stands there more than once is changed everywhere, whichever of them a reader takes.
// dst must not overlap payload. On an error (of ParseExtHandshake, of r, or of a payload that repeats its keys more than a few
// dozen times) it returns dst as it was.
func RewriteExtHandshake(dst, payload []byte, r Rewrite) ([]byte, error) {
	names, err := r.sorted()
	if err != nil {
		return dst, fmt.Errorf("rewrite extended handshake: %w", err)
	}
	if _, err := ParseExtHandshake(payload); err != nil {
		return dst, fmt.Errorf("rewrite extended handshake: %w", err)
	}
	edits := r.edits(payload, names)
	if len(edits) > maxEdits+3*len(names) {
		return dst, fmt.Errorf("rewrite extended handshake: %w", errRepeats)
	}
	return applyEdits(dst, payload, edits), nil
}

// applyEdits appends payload to dst with the edits, which are in order of place.
func applyEdits(dst, payload []byte, edits []edit) []byte {
	at := 0
	for _, e := range edits {
		dst = append(append(dst, payload[at:e.at]...), e.text...)
		at = e.end
	}
	return append(dst, payload[at:]...)
}

var errRepeats = errors.New("keys are repeated too often")

// sorted returns the names in the order of bencoded keys, checked.
func (r Rewrite) sorted() ([]Name, error) {
	names := slices.Clone(r.Names)
	slices.SortFunc(names, func(a, b Name) int { return strings.Compare(a.Name, b.Name) })
	for i, n := range names {
		if i > 0 && names[i-1].Name == n.Name {
			return nil, fmt.Errorf("extension %q is named twice", n.Name)
		}
		if n.Dict == nil {
			continue
		}
		if n.Name == "m" || n.Name == "p" || n.Name == "yourip" {
			return nil, fmt.Errorf("extension %q cannot have a top-level key", n.Name)
		}
		if end, err := skipValue(n.Dict, 0, 1); err != nil || end != len(n.Dict) {
			return nil, fmt.Errorf("value of extension %q is not one bencoded value", n.Name)
		}
	}
	return names, nil
}

// edits lists the changes in order of place. The payload has been checked.
func (r Rewrite) edits(payload []byte, names []Name) []edit {
	top := make(map[string][]byte, len(names)+1)
	ids := make(map[string][]byte, len(names))
	for _, n := range names {
		ids[n.Name] = appendInt(nil, int64(n.ID))
		if n.Dict != nil {
			top[n.Name] = n.Dict
		}
	}
	var edits []edit
	d, hasM := dict{b: payload, at: 1}, false
	for d.next() && len(edits) <= maxEdits+3*len(names) {
		if string(d.key) == "m" {
			hasM = true
			edits = append(edits, setKeys(payload, d.value, ids)...)
		} else if text := r.replacement(string(d.key)); text != nil {
			edits = append(edits, edit{d.value, d.end, text})
		}
	}
	if !hasM && len(ids) > 0 {
		top["m"] = newDict(ids)
	}
	edits = append(edits, setKeys(payload, 0, top)...)
	slices.SortStableFunc(edits, func(a, b edit) int { return a.at - b.at })
	return edits
}

// replacement returns the new value of p or yourip, nil if the key is to be left alone.
func (r Rewrite) replacement(key string) []byte {
	switch {
	case key == "p" && r.Port != 0:
		return appendInt(nil, int64(r.Port))
	case key == "yourip" && r.YourIP.IsValid():
		return appendText(nil, r.YourIP.Unmap().AsSlice())
	}
	return nil
}

// setKeys lists the edits that give the dictionary at b[at] these keys with these values: replaced where they are, else inserted
// before the first greater key.
func setKeys(b []byte, at int, values map[string][]byte) []edit {
	keys := sortedKeys(values)
	place := make([]int, len(keys)) // 0: not seen yet; -1: replaced; else where to insert
	var edits []edit
	d := dict{b: b, at: at + 1}
	for d.next() {
		for i, k := range keys {
			switch c := strings.Compare(k, string(d.key)); {
			case c == 0:
				edits, place[i] = append(edits, edit{d.value, d.end, values[k]}), -1
			case c < 0 && place[i] == 0:
				place[i] = d.start
			}
		}
	}
	for i, k := range keys {
		if place[i] == 0 {
			place[i] = d.at - 1
		}
		if place[i] > 0 {
			edits = append(edits, edit{place[i], place[i], append(appendText(nil, k), values[k]...)})
		}
	}
	return edits
}

func sortedKeys(values map[string][]byte) []string {
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func newDict(values map[string][]byte) []byte {
	b := []byte{'d'}
	for _, k := range sortedKeys(values) {
		b = append(appendText(b, k), values[k]...)
	}
	return append(b, 'e')
}

// NewExtHandshake returns the payload of an extended handshake on behalf of a client that sends none: m with the names, their
// dictionaries, and p and yourip where r has them. The Dicts are taken as they are.
func NewExtHandshake(r Rewrite) []byte {
	ids := make(map[string][]byte, len(r.Names))
	top := make(map[string][]byte, len(r.Names)+3)
	for _, n := range r.Names {
		ids[n.Name] = appendInt(nil, int64(n.ID))
		if n.Dict != nil {
			top[n.Name] = n.Dict
		}
	}
	for _, k := range []string{"p", "yourip"} {
		if v := r.replacement(k); v != nil {
			top[k] = v
		}
	}
	top["m"] = newDict(ids)
	return newDict(top)
}
