package policy

import (
	"time"

	"paygate/config"
	"paygate/units"
)

// CreditTerm is how long a bill may stay unpaid before that is a default.
const CreditTerm = 24 * time.Hour

// smallestDebt is the least that can be paid, and so the least that is ever due.
const smallestDebt = units.Sat

// LineOf returns how far a rule lets a buyer's balance go below zero: a part of what it has ever paid, up to the rule's
// cap and to what CreditLine allows.
func LineOf(c config.Credit, lifetimePaid units.Msat, defaulted bool) units.Msat {
	return CreditLine(min(share(lifetimePaid, c.Percent), c.Cap), lifetimePaid, defaulted)
}

// Overdue reports whether what is left to pay of a bill of some time has become a default. A zero time is no bill.
func Overdue(debt units.Msat, billed, now time.Time) bool {
	return debt >= smallestDebt && !billed.IsZero() && now.Sub(billed) >= CreditTerm
}

// Owed returns what to pay for a debt: all of it, and as much as can be paid at least, at the price of whole bytes. It is
// 0 for a debt that is not worth a payment.
func Owed(debt units.Msat, price units.Price) units.Msat {
	if debt < smallestDebt || price.Free() {
		return 0
	}
	return Smallest(Want{Price: price, Min: debt})
}
