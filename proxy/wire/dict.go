package wire

import "iter"

// Dict is a bencoded dictionary (BEP 3) whose syntax has been checked: nested at most MaxDepth deep, every string within the
// bytes, integers without leading zeros. Keys may stand in any order and more than once. It aliases what it was parsed from.
type Dict struct{ b []byte }

// Entry is one key of a Dict. Value is the raw value, which begins at byte At of the parsed bytes.
type Entry struct {
	Key, Value []byte
	At         int
}

// ParseDict checks that b is one dictionary and nothing else. Errors are of *BencodeError.
func ParseDict(b []byte) (Dict, error) {
	if len(b) == 0 || b[0] != 'd' {
		return Dict{}, &BencodeError{0, "not a dictionary"}
	}
	end, err := skipValue(b, 0, 0)
	if err != nil {
		return Dict{}, err
	}
	if end != len(b) {
		return Dict{}, &BencodeError{end, "something stands behind the dictionary"}
	}
	return Dict{b}, nil
}

// Entries walks over the keys as they stand.
func (d Dict) Entries() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		if len(d.b) == 0 {
			return
		}
		walk := dict{b: d.b, at: 1}
		for walk.next() {
			if !yield(Entry{Key: walk.key, Value: walk.raw(), At: walk.value}) {
				return
			}
		}
	}
}

// Get finds the first value of a key.
func (d Dict) Get(key string) (Entry, bool) {
	for e := range d.Entries() {
		if string(e.Key) == key {
			return e, true
		}
	}
	return Entry{}, false
}

// Int is the value as an integer of 64 bits; false if it is none.
func (e Entry) Int() (int64, bool) { return intValue(e.Value) }

// Text is the value as a string, aliasing it; false if it is none.
func (e Entry) Text() ([]byte, bool) { return textValue(e.Value) }

// Dict is the value as a dictionary; false if it is none. Places in it count from its own beginning.
func (e Entry) Dict() (Dict, bool) {
	if len(e.Value) == 0 || e.Value[0] != 'd' {
		return Dict{}, false
	}
	return Dict{e.Value}, true
}

// Items walks over the dictionaries in a value that is a list, and skips whatever else stands in it.
func (e Entry) Items() iter.Seq[Dict] {
	return func(yield func(Dict) bool) {
		if len(e.Value) == 0 || e.Value[0] != 'l' {
			return
		}
		for at := 1; at < len(e.Value)-1; {
			end, err := skipValue(e.Value, at, 1)
			if err != nil {
				return
			}
			if e.Value[at] == 'd' && !yield(Dict{e.Value[at:end:end]}) {
				return
			}
			at = end
		}
	}
}
