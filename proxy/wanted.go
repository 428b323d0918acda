package proxy

import (
	"math/bits"
	"sync/atomic"

	"paygate/proxy/wire"
	"paygate/units"
)

// wanted estimates, from what passes, how much of the torrent the client still lacks. Both relay loops feed it.
type wanted struct {
	clientHas   atomic.Int64 // pieces
	remoteHas   atomic.Int64 // pieces
	remoteWhole atomic.Bool  // the remote has told of every piece in a bitfield
	told        atomic.Int64 // pieces that the client has completed since it first asked this remote for a block
	pieceLen    atomic.Int64 // the end of the farthest block that was asked for within a piece
	hasAll      atomic.Bool  // the remote has said "have all" (BEP 6), which does not tell how many pieces that is
	remote      wire.BitfieldCheck
}

// enoughTold is how many pieces the client must have completed before the length of a piece counts as known: by then
// the last block of one has been asked for.
const enoughTold = 4

// fromClient takes note of a message of the client.
func (w *wanted) fromClient(frame *wire.Frame) {
	switch frame.Kind {
	case wire.Bitfield:
		w.clientHas.Add(ones(frame.Payload()))
	case wire.Have:
		w.clientHas.Add(1)
		if w.pieceLen.Load() > 0 { // what others gave before tells nothing of how long a piece is
			w.told.Add(1)
		}
	case wire.Request:
		if end := int64(frame.Block.Begin) + int64(frame.Block.Length); end > w.pieceLen.Load() {
			w.pieceLen.Store(end)
		}
	}
}

// fromRemote takes note of a message of the remote.
func (w *wanted) fromRemote(frame *wire.Frame) {
	if frame.Kind == wire.HaveAll {
		w.hasAll.Store(true)
	}
	if frame.Kind != wire.Bitfield {
		return
	}
	w.remoteHas.Add(ones(frame.Payload()))
	w.remote.Add(frame.Payload())
	if frame.End {
		w.remoteWhole.Store(w.remote.Complete())
	}
}

// Wanted is at most how many bytes of the torrent the client still lacks, and false while that cannot be told: only a
// remote that has every piece shows how many there are.
func (s *Session) Wanted() (units.Bytes, bool) {
	w := &s.wanted
	if !w.remoteWhole.Load() || w.told.Load() < enoughTold {
		return 0, false
	}
	lacks := max(0, w.remoteHas.Load()-w.clientHas.Load())
	return units.Bytes(lacks * w.pieceLen.Load()), true
}

// RemoteSeeds reports whether the remote has told at its beginning that it has all of the torrent.
func (s *Session) RemoteSeeds() bool { return s.wanted.hasAll.Load() || s.wanted.remoteWhole.Load() }

func ones(b []byte) (n int64) {
	for _, x := range b {
		n += int64(bits.OnesCount8(x))
	}
	return n
}
