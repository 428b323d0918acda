package policy

import (
	"time"

	"paygate/units"
)

// The most that can be lost.
//
// A seller gives a stranger nothing but the free sample, which SampleLeft bounds by subnet, by torrent and day, and
// by day; a buyer who has paid can owe CreditLine at most, and what the client still sends after it has choked him.
//
// A buyer risks, with each seller, one unused purchase and one pending. A seller that has proven itself is trusted with
// as much as it has delivered, or the smallest payment that was made to it. Beyond that, and with sellers that have not
// proven themselves, the buyer risks something with at most 2 of them at a time on each torrent, and nothing anew once
// the money lost has reached LossLimit on the torrent or DayLossLimit on the day; so what is lost beyond what the same
// sellers have delivered is below that limit and what was at stake when it was reached: at most 2 times an unused and a
// pending purchase. A payment whose outcome is open counts as spent, and at most 2 to unproven sellers and 8 in all may
// be open. MayPaySeller holds a buyer to all of it.
//
// What is at stake with a seller grows with what it has delivered: see Stake. It falls to nothing for one that the client
// has dropped for bad data, for DroppedFor: what that one holds counts as lost until it is delivered, and afterwards it
// is a stranger, whatever it delivered before.
const (
	maxUnproven           = 2 // sellers that hold more than they are trusted with
	maxUnresolvedUnproven = 2
	maxUnresolved         = 8
	lostPayments          = 5  // first payments
	lostPercent           = 5  // of the torrent's cap
	lostPercentOfDay      = 2  // of the day's cap
	creditPercent         = 10 // of lifetime payments
	paymentsPerSeller     = 4  // smallest payments for which each paid seller must be needed

	stakeGrowth = 2 * provenGrowth // of what a seller has delivered, to be at stake

	firstDrop = 6 * time.Hour // after a seller was dropped for the first time
	dropsGrow = 8             // times longer each further time, up to
	mostDrop  = 30 * 24 * time.Hour
)

// Exposure is what a buyer has at stake when it asks whether it may pay a seller now. Counts and amounts that speak
// of "others" leave out the seller in question.
type Exposure struct {
	// This seller.
	Dropped bool       // our client has dropped it for bad data, and that is not over
	Proven  bool       // it has delivered a whole purchase of ours before
	Paid    bool       // we have paid it for this torrent before
	Pending bool       // a payment to it is unresolved
	Balance units.Msat // our unused credit with it, by our own count
	Last    units.Msat // our latest purchase from it
	Max     units.Msat // the most to have at stake with it, by Stake; counts for proven sellers only
	Amt     units.Msat // what it is to be paid now

	// What it has delivered since it was last dropped, and the smallest payment that was made to it. It may hold as much
	// with nobody minding, once it is proven: see Trust.
	Delivered units.Msat
	First     units.Msat

	// This torrent.
	OthersAhead int         // other sellers that hold more of ours, or have it pending, than they are trusted with
	OthersPaid  int         // other sellers that were ever paid for it
	Lost        units.Msat  // written off on it, or held by sellers that are dropped
	Cap         units.Msat  // the owner's cap per torrent
	Least       units.Msat  // the owner's smallest purchase
	Smallest    units.Msat  // the smallest purchase from this seller
	Price       units.Price // the seller's
	Left        units.Bytes // bytes still wanted; -1: not known, and then the number of sellers has no bound of its own

	// In all.
	LostToday          units.Msat // like Lost, today and on all torrents
	DayCap             units.Msat
	UnresolvedUnproven int // unresolved payments to unproven sellers
	Unresolved         int // unresolved payments
}

// Why a seller may not be paid now, as MayPaySeller says it.
const (
	WhyPending    = "payment-pending"    // one payment to it is open already
	WhyUnused     = "credit-unused"      // the latest purchase has not been touched
	WhyUnresolved = "unresolved"         // too many payments are open
	WhyStrangers  = "too-many-strangers" // enough sellers hold more than they are trusted with
	WhyLosses     = "losses"             // such sellers have cost enough
	WhySellers    = "too-many-sellers"   // what is left is not worth another seller
	WhyDropped    = "dropped"            // our client has dropped it for bad data
)

