package ledger

import (
	"time"

	"paygate/units"
)

// Intent is a payment that we are about to make.
type Intent struct {
	Hash     units.PaymentHash
	Seller   units.PeerKey
	Node     units.NodeKey // the seller's Lightning node
	InfoHash units.InfoHash
	Price    units.Price
	Buys     units.Bytes
	Msat     units.Msat // > 0, without fees
	FeeLimit units.Msat // the most that routing may cost
	For      string     // bytes, debt or tip
	Request  string     // BOLT 11
	Expires  time.Time
	Category string // the client's, of the torrent; "" is one too
}

// Caps are the owner's limits on spending, routing fees included. A zero cap allows nothing, except where it says that it
// is none.
type Caps struct {
	Torrent  units.Msat // on one torrent, ever
	Peer     units.Msat // on one seller, ever; 0: none
	Category units.Msat // on all torrents of one category, ever, and on one torrent whatever categories it had; 0: none
	Day      units.Msat // in one day
	Week     units.Msat // in one week from Monday; 0: none
	Month    units.Msat // in one month of the calendar; 0: none
	Total    units.Msat // ever

	Zone *time.Location // by whose midnights days, weeks and months begin; nil: UTC
}

// Payee is what a payment would be for, as far as caps ask.
type Payee struct {
	InfoHash units.InfoHash
	Seller   units.PeerKey
	Category string
}

// Purchase states. An intent is journalled, sent is about to be handed to Lightning; unknown means that Lightning
// has not said how it ended, and counts as spent until it has. The owner has given up asking for one that is written
// off: it counts as nothing, until Lightning says otherwise.
const (
	StateIntent     = "intent"
	StateSent       = "sent"
	StateSucceeded  = "succeeded"
	StateFailed     = "failed"
	StateUnknown    = "unknown"
	StateWrittenOff = "written off"
)

// Purchase is a payment with its state.
type Purchase struct {
	Intent
	State            string
	Fee              units.Msat     // paid to routers, once succeeded
	Preimage         units.Preimage // proof of payment, once succeeded
	Created, Updated time.Time
	Reason           string // of the latest Fail, Unknown or WriteOffPayment
}

// Open reports whether the outcome is open, so that the amount and its fee limit are reserved.
func (p Purchase) Open() bool {
	return p.State == StateIntent || p.State == StateSent || p.State == StateUnknown
}

// Receipt is bytes received from a seller, by our own count, since the last call.
type Receipt struct {
	Seller   units.PeerKey
	InfoHash units.InfoHash
	Price    units.Price
	Bytes    units.Bytes // all of them
	Free     units.Bytes // the part of Bytes that is not charged: 0 ≤ Free ≤ Bytes
}

// Bought is one payment to a seller for a torrent.
type Bought struct {
	Price units.Price
	Left  units.Msat  // of it, not yet received for
	Bytes units.Bytes // of the torrent that were received, and charged, at this price ever
}

// Purse is our account with one seller, by our own count.
type Purse struct {
	Seller            units.PeerKey
	Paid, Fees        units.Msat // succeeded payments, and what routing them cost
	Pending           units.Msat // payments whose outcome is open, with their fee limits
	Charged           units.Msat // what the received bytes cost
	WrittenOff        units.Msat // what we have given up; negative if more was found than given up
	Missed            units.Msat // of WrittenOff: for bytes that were under way when a connection was cut
	Balance           units.Msat // Paid - Charged - WrittenOff
	Received, Free    units.Bytes
	Purchases, Failed int // payments reserved, and those of them that failed
}
