package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// message is one whole message with what the scanner should make of it.
type message struct {
	kind  Kind
	ext   byte
	block Block
	raw   []byte
	parts int // fragments that it came in
}

func frame(id byte, body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))+1), append([]byte{id}, body...)...)
}

// collect runs the scanner over a stream that arrives in pieces of the given sizes (the last one repeats), keeping what the
// scanner leaves as a relay does, and puts the fragments together again.
func collect(s *Scanner, stream []byte, sizes []int) ([]message, error) {
	var out []message
	var buf []byte
	open := false
	for i := 0; len(stream) > 0; i++ {
		k := min(len(stream), max(1, sizes[min(i, len(sizes)-1)]))
		buf = append(buf, stream[:k]...)
		stream = stream[k:]
		for {
			f, n, err := s.Next(buf)
			if err != nil {
				return out, err
			}
			if n == 0 {
				break
			}
			if err := checkFragment(s, f, n, open, out); err != nil {
				return out, err
			}
			if f.Start {
				out = append(out, message{kind: f.Kind, ext: f.Ext, block: f.Block})
			}
			m := &out[len(out)-1]
			m.raw = append(m.raw, f.Bytes...)
			m.parts++
			open = !f.End
			buf = buf[n:]
		}
		if len(buf) >= MaxWhole {
			return out, fmt.Errorf("scanner wants more than %d bytes", len(buf))
		}
	}
	if open || len(buf) > 0 {
		return out, errTail
	}
	return out, nil
}

var errTail = errors.New("the stream ends within a message")

func checkFragment(s *Scanner, f Frame, n int, open bool, out []message) error {
	switch {
	case len(f.Bytes) != n:
		return fmt.Errorf("%v: %d bytes consumed, %d delivered", f.Kind, n, len(f.Bytes))
	case f.Start == open:
		return fmt.Errorf("%v: start=%v while open=%v", f.Kind, f.Start, open)
	case s.InFrame() == f.End:
		return fmt.Errorf("%v: end=%v but InFrame=%v", f.Kind, f.End, s.InFrame())
	case !f.Start && (f.Kind != out[len(out)-1].kind || f.Ext != out[len(out)-1].ext || f.Block != out[len(out)-1].block):
		return fmt.Errorf("%v: fragment differs from its start", f.Kind)
	case (!f.Start || !f.End) && f.Kind != Piece && f.Kind != Bitfield && f.Kind != Extended && f.Kind != Other:
		return fmt.Errorf("%v: came in fragments", f.Kind)
	}
	return nil
}

func genBytes(lo, hi int) *rapid.Generator[[]byte] { return rapid.SliceOfN(rapid.Byte(), lo, hi) }

var fixedBodies = map[byte]int{
	idChoke: 0, idUnchoke: 0, idInterested: 0, idNotInterested: 0, idHave: 4, idRequest: 12, idCancel: 12, idPort: 2,
	idSuggest: 4, idHaveAll: 0, idHaveNone: 0, idReject: 12, idAllowedFast: 4,
}

var idKinds = map[byte]Kind{
	idChoke: Choke, idUnchoke: Unchoke, idInterested: Interested, idNotInterested: NotInterested, idHave: Have,
	idRequest: Request, idCancel: Cancel, idPort: Port, idSuggest: Suggest, idHaveAll: HaveAll, idHaveNone: HaveNone,
	idReject: Reject, idAllowedFast: AllowedFast, idBitfield: Bitfield, idPiece: Piece,
}

func genMessage(t *rapid.T) message {
	big := rapid.SampledFrom([]int{0, 1, 7, 300, 20_000, 70_000}).Draw(t, "size")
	fill := func(n int) []byte { return bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, n) }
	switch id := rapid.Byte().Draw(t, "id") % 24; id {
	case 23:
		return message{kind: KeepAlive, raw: FrameKeepAlive()}
	case idBitfield:
		return message{kind: Bitfield, raw: frame(id, fill(big)...)}
	case idPiece:
		at := genBytes(8, 8).Draw(t, "at")
		return message{
			kind: Piece, raw: frame(id, append(at, fill(big)...)...),
			block: Block{binary.BigEndian.Uint32(at), binary.BigEndian.Uint32(at[4:]), uint32(big)},
		}
	case idExtended:
		return genExtended(t, fill(big))
	default:
		return genFixedOrOther(t, id, fill(big))
	}
}