// MayPaySeller returns how much of Amt a buyer may pay a seller now within the bounds of what may be lost: all of it, or
// as much as the seller is trusted with, or 0; and if it is not all, why.
func MayPaySeller(e Exposure) (most units.Msat, why string) {
	switch {
	case e.Dropped:
		return 0, WhyDropped
	case e.Pending:
		return 0, WhyPending
	case e.Balance >= Unused(e):
		return 0, WhyUnused
	case e.Unresolved >= maxUnresolved, !e.Proven && e.UnresolvedUnproven >= maxUnresolvedUnproven:
		return 0, WhyUnresolved
	case !e.Paid && e.OthersPaid >= MaxSellers(e.Left, e.Price, e.Smallest):
		return 0, WhySellers
	}
	trust := units.Msat(0)
	if e.Proven {
		trust = Trust(e.Delivered, e.First, e.Price.Charge(block)) - e.Balance
	}
	if why = e.tooMuchAhead(); why == "" || e.Amt <= trust {
		return e.Amt, ""
	}
	if trust < e.Smallest {
		return 0, why
	}
	return trust, why
}

// tooMuchAhead tells why no seller may hold more than it is trusted with, if none may.
func (e Exposure) tooMuchAhead() string {
	switch {
	case e.OthersAhead >= maxUnproven:
		return WhyStrangers
	case e.Lost >= LossLimit(e.Cap, e.first()), e.LostToday >= DayLossLimit(e.DayCap):
		return WhyLosses
	case e.Smallest > max(e.Least, share(e.Cap, lostPercent), e.earned()):
		return WhyStrangers // a seller does not say how much is at stake
	}
	return ""
}

// first is the smallest first payment to anybody. A seller that sells no less than more does not raise the limit.
func (e Exposure) first() units.Msat { return min(e.Smallest, max(e.Least, e.Price.Charge(block))) }

// earned is how much may be at stake with a seller for what it has delivered, whatever its smallest purchase is.
func (e Exposure) earned() units.Msat {
	if e.Proven {
		return e.Max
	}
	return 0
}

// Trust returns how much a proven seller may hold whatever others do: as much as it has delivered, or the smallest payment
// that was made to it, first; and a rest that is less than a block, which nobody can deliver.
func Trust(delivered, first, rest units.Msat) units.Msat { return max(delivered, first) + rest }

// Unused returns the unused credit at which no more is bought from a seller: the latest purchase, untouched, and for
// a proven seller the owner's limit if that is more. What is less than the smallest purchase never hinders the next
// one, since it may be too little to serve a block on.
func Unused(e Exposure) units.Msat {
	if e.Proven {
		return max(e.Last, e.Smallest, e.Max)
	}
	return max(e.Last, e.Smallest)
}

// Stake returns how much a buyer may have at stake with a seller: thirty-two times what the seller has delivered since
// it was last dropped (two purchases that have each grown sixteenfold), or a stranger's second purchase if that is more.
// It is never more than most, the owner's limit; but at least a smallest purchase.
func Stake(delivered, most, smallest units.Msat) units.Msat {
	grown := most
	if delivered < most/stakeGrowth {
		grown = max(0, delivered) * stakeGrowth
	}
	second := most
	if smallest < most/strangerGrowth {
		second = strangerGrowth * smallest
	}
	return max(grown, second, smallest)
}

// DroppedFor returns for how long nothing is bought from a seller after our client has dropped it for bad data, the
// given number of times in all: 6 hours, 2 days, 16 days, then 30 days. It is 0 for a seller that was never dropped.
func DroppedFor(times int) time.Duration {
	if times <= 0 {
		return 0
	}
	d := firstDrop
	for n := 1; n < times && d < mostDrop; n++ {
		d *= dropsGrow
	}
	return min(d, mostDrop)
}

// LossLimit returns the loss on a torrent at which no seller is paid any more than it is trusted with: 5 first payments,
// of the owner's smallest size, or 5 % of the torrent's cap, whichever is less.
func LossLimit(torrentCap, smallest units.Msat) units.Msat {
	limit := share(torrentCap, lostPercent)
	if smallest = max(smallest, 1); smallest <= limit/lostPayments {
		return lostPayments * smallest
	}
	return limit
}

// DayLossLimit is the same for all torrents and a day: 2 % of the day's cap.
func DayLossLimit(dayCap units.Msat) units.Msat { return share(dayCap, lostPercentOfDay) }

// MaxSellers returns how many sellers may be paid for a torrent: one for each 4 smallest purchases that what is left
// costs, so that a small file is not bought many times over in smallest purchases; at least one.
func MaxSellers(left units.Bytes, price units.Price, smallest units.Msat) int {
	const many = 1 << 30
	if left < 0 {
		return many
	}
	n := price.Charge(left) / max(smallest, 1) / paymentsPerSeller
	return int(clamp(n, 1, many))
}

// CreditLine returns how far a buyer's balance may go below zero: what was granted, but at most 10 % of all it has
// ever paid; so nothing for a stranger, and nothing ever again after a default.
func CreditLine(granted, lifetimePaid units.Msat, defaulted bool) units.Msat {
	if defaulted {
		return 0
	}
	return clamp(granted, 0, max(0, share(lifetimePaid, creditPercent)))
}
