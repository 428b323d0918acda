package sandbox

import (
	"encoding/hex"
	"time"

	"paygate/units"
)

// hexBytes are bytes that the state file holds as hexadecimal digits.
type hexBytes []byte

// MarshalText writes the digits.
func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// String returns the digits.
func (h hexBytes) String() string { return hex.EncodeToString(h) }

// UnmarshalText reads them.
func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// event is one change of the network's state and one line of the state file; exactly one field is set.
type event struct {
	Version int            `json:"version,omitempty"`
	Node    *nodeRecord    `json:"node,omitempty"`
	Channel *channelRecord `json:"channel,omitempty"`
	Invoice *invoiceRecord `json:"invoice,omitempty"`
	Cancel  *reference     `json:"cancel,omitempty"`
	Send    *paymentRecord `json:"send,omitempty"`
	Settle  *reference     `json:"settle,omitempty"`
	Fail    *reference     `json:"fail,omitempty"`
}

// nodeRecord is what makes a node itself: its keys, its certificate and where it listens.
type nodeRecord struct {
	Alias   string   `json:"alias"`
	Key     hexBytes `json:"key"`      // secp256k1, signs invoices
	RootKey hexBytes `json:"root_key"` // signs macaroons
	Cert    string   `json:"cert"`     // PEM
	CertKey string   `json:"cert_key"` // PEM
	Address string   `json:"address"`  // last one
}

// channelRecord is a channel as it was opened.
type channelRecord struct {
	ID       uint64     `json:"id"`
	A        string     `json:"a"`
	B        string     `json:"b"`
	Capacity units.Msat `json:"capacity"`
	ABalance units.Msat `json:"a_balance"`
}

// invoiceRecord is an invoice as it was added.
type invoiceRecord struct {
	Node        string        `json:"node"`
	Preimage    hexBytes      `json:"preimage"`
	Hash        hexBytes      `json:"hash"`
	PaymentAddr hexBytes      `json:"payment_addr"`
	Memo        string        `json:"memo,omitempty"`
	Description hexBytes      `json:"description_hash,omitempty"`
	Msat        units.Msat    `json:"msat"`
	Created     time.Time     `json:"created"`
	Expiry      time.Duration `json:"expiry"`
	CLTV        uint64        `json:"cltv"`
	Private     bool          `json:"private,omitempty"`
	Request     string        `json:"request"`
}

// hop is one step of a route: From sends Msat over Channel.
type hop struct {
	Channel uint64     `json:"channel"`
	From    string     `json:"from"`
	Msat    units.Msat `json:"msat"`
}

// paymentRecord is a payment as lnd takes it: with a route, and so in flight, or failed at once for a reason.
type paymentRecord struct {
	Node    string     `json:"node"`
	Hash    hexBytes   `json:"hash"`
	Payee   string     `json:"payee,omitempty"`
	Addr    hexBytes   `json:"payment_addr,omitempty"`
	Msat    units.Msat `json:"msat"`
	Fee     units.Msat `json:"fee"`
	Request string     `json:"request"`
	Created time.Time  `json:"created"`
	Hops    []hop      `json:"hops,omitempty"`
	Stuck   bool       `json:"stuck,omitempty"`
	Reason  string     `json:"reason,omitempty"`
}

// reference names an invoice or a payment of a node, and what happened to it.
type reference struct {
	Node   string    `json:"node"`
	Hash   hexBytes  `json:"hash"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}
