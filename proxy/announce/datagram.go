package announce

import (
	"encoding/binary"

	"paygate/proxy/wire"
	"paygate/units"
)

// Kind says what a datagram is.
type Kind uint8

// What a datagram may be.
const (
	Other   Kind = iota // anything that is none of these
	Tracker             // the UDP tracker protocol (BEP 15)
	DHT                 // KRPC (BEP 5)
	UTP                 // the micro transport protocol (BEP 29), version 1
)

// String names the kind for logs.
func (k Kind) String() string { return [...]string{"unknown", "tracker", "DHT", "uTP"}[k] }

// Numbers of BEP 15.
const (
	trackerMagic   = 0x41727101980
	actionConnect  = 0
	actionAnnounce = 1
	actionScrape   = 2
	actionError    = 3
	connectLen     = 16
	announceHash   = 16
	announcePort   = 96
	announceLen    = 98
	scrapeHead     = 16
)

// utpHead is the length of a header of BEP 29.
const utpHead = 20

// Classify says what a datagram is that a client sends. A tracker packet is told by its action and length: where they stand
// a uTP header has a time difference, which would have to be 1 or 2 microseconds.
func Classify(b []byte) Kind {
	switch {
	case isTracker(b):
		return Tracker
	case isKRPC(b):
		return DHT
	case isUTP(b):
		return UTP
	}
	return Other
}

// ClassifyReply says what a datagram is that comes to a client.
func ClassifyReply(b []byte) Kind {
	switch {
	case len(b) >= 8 && binary.BigEndian.Uint32(b) <= actionError:
		return Tracker
	case isKRPC(b):
		return DHT
	case isUTP(b):
		return UTP
	}
	return Other
}

func isTracker(b []byte) bool {
	if len(b) < connectLen {
		return false
	}
	switch binary.BigEndian.Uint32(b[8:]) {
	case actionConnect:
		return len(b) == connectLen && binary.BigEndian.Uint64(b) == trackerMagic
	case actionAnnounce:
		return len(b) >= announceLen
	case actionScrape:
		return len(b) > scrapeHead && (len(b)-scrapeHead)%20 == 0
	}
	return false
}

func isUTP(b []byte) bool { return len(b) >= utpHead && b[0]&0xf == 1 && b[0]>>4 <= 4 }

// isKRPC wants a dictionary with a transaction and the type of a message.
func isKRPC(b []byte) bool {
	if len(b) == 0 || b[0] != 'd' {
		return false
	}
	d, err := wire.ParseDict(b)
	if err != nil {
		return false
	}
	_, ok := d.Get("t")
	y, found := d.Get("y")
	kind, text := y.Text()
	return ok && found && text && len(kind) == 1
}

// UDPInfoHash is the torrent of an announce to a UDP tracker; false if the packet is none.
func UDPInfoHash(packet []byte) (units.InfoHash, bool) {
	if len(packet) < announceLen || binary.BigEndian.Uint32(packet[8:]) != actionAnnounce {
		return units.InfoHash{}, false
	}
	return units.InfoHash(packet[announceHash:]), true
}

// RewriteUDP replaces the port in an announce to a UDP tracker, in place. It reports false, and leaves the packet alone,
// if it is none. Whatever follows the announce (BEP 41) stays.
func RewriteUDP(packet []byte, port uint16) bool {
	if len(packet) < announceLen || binary.BigEndian.Uint32(packet[8:]) != actionAnnounce {
		return false
	}
	binary.BigEndian.PutUint16(packet[announcePort:], port)
	return true
}
