package ledger

import (
	"time"

	"paygate/units"
)

// Totals sums everything up.
type Totals struct {
	SoldBytes   units.Bytes // served for money
	SampleBytes units.Bytes // served free to non-payers by a rule's sample
	Received    units.Msat  // paid to us
	Earned      units.Msat  // used of it, or owed for: what was charged
	CreditOwed  units.Msat  // unused credit of buyers; Received + Debt = Earned + CreditOwed
	Debt        units.Msat  // what buyers owe us

	BoughtBytes units.Bytes // received and charged
	FreeBytes   units.Bytes // received free from sellers
	Paid, Fees  units.Msat  // by us
	Pending     units.Msat  // payments whose outcome is open, with their fee limits
	CreditHeld  units.Msat  // our unused credit with sellers

	PaymentsIn, PaymentsOut int // settled, succeeded
	Unknown                 int // of ours, outcome not known
}

// Entry is one line of the journal. Msat is the amount that the Kind speaks of, never negative.
type Entry struct {
	ID          int64
	At          time.Time
	Kind        string
	Party       string // hexadecimal peer key, or a subnet for a sample
	InfoHash    string
	PaymentHash string
	Msat        units.Msat
	Bytes       units.Bytes
	Note        string
	Price       units.Price
	Fee         units.Msat  // fee limit of an intent, fee of a success
	Free        units.Bytes // uncharged part of Bytes
	Category    string      // of an intent: the client's category of the torrent
}