func genExtended(t *rapid.T, payload []byte) message {
	ext := rapid.SampledFrom([]byte{0, 1, 3, 200, 201, 255}).Draw(t, "ext")
	if wholeIDs[ext] {
		payload = payload[:min(len(payload), MaxWhole-6)]
	}
	m := message{kind: Extended, ext: ext, raw: AppendExtended(nil, ext, payload)}
	if ext == 0 && len(m.raw) <= MaxWhole {
		m.kind = ExtendedHandshake
	}
	return m
}

var wholeIDs = map[byte]bool{200: true, 255: true}

func genFixedOrOther(t *rapid.T, id byte, tail []byte) message {
	size, fixed := fixedBodies[id]
	if !fixed {
		return message{kind: Other, raw: frame(id, tail...)}
	}
	body := genBytes(size, size).Draw(t, "body")
	m := message{kind: idKinds[id]}
	if size == 12 {
		m.block = Block{binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:]), binary.BigEndian.Uint32(body[8:])}
	}
	if rapid.IntRange(0, 9).Draw(t, "trailing") == 0 {
		body = append(body, tail[:min(len(tail), MaxWhole-5-size)]...)
	}
	m.raw = frame(id, body...)
	return m
}

func TestScannerReassembles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Custom(genMessage), 1, 12).Draw(t, "messages")
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{1, 2, 3, 4, 5, 6, 12, 13, 14, 17, 100, 1460, 16397, 65536, 262144}), 1, 30).Draw(t, "sizes")
		var stream []byte
		for _, m := range want {
			stream = append(stream, m.raw...)
		}
		var s Scanner
		for id := range wholeIDs {
			s.Whole(id)
		}
		got, err := collect(&s, stream, sizes)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Fatalf("%d messages came out of %d", len(got), len(want))
		}
		for i := range want {
			diffMessage(t, i, got[i], want[i])
			if got[i].kind == Extended && wholeIDs[got[i].ext] && got[i].parts > 1 {
				t.Fatalf("message %d to id %d came in %d fragments", i, got[i].ext, got[i].parts)
			}
		}
	})
}

func diffMessage(t interface{ Fatalf(string, ...any) }, i int, got, want message) {
	if got.kind != want.kind || got.ext != want.ext || got.block != want.block {
		t.Fatalf("message %d: %v ext %d %+v, want %v ext %d %+v", i, got.kind, got.ext, got.block, want.kind, want.ext, want.block)
	}
	if !bytes.Equal(got.raw, want.raw) {
		t.Fatalf("message %d (%v): bytes differ", i, want.kind)
	}
}

func TestScannerEverySplitOfSmallMessages(t *testing.T) {
	var stream []byte
	for id := range fixedBodies {
		stream = append(stream, frame(id, make([]byte, fixedBodies[id])...)...)
	}
	stream = append(stream, FrameKeepAlive()...)
	stream = AppendExtended(stream, 0, []byte("d1:mdee"))
	stream = append(stream, frame(idPiece, []byte("iiiibbbbpayload")...)...)
	stream = append(stream, frame(idBitfield, 0xff, 0xf0)...)
	stream = AppendExtended(stream, 9, []byte("x"))
	whole, err := collect(new(Scanner), stream, []int{len(stream)})
	if err != nil {
		t.Fatal(err)
	}
	for cut := 1; cut < len(stream); cut++ {
		got, err := collect(new(Scanner), stream, []int{cut, len(stream)})
		if err != nil || len(got) != len(whole) {
			t.Fatalf("cut at %d: %d messages, %v", cut, len(got), err)
		}
		for i := range whole {
			diffMessage(t, i, got[i], whole[i])
		}
	}
}

