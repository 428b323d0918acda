package wire

import (
	"errors"

	"paygate/units"
)

// MaxMessage bounds a pg_pay message, in bytes.
const MaxMessage = 4096

// Version is the version of pg_pay that this package speaks.
const Version = 1

// What a purchase is for.
const (
	ForBytes = "bytes"
	ForDebt  = "debt"
	ForTip   = "tip"
)

// States of a seller's gate.
const (
	GateOpen = "open"
	GateHeld = "held"
	GateShut = "shut"
	GateBusy = "busy"
)

// Reasons to decline.
const (
	NoTooDear       = "too-dear"
	NoOverBudget    = "over-budget"
	NoNoRoute       = "no-route"
	NoExpired       = "expired"
	NoBusy          = "busy"
	NoStrangerLimit = "stranger-limit"
	NoBlocked       = "blocked"
	NoUnsupported   = "unsupported"
)

// ErrUnknownType is returned for a message of a type that this version does not know. It is to be ignored.
var ErrUnknownType = errors.New("unknown pg_pay message type")

// ErrUnknownVersion is returned for an advert of a version this package does not know.
var ErrUnknownVersion = errors.New("unknown pg_pay version")

// SyntaxError says what is wrong with a message or advert.
type SyntaxError struct {
	Type, Key, Reason string
}

func (e *SyntaxError) Error() string { return "pg_pay " + e.Type + " " + e.Key + ": " + e.Reason }

// Advert is the top-level pg_pay dictionary.
type Advert struct {
	V       int64
	Nonce   [16]byte
	Methods []string
	Net     string
}

// Encode encodes.
func (a Advert) Encode() []byte { panic("wire: not there yet") }

// ParseAdvert parses.
func ParseAdvert(b []byte) (Advert, error) { panic("wire: not there yet") }

// Message is one message of the dialect.
type Message interface{ Type() string }

// Hello is the identity.
type Hello struct {
	PK   units.PeerKey
	Sig  [64]byte
	Node units.NodeKey
}

// Terms is an offer.
type Terms struct {
	Price    units.Price
	Min, Max units.Msat
	Free     units.Bytes
	Credit   units.Msat
	TTL      int64
}

// Buy asks for an invoice.
type Buy struct {
	Amt  units.Msat
	For  string
	Left units.Bytes
	Bid  units.Msat
}

// Invoice answers.
type Invoice struct {
	Request string
	Buys    units.Bytes
	For     string
}

// Paid is a hint.
type Paid struct{ Pre units.Preimage }

// State is a snapshot.
type State struct {
	Served       units.Bytes
	Charged, Bal units.Msat
	Gate         string
}

// No declines.
type No struct {
	Code string
	TTL  int64
}

func (Hello) Type() string   { return "hello" }
func (Terms) Type() string   { return "terms" }
func (Buy) Type() string     { return "buy" }
func (Invoice) Type() string { return "invoice" }
func (Paid) Type() string    { return "paid" }
func (State) Type() string   { return "state" }
func (No) Type() string      { return "no" }

// EncodeMessage encodes.
func EncodeMessage(m Message) ([]byte, error) { panic("wire: not there yet") }

// ParseMessage parses.
func ParseMessage(b []byte) (Message, error) { panic("wire: not there yet") }

// Roles in a hello's signature text.
const (
	RoleSeller = 'S'
	RoleBuyer  = 'B'
)

// HelloText is what sig signs.
func HelloText(initiatorDict, acceptorDict []byte, ih units.InfoHash, pk, peer units.PeerKey, role byte, node units.NodeKey) []byte {
	panic("wire: not there yet")
}

// Binding is the description hash.
func Binding(buyer, seller units.PeerKey, buys units.Bytes, price units.Price) [32]byte {
	panic("wire: not there yet")
}
