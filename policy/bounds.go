package policy

import "paygate/units"

// Exposure is what a buyer has at stake when it asks whether it may pay a seller now. Counts and amounts that speak
// of "others" leave out the seller in question.
type Exposure struct {
	// This seller.
	Proven  bool       // it has delivered a whole purchase of ours before
	Paid    bool       // we have paid it for this torrent before
	Pending bool       // a payment to it is unresolved
	Balance units.Msat // our unused credit with it, by our own count
	Last    units.Msat // our latest purchase from it

	// This torrent.
	OthersUnproven int         // other unproven sellers that hold unused credit of ours or have a payment pending
	OthersPaid     int         // other sellers that were ever paid for it
	Lost           units.Msat  // written off on it
	Cap            units.Msat  // the owner's cap per torrent
	Smallest       units.Msat  // the smallest purchase from this seller
	Price          units.Price // the seller's
	Left           units.Bytes // bytes still wanted; -1: not known

	// In all.
	LostToday          units.Msat
	DayCap             units.Msat
	UnresolvedUnproven int // unresolved payments to unproven sellers
	Unresolved         int // unresolved payments
}

func MayPaySeller(e Exposure) (ok bool, why string)                          { return false, "" }
func CreditLine(granted, lifetimePaid units.Msat, defaulted bool) units.Msat { return 0 }
