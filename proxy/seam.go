package proxy

import (
	"net/netip"

	"paygate/units"
)

// Arrival is a new connection, as far as it is known before the client sees it.
type Arrival struct {
	InfoHash  units.InfoHash // that the initiator asks for
	Remote    netip.AddrPort
	Initiator bool // our side has opened it
}

// Treatment is what the owner's policy makes of a connection, decided from its Arrival, before the client sees it.
type Treatment uint8

const (
	// Free connections are copied blindly once their extended handshakes are through, unless what their two sides tell of
	// other peers has to be translated. No conversation is opened.
	Free Treatment = iota
	// Watched connections are framed, and our extension is offered, but nothing is withheld: this side may only buy.
	Watched
	// Gated connections may be charged for: the Fast extension is cleared (BEP 6) and the valve stands closed at first.
	Gated
	// Denied connections are closed before the two sides hear of each other: the owner has blocked the torrent.
	Denied
)

// Desk is the proxy's view of the people who talk about money. pay implements it; a nil Desk makes everything Free.
type Desk interface {
	// Admit decides about a new connection. It must not block.
	Admit(Arrival) Treatment
	// MayCharge reports whether any rule could charge for, or deny, a torrent whose info-hash cannot be seen (encryption).
	MayCharge() bool
	// MayTalk reports whether there is any torrent whose connections are not Free, so that looking into encrypted ones
	// is worth while.
	MayTalk() bool
	// Open is called once per Watched or Gated session, before any message is relayed.
	Open(*Session) Conversation
}

// Catalog tells which torrents the client has, so that encrypted connections can be told apart. Its method is called for
// every encrypted connection: it must not block, and what it returns must not be changed afterwards by either side.
// A nil Catalog knows none beforehand.
type Catalog interface {
	InfoHashes() []units.InfoHash
}

// Gate decides about bytes. Its methods run in the relay loops, once per block: they must not block, allocate,
// log or take a lock that another session can hold. They are called with a lock of the session held, from both loops and
// from Session.Open and Resume: so they must call no method of the Session, and no lock that they take may be held while
// one is called.
type Gate interface {
	// Request reserves n payload bytes that the remote peer asks of our client. False means: hold the request,
	// and ask again after Session.Resume.
	Request(n int) bool
	// Release gives back n reserved bytes that will not be served (client's choke, a cancel, the end).
	Release(n int)
	// Moved tells of n payload bytes of a `piece`: out (client to remote, after they were written) or in.
	// An outgoing block whose reservation was released is reported all the same, with reserved = false.
	Moved(n int, out, reserved bool)
}

// Conversation is one session's talk about money. Notify and Message are called from the relay loops and must return at
// once; the two loops may call at the same time, each in the order of its stream. The Session's methods but for the
// plain getters work once Desk.Open has returned.
type Conversation interface {
	Gate
	// Adverts are the extension names to offer to the remote peer: `m[Name] = id` and, unless Dict is nil, a
	// top-level key of the same name holding Dict, a bencoded value (BEP 10). Asked once, before the first handshake.
	Adverts() []Advert
	Notify(Event)
	// Message hands over the payload of an extended message that the remote addressed to dialect (an index into
	// Adverts). The slice is valid only during the call.
	Message(dialect int, payload []byte)
	// Begin says that both peers have said their whole BitTorrent handshake. It is called once at most, from a relay
	// loop, and returns at once; what the conversation does from then on it does in goroutines of its own.
	Begin()
	// End says that the session has ended, after the last byte was told to the Gate. It is called once, also if
	// Begin never was, and returns when the conversation has written down what it has to and does nothing any more.
	End()
}

// Advert is one extension name that paygate offers in the client's extended handshake.
type Advert struct {
	Name string
	Dict []byte
}

// EventKind says what happened on the wire.
type EventKind uint8

// What can happen on the wire.
const (
	// RemoteHello says that the remote's first extended handshake has come. Dialects tells which of our names it shares, Dicts
	// holds the raw bencoded top-level value for each (nil if none).
	RemoteHello EventKind = iota + 1
	// Ready says that our own extended handshake with the adverts has been written to the remote; Session.Send works once both
	// Ready and a RemoteHello with that dialect were seen.
	Ready
	// ClientHas says that our client has told what it has (bitfield, have all, have none, or a message that implies none).
	// Complete is true if it has every piece.
	ClientHas
	// RemoteInterested and the next three tell what the remote said, whether or not it was passed on.
	RemoteInterested
	RemoteNotInterested
	RemoteChoke
	RemoteUnchoke
	// ClientInterested and the next three are what our client said, whether or not it was passed on.
	ClientInterested
	ClientNotInterested
	ClientChoke
	ClientUnchoke
	// Starved says that Gate.Request has just refused, so requests are held. Told once until the next Resume.
	Starved
	// ClientRequest says that our client asks the remote for a block of N bytes; ClientCancel takes one back.
	ClientRequest
	ClientCancel
	// ClientLeft says that the client has ended its connection, while the remote and paygate had not.
	ClientLeft
)

// Event is something that happened on the wire that a conversation may care about.
type Event struct {
	Kind     EventKind
	Complete bool
	N        int
	Dialects []bool
	Dicts    [][]byte
}
