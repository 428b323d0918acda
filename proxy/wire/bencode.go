package wire

import (
	"bytes"
	"fmt"
	"strconv"
)

// MaxDepth bounds how deep lists and dictionaries may be nested.
const MaxDepth = 32

// BencodeError says where bytes stop being bencoding (BEP 3).
type BencodeError struct {
	Offset int // of the byte that is wrong, or the length of the input if it ends too early
	Reason string
}

func (e *BencodeError) Error() string {
	return fmt.Sprintf("bencoding at byte %d: %s", e.Offset, e.Reason)
}

const cutShort = "ends too early"

// skipValue returns where the value that begins at b[at] ends. It checks syntax alone: integers of any size pass, and keys
// in any order. depth is how many lists and dictionaries the value stands in.
func skipValue(b []byte, at, depth int) (end int, err error) {
	if at >= len(b) {
		return 0, &BencodeError{at, cutShort}
	}
	switch c := b[at]; {
	case c == 'i':
		return skipInt(b, at)
	case c >= '0' && c <= '9':
		_, end, err = stringAt(b, at)
		return end, err
	case c != 'l' && c != 'd':
		return 0, &BencodeError{at, "a value cannot begin like this"}
	case depth >= MaxDepth:
		return 0, &BencodeError{at, "nested too deep"}
	case c == 'l':
		return skipList(b, at+1, depth+1)
	}
	d := dict{b: b, at: at + 1, depth: depth + 1}
	for d.next() {
	}
	return d.at, d.err
}

func skipList(b []byte, at, depth int) (end int, err error) {
	for at < len(b) && b[at] != 'e' {
		if at, err = skipValue(b, at, depth); err != nil {
			return 0, err
		}
	}
	if at >= len(b) {
		return 0, &BencodeError{at, cutShort}
	}
	return at + 1, nil
}

// skipInt accepts i0e and i-?[1-9][0-9]*e.
func skipInt(b []byte, at int) (end int, err error) {
	first := at + 1
	if first < len(b) && b[first] == '-' {
		first++
	}
	end = first
	for end < len(b) && b[end] >= '0' && b[end] <= '9' {
		end++
	}
	switch {
	case end >= len(b):
		return 0, &BencodeError{end, cutShort}
	case end == first:
		return 0, &BencodeError{end, "an integer needs digits"}
	case b[first] == '0' && end-at > 2:
		return 0, &BencodeError{first, "leading zero or negative zero"}
	case b[end] != 'e':
		return 0, &BencodeError{end, "an integer ends with e"}
	}
	return end + 1, nil
}

// stringAt returns the string that begins at b[at], aliasing b, and where it ends.
func stringAt(b []byte, at int) (s []byte, end int, err error) {
	colon := at
	for colon < len(b) && b[colon] >= '0' && b[colon] <= '9' {
		colon++
	}
	switch {
	case colon >= len(b):
		return nil, 0, &BencodeError{colon, cutShort}
	case colon == at || b[colon] != ':':
		return nil, 0, &BencodeError{colon, "a string begins with its length and a colon"}
	case b[at] == '0' && colon-at > 1:
		return nil, 0, &BencodeError{at, "leading zero"}
	}
	n, err := strconv.ParseUint(string(b[at:min(colon, at+20)]), 10, 31)
	if err != nil || int(n) > len(b)-colon-1 {
		return nil, 0, &BencodeError{at, "the string is longer than what is there"}
	}
	end = colon + 1 + int(n)
	return b[colon+1 : end : end], end, nil
}

// dict walks over the entries of a dictionary: set b and at (behind the d), then call next until it says false. After that
// at is behind the closing e, unless err is set.
type dict struct {
	b     []byte
	at    int
	depth int
	err   error
	entry
}

// entry is one key with the places of key and value.
type entry struct {
	key        []byte
	start      int // of the key's length
	value, end int
}

// dictAt opens the dictionary that begins at b[at].
func dictAt(b []byte, at, depth int) (dict, error) {
	if at >= len(b) {
		return dict{}, &BencodeError{at, cutShort}
	}
	if b[at] != 'd' {
		return dict{}, &BencodeError{at, "not a dictionary"}
	}
	return dict{b: b, at: at + 1, depth: depth + 1}, nil
}

func (d *dict) next() bool {
	if d.at >= len(d.b) {
		d.err = &BencodeError{d.at, cutShort}
		return false
	}
	if d.b[d.at] == 'e' {
		d.at++
		return false
	}
	d.start = d.at
	if d.key, d.value, d.err = stringAt(d.b, d.at); d.err != nil {
		return false
	}
	if d.end, d.err = skipValue(d.b, d.value, d.depth); d.err != nil {
		return false
	}
	d.at = d.end
	return true
}

// raw returns the value of the current entry as it stands.
func (d *dict) raw() []byte { return d.b[d.value:d.end:d.end] }

// lookup finds the first value of a key in a dictionary that was checked before.
func lookup(b []byte, at int, key string) (value []byte, offset int, ok bool) {
	d := dict{b: b, at: at + 1}
	for d.next() {
		if string(d.key) == key {
			return d.raw(), d.value, true
		}
	}
	return nil, 0, false
}

// intValue reads a checked value as an integer; false if it is none or does not fit.
func intValue(v []byte) (int64, bool) {
	if len(v) < 3 || len(v) > 22 || v[0] != 'i' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(v[1:len(v)-1]), 10, 64)
	return n, err == nil
}

// textValue reads a checked value as a string, aliasing it.
func textValue(v []byte) ([]byte, bool) {
	if len(v) == 0 || v[0] < '0' || v[0] > '9' {
		return nil, false
	}
	return v[bytes.IndexByte(v, ':')+1:], true
}

func appendInt(dst []byte, n int64) []byte {
	return append(strconv.AppendInt(append(dst, 'i'), n, 10), 'e')
}

func appendText[T string | []byte](dst []byte, s T) []byte {
	return append(append(strconv.AppendInt(dst, int64(len(s)), 10), ':'), s...)
}
