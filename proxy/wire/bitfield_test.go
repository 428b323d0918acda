package wire

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func TestBitfieldCheck(t *testing.T) {
	full := bytes.Repeat([]byte{0xff}, 300)
	for _, c := range []struct {
		name string
		bits []byte
		want bool
	}{
		{"empty", nil, false},
		{"one piece", []byte{0x80}, true},
		{"none", []byte{0}, false},
		{"seven", []byte{0xfe}, true},
		{"eight", []byte{0xff}, true},
		{"hole at the front", []byte{0x7f}, false},
		{"hole in the last byte", []byte{0xff, 0xbf}, false},
		{"padding of a whole byte", []byte{0xff, 0}, false},
		{"hole in the first byte", []byte{0xfe, 0xff}, false},
		{"long", append(bytes.Clone(full), 0xf0), true},
		{"long with a hole", append(append(bytes.Clone(full), 0xf0), full...), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for step := 1; step <= len(c.bits)+1; step++ {
				var check BitfieldCheck
				for at := 0; at < len(c.bits); at += step {
					check.Add(c.bits[at:min(at+step, len(c.bits))])
					check.Add(nil)
				}
				if check.Complete() != c.want {
					t.Fatalf("in steps of %d: %v", step, !c.want)
				}
			}
		})
	}
}

// A bitfield made from a number of pieces, all there but one: only a gap within the last seven bits of the field may pass.
func TestBitfieldCheckFindsGaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.IntRange(1, 400).Draw(t, "pieces")
		missing := rapid.IntRange(-1, pieces-1).Draw(t, "missing")
		bits := make([]byte, (pieces+7)/8)
		for i := range pieces {
			if i != missing {
				bits[i/8] |= 0x80 >> (i % 8)
			}
		}
		var check BitfieldCheck
		check.Add(bits)
		lastGap := missing == pieces-1 && missing%8 != 0
		if want := missing < 0 || lastGap; check.Complete() != want {
			t.Fatalf("%d pieces without %d: %v", pieces, missing, !want)
		}
	})
}