func TestScannerLengths(t *testing.T) {
	var small Scanner
	small.MaxBitfield = 10
	var whole Scanner
	whole.Whole(200)
	huge := uint32(0xffffffff)
	for _, c := range []struct {
		name   string
		s      Scanner
		length uint32
		id     byte
		ext    byte
		ok     bool
	}{
		{"choke of 4 GiB", Scanner{}, huge, idChoke, 0, false},
		{"piece of 4 GiB", Scanner{}, huge, idPiece, 0, false},
		{"unknown of 4 GiB", Scanner{}, huge, 77, 0, false},
		{"hashes of 4 GiB", Scanner{}, huge, 22, 0, false},
		{"extended of 4 GiB", Scanner{}, huge, idExtended, 3, false},
		{"bitfield of 4 GiB", Scanner{}, huge, idBitfield, 0, false},
		{"largest piece", Scanner{}, MaxPieceMessage, idPiece, 0, true},
		{"piece one too long", Scanner{}, MaxPieceMessage + 1, idPiece, 0, false},
		{"empty piece", Scanner{}, 9, idPiece, 0, true},
		{"piece without its header", Scanner{}, 8, idPiece, 0, false},
		{"have", Scanner{}, 5, idHave, 0, true},
		{"have too short", Scanner{}, 4, idHave, 0, false},
		{"request too short", Scanner{}, 12, idRequest, 0, false},
		{"request with trailing bytes", Scanner{}, 40, idRequest, 0, true},
		{"request at its longest", Scanner{}, MaxWhole - 4, idRequest, 0, true},
		{"request too long", Scanner{}, MaxWhole - 3, idRequest, 0, false},
		{"cancel too short", Scanner{}, 1, idCancel, 0, false},
		{"reject too short", Scanner{}, 12, idReject, 0, false},
		{"port too short", Scanner{}, 2, idPort, 0, false},
		{"suggest too short", Scanner{}, 4, idSuggest, 0, false},
		{"allowed fast too short", Scanner{}, 1, idAllowedFast, 0, false},
		{"extended without its id", Scanner{}, 1, idExtended, 0, false},
		{"longest extended", Scanner{}, MaxExtendedMessage, idExtended, 3, true},
		{"extended too long", Scanner{}, MaxExtendedMessage + 1, idExtended, 3, false},
		{"long extended handshake is streamed", Scanner{}, MaxWhole, idExtended, 0, true},
		{"longest whole", whole, MaxWhole - 4, idExtended, 200, true},
		{"whole too long", whole, MaxWhole - 3, idExtended, 200, false},
		{"long one of another id", whole, MaxWhole - 3, idExtended, 201, true},
		{"longest other", Scanner{}, MaxOtherMessage, 18, 0, true},
		{"other too long", Scanner{}, MaxOtherMessage + 1, 255, 0, false},
		{"longest bitfield", Scanner{}, DefaultMaxBitfield + 1, idBitfield, 0, true},
		{"bitfield too long", Scanner{}, DefaultMaxBitfield + 2, idBitfield, 0, false},
		{"longest small bitfield", small, 11, idBitfield, 0, true},
		{"small bitfield too long", small, 12, idBitfield, 0, false},
		{"empty bitfield", small, 1, idBitfield, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := append(binary.BigEndian.AppendUint32(nil, c.length), c.id, c.ext)
			s := c.s
			_, n, err := s.Next(b)
			var le *LengthError
			if c.ok != (err == nil) || (err != nil && (!errors.As(err, &le) || n != 0 || le.Length != c.length)) {
				t.Fatalf("n=%d err=%v", n, err)
			}
			if c.ok {
				checkLong(t, c.s, b, int(c.length))
			}
		})
	}
}

// checkLong feeds the whole message and one keepalive.
func checkLong(t *testing.T, s Scanner, b []byte, length int) {
	t.Helper()
	stream := make([]byte, 4+length, 8+length)
	copy(stream, b)
	stream = append(stream, 0, 0, 0, 0)
	got, err := collect(&s, stream, []int{1000, 64 << 10})
	if err != nil || len(got) != 2 || len(got[0].raw) != 4+length || got[1].kind != KeepAlive {
		t.Fatalf("%d messages, %v", len(got), err)
	}
}

