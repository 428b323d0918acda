package ledger

import (
	"time"

	"paygate/units"
)

// Invoice is what we ask a buyer to pay. It is journalled before it is sent to anyone.
type Invoice struct {
	Hash     units.PaymentHash
	Buyer    units.PeerKey
	InfoHash units.InfoHash
	Price    units.Price // at which the payment buys bytes of InfoHash
	Buys     units.Bytes
	Msat     units.Msat // > 0
	For      string     // what the buyer asked for: bytes, debt or tip
	Request  string     // BOLT 11
	Expires  time.Time
}

// Settlement is our Lightning node's word that an invoice was paid.
type Settlement struct {
	Hash units.PaymentHash
	Msat units.Msat // what was really paid; it may differ from the invoice
	// SettleIndex is the node's position in its stream of settlements. Leave it 0 for one that was learnt out of
	// order, by looking a single invoice up: it is credited, and the cursor stays where it is, so that a resumed
	// stream skips nothing.
	SettleIndex uint64
	At          time.Time
}

// Credited tells whom a settlement was credited to.
type Credited struct {
	Buyer         units.PeerKey
	InfoHash      units.InfoHash
	Price         units.Price
	Msat, Balance units.Msat // the amount, and the account's balance after it
}

// Lot is one payment of a buyer: it is spent on its own torrent at its own price first.
type Lot struct {
	ID          int64
	InfoHash    units.InfoHash
	Price       units.Price
	Msat, Spent units.Msat // 0 ≤ Spent ≤ Msat
}

// Tally is what a buyer has been served of a torrent at a price, in all: Msat = Price.Charge(Bytes).
type Tally struct {
	InfoHash units.InfoHash
	Price    units.Price
	Bytes    units.Bytes
	Msat     units.Msat
}

// Account is one buyer's account with us.
type Account struct {
	Buyer         units.PeerKey
	Paid, Charged units.Msat
	Balance       units.Msat // Paid - Charged; negative is a debt
	Lots          []Lot      // with something left, oldest first
	Tallies       []Tally
	LastPurchase  units.Msat // the latest settled payment for bytes; 0 if there was none
	Defaulted     bool       // MarkDefaulted was called once
	Billed        units.Msat // of Charged: to be paid by a buyer on credit, since BilledAt; 0 if it owes nothing
	BilledAt      time.Time  // zero if Billed is 0
}

// Charge is bytes served to a buyer.
type Charge struct {
	Buyer    units.PeerKey
	InfoHash units.InfoHash
	Price    units.Price
	Bytes    units.Bytes // ≥ 0, since the last call
	OnCredit bool        // what is owed for it is billed
}

// Sample is how much has been given away free so far.
type Sample struct {
	Subnet     units.Bytes // to this subnet on this torrent, ever
	TorrentDay units.Bytes // on this torrent today (UTC)
	Day        units.Bytes // in all today (UTC)
}
