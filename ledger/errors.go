package ledger

import (
	"errors"
	"fmt"

	"paygate/units"
)

// ErrSeenHash means that the payment hash was paid or tried before, for anyone.
var ErrSeenHash = errors.New("payment hash was used before")

// ErrNoPurchase means that no purchase has that payment hash.
var ErrNoPurchase = errors.New("no such purchase")

// ErrNotExpired means that the payment's invoice can still be paid, so that it is too early to write the payment off.
var ErrNotExpired = errors.New("the invoice has not expired")

// OverCap is the error of a Reserve that would exceed a cap. Used includes payments whose outcome is open.
type OverCap struct {
	Cap                 string // torrent, peer, category, day, week, month or total
	Limit, Used, Wanted units.Msat
}

func (e *OverCap) Error() string {
	return fmt.Sprintf("%s would exceed the cap per %s: %s of %s used", e.Wanted, e.Cap, e.Used, e.Limit)
}

// StateError is the error of a step that a purchase in its state cannot take.
type StateError struct {
	Hash     units.PaymentHash
	From, To string
}

func (e *StateError) Error() string {
	return fmt.Sprintf("purchase %s is %s and cannot become %s", e.Hash, e.From, e.To)
}
