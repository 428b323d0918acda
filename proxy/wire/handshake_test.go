package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	pp "github.com/anacrolix/torrent/peer_protocol"

	"paygate/units"
)

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The reserved bytes of real clients.
var realReserved = map[string]string{
	"qBittorrent 4.5.2":  "0000000000100005",
	"Transmission 3.00":  "0000000000100004",
	"aria2 1.36.0":       "0000000000100004",
	"rtorrent 0.9.8":     "0000000000100000",
	"nothing but BEP 3":  "0000000000000000",
	"every bit there is": "ffffffffffffffff",
}

func TestHead(t *testing.T) {
	ih := units.InfoHash{1, 2, 3, 19: 20}
	for name, reserved := range realReserved {
		t.Run(name, func(t *testing.T) {
			r := mustHex(t, reserved)
			raw := append(append([]byte(magic), r...), ih[:]...)
			h, err := ParseHead(append(raw, "-XX0000-abcdefghijkl"...))
			if err != nil || h.InfoHash() != ih || !bytes.Equal(h[:], raw) {
				t.Fatalf("%x %v", h, err)
			}
			bits := pp.PeerExtensionBits(r)
			if h.Extended() != bits.SupportsExtended() || h.Fast() != bits.SupportsFast() {
				t.Fatalf("extended %v, fast %v", h.Extended(), h.Fast())
			}
			checkBits(t, h, pp.PeerExtensionBits(r))
		})
	}
}

// checkBits changes both bits and compares with the same done by peer_protocol.
func checkBits(t *testing.T, h Head, bits pp.PeerExtensionBits) {
	t.Helper()
	h.SetExtended()
	h.ClearFast()
	bits.SetBit(pp.ExtensionBitLtep, true)
	bits.SetBit(pp.ExtensionBitFast, false)
	if !bytes.Equal(h[20:28], bits[:]) || !h.Extended() || h.Fast() {
		t.Fatalf("%x, want %x", h[20:28], bits[:])
	}
}

func TestNewHead(t *testing.T) {
	h := NewHead(units.InfoHash{7})
	if !h.Extended() || h.Fast() || h.InfoHash() != (units.InfoHash{7}) || hex.EncodeToString(h[20:28]) != "0000000000100000" {
		t.Fatalf("%x", h)
	}
	if back, err := ParseHead(h[:]); err != nil || back != h {
		t.Fatalf("%x %v", back, err)
	}
}

func TestParseHeadRefuses(t *testing.T) {
	good := NewHead(units.InfoHash{})
	for n := range good {
		if _, err := ParseHead(good[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if !LooksLikeBitTorrent(good[:n]) {
			t.Fatalf("%d bytes do not look like a handshake", n)
		}
	}
	for i := range len(magic) {
		bad := good
		bad[i] ^= 1
		if _, err := ParseHead(bad[:]); !errors.Is(err, ErrNotBitTorrent) {
			t.Fatalf("byte %d wrong: %v", i, err)
		}
		if _, err := ParseHead(bad[:i+1]); !errors.Is(err, ErrNotBitTorrent) {
			t.Fatalf("byte %d wrong and last: %v", i, err)
		}
		if LooksLikeBitTorrent(bad[:i+1]) || !LooksLikeBitTorrent(bad[:i]) {
			t.Fatalf("byte %d wrong and not seen in time", i)
		}
	}
}

func FuzzHead(f *testing.F) {
	for _, reserved := range realReserved {
		r, _ := hex.DecodeString(reserved)
		f.Add(append(append([]byte(magic), r...), "12345678901234567890-qB4520-abcdefghijkl"...))
	}
	f.Add([]byte{})
	f.Add([]byte("\x13BitTorrent protocoL"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHead(b)
		want := bytes.HasPrefix(b, []byte(magic)) && len(b) >= HeadLen
		if want != (err == nil) {
			t.Fatalf("%q: %v", b, err)
		}
		if err == nil && !bytes.Equal(h[:], b[:HeadLen]) {
			t.Fatal("head differs")
		}
		if errors.Is(err, ErrNotBitTorrent) == LooksLikeBitTorrent(b) {
			t.Fatalf("%q: %v", b, err)
		}
	})
}
