package wire

import (
	"testing"
)

func TestFramePayload(t *testing.T) {
	for _, c := range []struct {
		raw  []byte
		want string
	}{
		{FrameKeepAlive(), ""},
		{FrameChoke(), ""},
		{FrameUnchoke(), ""},
		{FrameInterested(), ""},
		{FrameNotInterested(), ""},
		{AppendRequest(nil, Block{1, 2, 3}), "\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03"},
		{AppendExtended(nil, 0, []byte("de")), "de"},
		{AppendExtended(nil, 5, nil), ""},
		{frame(idPiece, []byte("iiiibbbbdata")...), "data"},
		{frame(idBitfield, 1, 2), "\x01\x02"},
		{frame(99, 'x'), "x"},
	} {
		f, n, err := new(Scanner).Next(c.raw)
		if err != nil || n != len(c.raw) || !f.Start || !f.End || string(f.Payload()) != c.want {
			t.Errorf("%x: %+v %d %v", c.raw, f, n, err)
		}
	}
}

func TestKindNames(t *testing.T) {
	seen := map[string]bool{}
	for k := KeepAlive; k <= Other; k++ {
		if s := k.String(); s == "" || seen[s] {
			t.Errorf("kind %d is called %q", uint8(k), s)
		}
		seen[k.String()] = true
	}
	if s := (Other + 1).String(); s != "Kind(19)" {
		t.Error(s)
	}
}

func TestLengthErrorText(t *testing.T) {
	_, _, err := new(Scanner).Next([]byte("\xff\xff\xff\xff\x07"))
	if err == nil || err.Error() != "piece message (id 7) of 4294967295 bytes: 9 to 131081 are accepted" {
		t.Fatal(err)
	}
}
