package proxy

import (
	"testing"

	"paygate/proxy/wire"
)

// frames cuts a stream into frames and hands each to do.
func frames(t *testing.T, stream []byte, do func(*wire.Frame)) {
	t.Helper()
	var s wire.Scanner
	for len(stream) > 0 {
		f, n, err := s.Next(stream)
		if err != nil || n == 0 {
			t.Fatalf("%d bytes are no frame: %v", len(stream), err)
		}
		do(&f)
		stream = stream[n:]
	}
}

func TestWanted(t *testing.T) {
	const piece = 64 << 10
	bitfield := func(b ...byte) []byte { return append([]byte{0, 0, 0, byte(1 + len(b)), 5}, b...) }
	have := func(i byte) []byte { return []byte{0, 0, 0, 5, 4, 0, 0, 0, i} }
	lastBlock := wire.AppendRequest(nil, wire.Block{Index: 1, Begin: piece - 16384, Length: 16384})
	for _, tc := range []struct {
		name           string
		remote, client [][]byte
		want           int64
		known          bool
	}{
		{"nothing seen", nil, nil, 0, false},
		{"a remote that lacks a piece", [][]byte{bitfield(0xfe, 0xff)}, [][]byte{lastBlock, have(1), have(2), have(3), have(4)}, 0, false},
		{"too few pieces completed", [][]byte{bitfield(0xff, 0xf0)}, [][]byte{lastBlock, have(1), have(2), have(3)}, 0, false},
		{"pieces of others", [][]byte{bitfield(0xff, 0xf0)}, [][]byte{have(1), have(2), have(3), have(4)}, 0, false},
		{"pieces of others before", [][]byte{bitfield(0xff, 0xf0)}, [][]byte{have(1), have(2), have(3), have(4), lastBlock}, 0, false},
		{"from nothing", [][]byte{bitfield(0xff, 0xf0)}, [][]byte{lastBlock, have(1), have(2), have(3), have(4)}, 8 * piece, true},
		{"with some before", [][]byte{bitfield(0xff, 0xf0)}, [][]byte{bitfield(0xc0, 0), lastBlock, have(2), have(3), have(4), have(5)}, 6 * piece, true},
		{"more than there are", [][]byte{bitfield(0xf0)}, [][]byte{lastBlock, have(1), have(2), have(3), have(4), have(4)}, 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := new(Session)
			for _, b := range tc.remote {
				frames(t, b, s.wanted.fromRemote)
			}
			for _, b := range tc.client {
				frames(t, b, s.wanted.fromClient)
			}
			if got, known := s.Wanted(); int64(got) != tc.want || known != tc.known {
				t.Errorf("got %d, %v", got, known)
			}
		})
	}
}

func TestRemoteSeeds(t *testing.T) {
	for _, tc := range []struct {
		name   string
		remote []byte
		want   bool
	}{
		{"have all", []byte{0, 0, 0, 1, 14}, true},
		{"have none", []byte{0, 0, 0, 1, 15}, false},
		{"every piece", []byte{0, 0, 0, 3, 5, 0xff, 0xf0}, true},
		{"all but one", []byte{0, 0, 0, 3, 5, 0xfe, 0xf0}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := new(Session)
			frames(t, tc.remote, s.wanted.fromRemote)
			if got := s.RemoteSeeds(); got != tc.want {
				t.Errorf("got %t", got)
			}
			if left, known := s.Wanted(); known {
				t.Errorf("%d bytes count as wanted", left)
			}
		})
	}
}
