package proxy

import (
	"bytes"

	"paygate/proxy/wire"
)

// firstID is the lowest extended id that paygate takes for itself; clients number theirs from 1.
const firstID = 200

// hearRemote reads an extended handshake of the remote, which passes to the client as it is.
func (s *Session) hearRemote(payload []byte) {
	h, err := wire.ParseExtHandshake(payload)
	if err != nil {
		return // the client will see for itself
	}
	s.hearOfPeers(h)
	event := Event{Kind: RemoteHello, Dialects: make([]bool, len(s.adverts)), Dicts: make([][]byte, len(s.adverts))}
	s.mu.Lock()
	first := !s.heard
	s.heard = true
	for i, advert := range s.adverts {
		if id, ok := h.ID(advert.Name); ok {
			s.remoteIDs[i], event.Dialects[i] = id, true
		}
		if dict, ok := h.Dict(advert.Name); ok && first {
			event.Dicts[i] = bytes.Clone(dict)
		}
	}
	s.mu.Unlock()
	if first {
		s.conv.Notify(event)
	}
}

// remoteHarmless reports whether the remote can send nothing that the client must not see: our names mean nothing to
// it, and the client speaks for itself.
func (s *Session) remoteHarmless() bool {
	if !s.remoteExtended.Load() || len(s.adverts) == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard && !s.mute.Load() && s.remoteIDs == [maxDialects]byte{}
}

// rewriteHello makes of an extended handshake of the client what the remote is to see: with our names, paygate's port,
// and the remote's true address. One that cannot be read passes as it is.
func (s *Session) rewriteHello(f *flow, frame *wire.Frame) []byte {
	payload := frame.Payload()
	h, err := wire.ParseExtHandshake(payload)
	if err != nil {
		return frame.Bytes
	}
	s.pickIDs(h)
	s.clientNames.Store(hearNames(s.clientNames.Load(), h))
	rewritten, err := wire.RewriteExtHandshake(nil, payload, s.rewrite())
	if err != nil {
		return frame.Bytes
	}
	if n, ok := h.ReqQ(); ok && s.gate != nil {
		s.gate.reqq(n)
	}
	if h.UploadOnly() {
		s.tellHas(true)
	}
	f.owed |= owesReady
	return wire.AppendExtended(nil, 0, rewritten)
}

func (s *Session) rewrite() wire.Rewrite {
	r := wire.Rewrite{Port: s.port, YourIP: s.addr.Addr().Unmap().WithZone("")}
	ids := s.ids.Load()
	for i, advert := range s.adverts {
		if id := byte(ids >> (8 * i)); id != 0 {
			r.Names = append(r.Names, wire.Name{Name: advert.Name, ID: id, Dict: advert.Dict})
		}
	}
	return r
}

// pickIDs gives each of our names an id that the client has not claimed in this or an earlier handshake. An id stays as
// it is unless the client claims it now.
func (s *Session) pickIDs(h wire.ExtHandshake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range 256 {
		if h.Uses(byte(id)) {
			s.claimed[id>>6] |= 1 << (id & 63)
		}
	}
	var ids uint64
	was := s.ids.Load()
	for i := range s.adverts {
		id := byte(was >> (8 * i))
		if id == 0 || s.isClaimed(id) {
			id = s.freeID(was | ids)
		}
		ids |= uint64(id) << (8 * i)
	}
	s.ids.Store(ids)
}

func (s *Session) isClaimed(id byte) bool { return s.claimed[id>>6]&(1<<(id&63)) != 0 }

// freeID is the lowest id from firstID up that neither the client nor a name of ours has, 0 if there is none.
func (s *Session) freeID(ours uint64) byte {
	for id := firstID; id < 256; id++ {
		if _, taken := dialectOf(ours, byte(id)); !taken && !s.isClaimed(byte(id)) {
			return byte(id)
		}
	}
	return 0
}

// dialect reports to which of our names an extended id belongs.
func (s *Session) dialect(ext byte) (int, bool) { return dialectOf(s.ids.Load(), ext) }

func dialectOf(ids uint64, ext byte) (int, bool) {
	if ext == 0 {
		return 0, false
	}
	for i := range maxDialects {
		if byte(ids>>(8*i)) == ext {
			return i, true
		}
	}
	return 0, false
}

// learn tells the scanner which extended messages must come whole: those for us, and those that name other peers.
func (f *flow) learn() {
	var ids uint64
	if !f.out {
		ids = f.s.ids.Load()
	}
	names := f.heardBy()
	if ids == f.taught && names == f.names {
		return
	}
	for i := range maxDialects {
		if id := byte(f.taught >> (8 * i)); id != 0 {
			f.scan.Stream(id)
		}
	}
	if f.names != nil {
		for _, c := range *f.names {
			f.scan.Stream(c.id)
		}
	}
	f.taught, f.names = ids, names
	for i := range maxDialects {
		if id := byte(ids >> (8 * i)); id != 0 {
			f.scan.Whole(id)
		}
	}
	if names != nil {
		for _, c := range *names {
			f.scan.WholeIfShort(c.id)
		}
	}
}

// settle reports what a flow owed, now that it has been written.
func (s *Session) settle(f *flow, owed debt) {
	if owed&owesShaken != 0 {
		s.shook()
	}
	if owed&owesFirst != 0 {
		s.toClient.admit()
	}
	if owed&owesReady != 0 {
		s.tellReady()
	}
}

// shook is called when a direction's handshake is through. After both, paygate speaks for a client that lacks the extension
// protocol.
func (s *Session) shook() {
	s.mu.Lock()
	s.shaken++
	both := s.shaken == 2
	s.mu.Unlock()
	if !both {
		return
	}
	s.up.Store(true)
	s.begun()
	s.conv.Begin()
	if !s.mute.Load() || !s.remoteExtended.Load() {
		return
	}
	s.pickIDs(wire.ExtHandshake{})
	hello := wire.AppendExtended(nil, 0, wire.NewExtHandshake(s.rewrite()))
	if err := s.toRemote.put(hello); err != nil {
		return
	}
	s.toRemote.kick()
	s.tellReady()
}

func (s *Session) tellReady() {
	s.mu.Lock()
	first := !s.ready
	s.ready = true
	s.mu.Unlock()
	if first {
		s.conv.Notify(Event{Kind: Ready})
	}
}

// moved tells the gate of pieces that have been written.
func (s *Session) moved(out bool, pieces []wire.Block) {
	if out && s.gate != nil {
		s.gate.served(pieces)
		return
	}
	if !out && s.treatment != Free {
		s.taken.came(pieces)
	}
	for _, b := range pieces {
		s.conv.Moved(int(b.Length), out, false)
	}
}