func TestScannerLongestExtendedHandshake(t *testing.T) {
	for _, c := range []struct {
		size int
		want Kind
	}{{MaxWhole, ExtendedHandshake}, {MaxWhole + 1, Extended}} {
		stream := AppendExtended(nil, 0, make([]byte, c.size-6))
		got, err := collect(new(Scanner), stream, []int{1000})
		if err != nil || got[0].kind != c.want || (got[0].parts == 1) != (c.want == ExtendedHandshake) {
			t.Errorf("%d bytes: %v in %d fragments, %v", c.size, got[0].kind, got[0].parts, err)
		}
	}
}

func TestScannerWholeIsPerID(t *testing.T) {
	for asked := 1; asked < 256; asked++ {
		var s Scanner
		s.Whole(byte(asked))
		for ext := 1; ext < 256; ext++ {
			part := AppendExtended(nil, byte(ext), []byte("abc"))[:7]
			probe := s
			if _, n, err := probe.Next(part); err != nil || (n == 0) != (ext == asked) {
				t.Fatalf("asked for %d whole: %d of a part for %d were taken, %v", asked, n, ext, err)
			}
		}
		if s.Stream(byte(asked)); s.whole != [4]uint64{} {
			t.Fatalf("Stream(%d) left something behind", asked)
		}
	}
}

func TestScannerStream(t *testing.T) {
	var s Scanner
	s.Whole(130)
	part := AppendExtended(nil, 130, []byte("abcdef"))[:9]
	if _, n, err := s.Next(part); n != 0 || err != nil {
		t.Fatalf("half of a whole message was handed on: %d, %v", n, err)
	}
	s.Stream(130)
	f, n, err := s.Next(part)
	if n != 9 || err != nil || f.End || string(f.Payload()) != "abc" {
		t.Fatalf("%+v %d %v", f, n, err)
	}
	f, n, _ = s.Next([]byte("def\x00\x00"))
	if n != 3 || !f.End || f.Start || string(f.Payload()) != "def" || f.Ext != 130 {
		t.Fatalf("%+v %d", f, n)
	}
}

func TestScannerDoesNotAllocate(t *testing.T) {
	stream := busyStream()
	var s Scanner
	s.Whole(200)
	if a := testing.AllocsPerRun(50, func() { drain(t, &s, stream, 5000) }); a != 0 {
		t.Fatalf("%v allocations", a)
	}
}

// drain scans the stream as if it came in reads of at most step bytes.
func drain(t testing.TB, s *Scanner, stream []byte, step int) {
	var check BitfieldCheck
	for from, to := 0, 0; from < len(stream); {
		to = min(len(stream), max(to, from)+step)
		for {
			f, n, err := s.Next(stream[from:to])
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			check.Add(f.Payload())
			from += n
		}
	}
}

func busyStream() []byte {
	stream := frame(idBitfield, bytes.Repeat([]byte{0xff}, 9000)...)
	for i := range uint32(15) {
		stream = AppendRequest(stream, Block{i, 0, 16384})
		stream = append(stream, frame(idPiece, make([]byte, 8+16384)...)...)
		stream = append(stream, frame(idHave, 0, 0, 0, 1)...)
		stream = AppendExtended(stream, 200, make([]byte, 500))
		stream = AppendExtended(stream, 3, make([]byte, 500))
	}
	return stream
}

func BenchmarkScannerPieces(b *testing.B) {
	var stream []byte
	for len(stream) < 256<<10-17000 {
		stream = append(stream, frame(idPiece, make([]byte, 8+16384)...)...)
	}
	var s Scanner
	b.ReportAllocs()
	b.SetBytes(16384 + 13)
	for at := 0; b.Loop(); {
		_, n, _ := s.Next(stream[at:])
		if at += n; at == len(stream) {
			at = 0
		}
	}
}

func BenchmarkScannerRequests(b *testing.B) {
	stream := AppendRequest(nil, Block{1, 2, 16384})
	var s Scanner
	b.ReportAllocs()
	for b.Loop() {
		if f, n, _ := s.Next(stream); n != 17 || f.Block.Length != 16384 {
			b.Fatal(n)
		}
	}
}
