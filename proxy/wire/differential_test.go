package wire

import (
	"bufio"
	"bytes"
	"testing"

	pp "github.com/anacrolix/torrent/peer_protocol"
	"pgregory.net/rapid"
)

var theirKinds = map[pp.MessageType]Kind{
	pp.Choke: Choke, pp.Unchoke: Unchoke, pp.Interested: Interested, pp.NotInterested: NotInterested, pp.Have: Have,
	pp.Bitfield: Bitfield, pp.Request: Request, pp.Piece: Piece, pp.Cancel: Cancel, pp.Port: Port, pp.Suggest: Suggest,
	pp.HaveAll: HaveAll, pp.HaveNone: HaveNone, pp.Reject: Reject, pp.AllowedFast: AllowedFast, pp.Extended: Extended,
	pp.HashRequest: Other, pp.Hashes: Other, pp.HashReject: Other,
}

func genTheirs(t *rapid.T) pp.Message {
	types := make([]pp.MessageType, 0, len(theirKinds))
	for id := range 256 {
		if _, ok := theirKinds[pp.MessageType(id)]; ok {
			types = append(types, pp.MessageType(id))
		}
	}
	if rapid.IntRange(0, 20).Draw(t, "keepalive") == 0 {
		return pp.Message{Keepalive: true}
	}
	integer := rapid.Custom(func(t *rapid.T) pp.Integer { return pp.Integer(rapid.Uint32().Draw(t, "n")) })
	m := pp.Message{
		Type:  rapid.SampledFrom(types).Draw(t, "type"),
		Index: integer.Draw(t, "index"), Begin: integer.Draw(t, "begin"), Length: integer.Draw(t, "length"),
		Port: rapid.Uint16().Draw(t, "port"),
	}
	switch m.Type {
	case pp.Piece:
		m.Piece = genBytes(0, 300).Draw(t, "piece")
	case pp.Bitfield:
		m.Bitfield = rapid.SliceOfN(rapid.Bool(), 0, 100).Draw(t, "bits")
	case pp.Extended:
		m.ExtendedID = pp.ExtensionNumber(rapid.SampledFrom([]byte{0, 1, 200}).Draw(t, "ext"))
		m.ExtendedPayload = genBytes(0, 100).Draw(t, "payload")
	case pp.Hashes:
		m.Hashes = make([][32]byte, rapid.IntRange(0, 5).Draw(t, "hashes"))
	}
	return m
}

// What peer_protocol writes, the scanner must cut in the same places and understand in the same way.
func TestScannerAgainstTheirEncoder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		theirs := rapid.SliceOfN(rapid.Custom(genTheirs), 1, 20).Draw(t, "messages")
		var stream []byte
		for _, m := range theirs {
			stream = append(stream, m.MustMarshalBinary()...)
		}
		step := rapid.IntRange(1, 2000).Draw(t, "step")
		ours, err := collect(new(Scanner), stream, []int{step})
		if err != nil || len(ours) != len(theirs) {
			t.Fatalf("%d of %d messages: %v", len(ours), len(theirs), err)
		}
		for i := range ours {
			compare(t, ours[i], theirs[i], theirs[i].MustMarshalBinary())
		}
	})
}

// compare holds what the scanner made of a message against what peer_protocol did.
func compare(t interface{ Fatalf(string, ...any) }, ours message, theirs pp.Message, raw []byte) {
	if !bytes.Equal(ours.raw, raw) {
		t.Fatalf("%v: %x, want %x", theirs.Type, ours.raw, raw)
	}
	want := message{kind: theirKinds[theirs.Type]}
	switch {
	case theirs.Keepalive:
		want.kind = KeepAlive
	case theirs.Type == pp.Extended:
		want.ext = byte(theirs.ExtendedID)
		if want.ext == 0 {
			want.kind = ExtendedHandshake
		}
	case theirs.Type == pp.Piece || theirs.Type == pp.Request || theirs.Type == pp.Cancel || theirs.Type == pp.Reject:
		r := theirs.RequestSpec()
		want.block = Block{uint32(r.Index), uint32(r.Begin), uint32(r.Length)}
	}
	if ours.kind != want.kind || ours.ext != want.ext || ours.block != want.block {
		t.Fatalf("%v ext %d %+v, want %v ext %d %+v", ours.kind, ours.ext, ours.block, want.kind, want.ext, want.block)
	}
}

// What peer_protocol accepts of a stream, the scanner must accept too, and understand alike. It takes more: unknown ids and
// trailing bytes.
func againstTheirDecoder(t *testing.T, stream []byte, ours []message) {
	t.Helper()
	d := pp.Decoder{R: bufio.NewReader(bytes.NewReader(stream)), MaxLength: maxFixed}
	for at := 0; ; {
		var m pp.Message
		if d.Decode(&m) != nil {
			return
		}
		if len(ours) == 0 {
			t.Fatalf("%v at %d was not seen", m.Type, at)
		}
		raw := ours[0].raw
		compare(t, ours[0], m, stream[at:min(len(stream), at+len(raw))])
		at += len(raw)
		ours = ours[1:]
	}
}

func FuzzScanner(f *testing.F) {
	f.Add(append(frame(idPiece, make([]byte, 8+200)...), frame(idBitfield, 0xff, 0xff, 0xfe)...), uint16(100))
	f.Add(append(FrameKeepAlive(), FrameInterested()...), uint16(1))
	f.Add(AppendRequest(FrameUnchoke(), Block{1, 16384, 16384}), uint16(3))
	f.Add([]byte("\xff\xff\xff\xff\x07AAAABBBB"), uint16(2))
	f.Add([]byte("\x00\x00\x00\x01\x14"), uint16(2))
	f.Add(frame(22, make([]byte, 48+64)...), uint16(7))
	f.Add(AppendExtended(AppendExtended(nil, 0, []byte(realHandshakes["qBittorrent 4.5.2"])), 200, []byte("d1:t5:helloe")), uint16(9))
	f.Fuzz(func(t *testing.T, stream []byte, step uint16) {
		var one, many Scanner
		one.Whole(200)
		many.Whole(200)
		whole, err := collect(&one, stream, []int{len(stream)})
		parts, perr := collect(&many, stream, []int{int(step)})
		if len(whole) != len(parts) || (err == nil) != (perr == nil) {
			t.Fatalf("in one read %d messages, %v; in reads of %d: %d messages, %v", len(whole), err, step, len(parts), perr)
		}
		var joined []byte
		for i := range parts {
			diffMessage(t, i, parts[i], whole[i])
			joined = append(joined, whole[i].raw...)
		}
		if !bytes.HasPrefix(stream, joined) {
			t.Fatal("the stream was changed")
		}
		againstTheirDecoder(t, stream, whole)
	})
}
