package wire

import (
	"errors"
	"fmt"

	"paygate/units"
)

// Bounds of pg_pay, the project's own dialect of payment messages (docs/protocol.md).
const (
	// Version is the version of the dialect that this package speaks.
	Version = 1
	// MaxMessage bounds an encoded message or advert, in bytes.
	MaxMessage = 4096
	// MaxTTL bounds a duration on the wire, in seconds: 365 days.
	MaxTTL = 365 * 24 * 3600
	// MaxBytes bounds a size on the wire: 1 EiB, so that sums of several cannot overflow.
	MaxBytes = units.Bytes(1) << 60
	// MaxMethods bounds how many rails an advert may list.
	MaxMethods = 16

	maxWord = 32 // of a type, code, rail or network name, in bytes
)

// What a purchase is for: more bytes, bytes already had on credit, or nothing in return.
const (
	ForBytes = "bytes"
	ForDebt  = "debt"
	ForTip   = "tip"
)

// What a seller's gate does with requests: let them through, hold them until a payment comes, refuse them (the buyer is choked),
// or nothing of the kind, but the client behind it is choking.
const (
	GateOpen = "open"
	GateHeld = "held"
	GateShut = "shut"
	GateBusy = "busy"
)

// Why a peer declines. A No may carry a code that is not in this list; it declines all the same.
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

// ErrUnknownType is returned for a well-formed message of a type that this version does not know. It is to be ignored.
var ErrUnknownType = errors.New("unknown pg_pay message type")

// ErrUnknownVersion is returned for an advert of a version that this package does not speak.
var ErrUnknownVersion = errors.New("unknown pg_pay version")

// SyntaxError says what is wrong with a pg_pay message or advert.
type SyntaxError struct {
	Type string // of the message, "advert", or "message" if the type could not be read
	Key  string // empty if the whole is wrong
	Err  error
}

func (e *SyntaxError) Error() string {
	if e.Key == "" {
		return fmt.Sprintf("pg_pay %s: %v", e.Type, e.Err)
	}
	return fmt.Sprintf("pg_pay %s: key %q: %v", e.Type, e.Key, e.Err)
}

// Unwrap returns the reason.
func (e *SyntaxError) Unwrap() error { return e.Err }

// Advert is the value of the top-level key pg_pay in an extended handshake. It shows no identity.
type Advert struct {
	// V is the version, from 1 up.
	V int64
	// Nonce is 16 random bytes, new for each connection.
	Nonce [16]byte
	// Methods are the names of the payment rails, best first: 1 to MaxMethods of 1 to 32 bytes.
	Methods []string
	// Net is the network on which money moves, such as "mainnet": 1 to 32 bytes.
	Net string
}

// Message is one of the messages below.
type Message interface {
	// Type returns the value of the message's key t.
	Type() string
}

// Hello says who the sender is. The seller says it first.
type Hello struct {
	// PK is the sender's Ed25519 key; not zero.
	PK units.PeerKey
	// Sig is the Ed25519 signature of HelloText. Whoever receives it must check it.
	Sig [64]byte
	// Node is the seller's Lightning node; zero (absent) from a buyer.
	Node units.NodeKey
}

// Terms is a seller's offer.
type Terms struct {
	// Price is valid and has Per ≥ 1, at zero millisatoshi too.
	Price units.Price
	// Min and Max are the smallest and the largest purchase; 0 ≤ Min ≤ Max.
	Min, Max units.Msat
	// Free is what is left of the free sample.
	Free units.Bytes
	// Credit is the credit line of the buyer's identity.
	Credit units.Msat
	// TTL is how long the offer stands, in seconds from receipt, 0 to MaxTTL.
	TTL int64
}

// Buy asks for one invoice.
type Buy struct {
	// Amt is the amount of the invoice, at least 1.
	Amt units.Msat
	// For is ForBytes, ForDebt or ForTip.
	For string
	// Left is how many bytes the buyer still wants; -1 (absent) if it does not know.
	Left units.Bytes
	// Bid is what it offers above the floor, for as many bytes as the terms' price is for; 0 (absent) for none.
	Bid units.Msat
}

// Invoice answers a Buy.
type Invoice struct {
	// Request is the rail's payment request, for Lightning a BOLT 11 invoice: ASCII letters and digits, unchecked beyond that.
	Request string
	// Buys is how many bytes it buys, at least 1 if For is ForBytes.
	Buys units.Bytes
	// For repeats the Buy.
	For string
}

// Paid hints that an invoice has been paid. It proves nothing but that somebody paid it.
type Paid struct{ Pre units.Preimage }

// State is the seller's cumulative view of the account.
type State struct {
	// Served is what the buyer got on this connection.
	Served units.Bytes
	// Charged is what was charged for it, at least 0. Bal is the account's balance; negative for a debt.
	Charged, Bal units.Msat
	// Gate is GateOpen, GateHeld, GateShut or GateBusy.
	Gate string
}

// No declines what the other side asked for or offers.
type No struct {
	// Code is one of the No… constants or a later one: 1 to 32 lower-case letters, digits, dashes and underscores.
	Code string
	// TTL is how long to wait before asking again, in seconds, 0 to MaxTTL.
	TTL int64
}

const (
	typeHello   = "hello"
	typeTerms   = "terms"
	typeBuy     = "buy"
	typeInvoice = "invoice"
	typePaid    = "paid"
	typeState   = "state"
	typeNo      = "no"
)

// Type returns "hello".
func (Hello) Type() string { return typeHello }

// Type returns "terms".
func (Terms) Type() string { return typeTerms }

// Type returns "buy".
func (Buy) Type() string { return typeBuy }

// Type returns "invoice".
func (Invoice) Type() string { return typeInvoice }

// Type returns "paid".
func (Paid) Type() string { return typePaid }

// Type returns "state".
func (State) Type() string { return typeState }

// Type returns "no".
func (No) Type() string { return typeNo }
