package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// Names in m of the extensions whose messages tell peers' addresses: peer exchange (BEP 11) and holepunching (BEP 55).
const (
	NamePEX       = "ut_pex"
	NameHolepunch = "ut_holepunch"
)

// pexList is one list of addresses of a ut_pex message, with one byte of flags an entry, if there are any.
type pexList struct {
	key, flagsKey string
	size          int // of an entry
	peers, flags  []byte
	found, flag   bool // the keys are there
}

// pexEntry is one address with its flags; flag tells whether there are any.
type pexEntry struct {
	peer  netip.AddrPort
	flags byte
	flag  bool
}

// RewritePEX sends every address of a ut_pex payload (BEP 11) through become: what that returns stands in its place, and the
// zero AddrPort takes the entry out, flags and all. An address that changes its family moves to the end of the list of the
// other family. If anything changes, the new payload is appended to dst and changed is true; otherwise dst comes back as it
// was and the payload can pass as it stands. Keys that it does not know keep their values and places.
//
// It fails, and returns dst as it was, if the payload is not one bencoded dictionary, names a list twice, or if a list is not a
// whole number of entries or has not as many flags as entries. become must not keep what it is given; dst must not overlap
// payload.
func RewritePEX(dst, payload []byte, become func(netip.AddrPort) netip.AddrPort) (out []byte, changed bool, err error) {
	lists, err := parsePEX(payload)
	if err != nil {
		return dst, false, fmt.Errorf("rewrite PEX: %w", err)
	}
	values := map[string][]byte{}
	for i := 0; i < len(lists); i += 2 {
		rewritePair(&lists[i], &lists[i+1], become, values)
	}
	if len(values) == 0 {
		return dst, false, nil
	}
	edits := setKeys(payload, 0, values)
	slices.SortStableFunc(edits, func(a, b edit) int { return a.at - b.at })
	return applyEdits(dst, payload, edits), true, nil
}

// parsePEX finds the lists: added, added6, dropped, dropped6.
func parsePEX(payload []byte) ([4]pexList, error) {
	lists := [4]pexList{
		{key: "added", flagsKey: "added.f", size: 6},
		{key: "added6", flagsKey: "added6.f", size: 18},
		{key: "dropped", size: 6},
		{key: "dropped6", size: 18},
	}
	d, err := dictAt(payload, 0, 0)
	if err != nil {
		return lists, err
	}
	for d.next() {
		for i := range lists {
			if err := lists[i].take(&d); err != nil {
				return lists, err
			}
		}
	}
	if d.err == nil && d.at != len(payload) {
		d.err = &BencodeError{d.at, "bytes after the dictionary"}
	}
	if d.err != nil {
		return lists, d.err
	}
	for i := range lists {
		if err := lists[i].check(); err != nil {
			return lists, err
		}
	}
	return lists, nil
}

// take keeps the current entry of d if it belongs to the list.
func (l *pexList) take(d *dict) error {
	into, seen := &l.peers, &l.found
	switch string(d.key) {
	case l.key:
	case l.flagsKey:
		if l.flagsKey == "" {
			return nil
		}
		into, seen = &l.flags, &l.flag
	default:
		return nil
	}
	text, ok := textValue(d.raw())
	if !ok {
		return &BencodeError{d.value, "a list of peers is a string"}
	}
	if *seen {
		return &BencodeError{d.start, "a list of peers stands there twice"}
	}
	*into, *seen = text, true
	return nil
}

func (l *pexList) check() error {
	switch {
	case len(l.peers)%l.size != 0:
		return fmt.Errorf("%s: %d bytes are no whole number of peers", l.key, len(l.peers))
	case l.flag && len(l.flags) != len(l.peers)/l.size:
		return fmt.Errorf("%s: %d flags for %d peers", l.flagsKey, len(l.flags), len(l.peers)/l.size)
	}
	return nil
}

// entries lists what is in the list.
func (l *pexList) entries() []pexEntry {
	list := make([]pexEntry, 0, len(l.peers)/l.size)
	for i := 0; i < len(l.peers); i += l.size {
		addr, _ := netip.AddrFromSlice(l.peers[i : i+l.size-2])
		e := pexEntry{peer: netip.AddrPortFrom(addr, binary.BigEndian.Uint16(l.peers[i+l.size-2:]))}
		if e.flag = l.flag; e.flag {
			e.flags = l.flags[i/l.size]
		}
		list = append(list, e)
	}
	return list
}

// rewritePair sends the entries of the two families of one list through become, and puts what changes into values.
func rewritePair(four, six *pexList, become func(netip.AddrPort) netip.AddrPort, values map[string][]byte) {
	stay4, go6, touched4 := four.split(become)
	stay6, go4, touched6 := six.split(become)
	if touched4 || len(go4) > 0 {
		four.set(append(stay4, go4...), values)
	}
	if touched6 || len(go6) > 0 {
		six.set(append(stay6, go6...), values)
	}
}

// split sends the list's entries through become, and parts those that stay in it from those of the other family.
func (l *pexList) split(become func(netip.AddrPort) netip.AddrPort) (stay, leave []pexEntry, touched bool) {
	for _, e := range l.entries() {
		was := e.peer
		e.peer = become(was)
		touched = touched || e.peer != was
		switch {
		case !e.peer.IsValid():
		case e.peer == was, e.peer.Addr().Unmap().Is4() == (l.size == 6):
			stay = append(stay, e)
		default:
			leave = append(leave, e)
		}
	}
	return stay, leave, touched
}

// set notes the new values of the list's keys. Flags are written if the list had some, or an entry brings some along.
func (l *pexList) set(entries []pexEntry, values map[string][]byte) {
	peers, flags, flagged := []byte{}, []byte{}, l.flag
	for _, e := range entries {
		if l.size == 6 {
			a := e.peer.Addr().Unmap().As4()
			peers = append(peers, a[:]...)
		} else {
			a := e.peer.Addr().As16()
			peers = append(peers, a[:]...)
		}
		peers = binary.BigEndian.AppendUint16(peers, e.peer.Port())
		flags = append(flags, e.flags)
		flagged = flagged || e.flag
	}
	values[l.key] = appendText(nil, peers)
	if flagged && l.flagsKey != "" {
		values[l.flagsKey] = appendText(nil, flags)
	}
}

// HolepunchPeer returns the address that a ut_holepunch payload (BEP 55) names: type, family, address, port, and an error code
// that may be left out. False means that it is not such a message.
func HolepunchPeer(payload []byte) (netip.AddrPort, bool) {
	if len(payload) < 2 || payload[1] > 1 {
		return netip.AddrPort{}, false
	}
	size := 4
	if payload[1] == 1 {
		size = 16
	}
	if n := len(payload) - 2 - size - 2; n != 0 && n != 4 {
		return netip.AddrPort{}, false
	}
	addr, _ := netip.AddrFromSlice(payload[2 : 2+size])
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(payload[2+size:])), true
}
