package lnclient

import (
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"

	"paygate/units"
)

// Payment is one to make. Hash must be the request's own.
type Payment struct {
	Request   string
	Hash      units.PaymentHash
	FeeLimit  units.Msat    // all routing fees together; 0 allows free routes only
	Timeout   time.Duration // how long lnd may try routes; whole seconds, at least 1 s; default 60 s
	CLTVLimit int32         // blocks the money may be locked; 0: lnd's own limit
	MaxParts  uint32        // 0 means 1
}

// PayState is what is known of a payment.
type PayState uint8

// The states of a payment. The zero value is the cautious one.
const (
	InFlight  PayState = iota // under way, or unknown: count it as spent
	Succeeded                 // lnd has the preimage
	Failed                    // lnd says FAILED: no money has left, and none will
	NeverSent                 // lnd has no record of it
)

var payStateNames = [...]string{"in flight", "succeeded", "failed", "never sent"}

// String names the state in a word or two.
func (s PayState) String() string {
	if int(s) < len(payStateNames) {
		return payStateNames[s]
	}
	return payStateNames[InFlight]
}

// Outcome is what became of a payment. Fee and Preimage are set for Succeeded, Reason for Failed.
type Outcome struct {
	State    PayState
	Fee      units.Msat
	Preimage units.Preimage
	Reason   string // one of the Reason constants
}

// Why lnd failed a payment.
const (
	ReasonTimeout      = "timeout"
	ReasonNoRoute      = "no-route"
	ReasonError        = "error"
	ReasonIncorrect    = "incorrect-details" // the payee turned it down: cancelled, expired or unknown
	ReasonInsufficient = "insufficient-balance"
	ReasonCanceled     = "canceled"
)

var reasons = map[lnrpc.PaymentFailureReason]string{
	lnrpc.PaymentFailureReason_FAILURE_REASON_TIMEOUT:                   ReasonTimeout,
	lnrpc.PaymentFailureReason_FAILURE_REASON_NO_ROUTE:                  ReasonNoRoute,
	lnrpc.PaymentFailureReason_FAILURE_REASON_INCORRECT_PAYMENT_DETAILS: ReasonIncorrect,
	lnrpc.PaymentFailureReason_FAILURE_REASON_INSUFFICIENT_BALANCE:      ReasonInsufficient,
	lnrpc.PaymentFailureReason_FAILURE_REASON_CANCELED:                  ReasonCanceled,
}

// Refused says that this call of Pay sent nothing: lnd, or the client before it, turned it down. It unwraps to *Problem.
type Refused struct {
	Reason string // one of the Refused constants
	Err    error
}

// Error says who refused and why.
func (r *Refused) Error() string { return fmt.Sprintf("payment refused (%s): %v", r.Reason, r.Err) }

// Unwrap gives the cause.
func (r *Refused) Unwrap() error { return r.Err }

// outcomeOf translates one update; terminal is false while the payment is under way.
func outcomeOf(p *lnrpc.Payment) (out Outcome, terminal bool, err error) {
	switch p.Status {
	case lnrpc.Payment_SUCCEEDED:
		pre, err := parsePreimage(p.PaymentPreimage)
		if err != nil {
			return Outcome{}, false, err
		}
		return Outcome{State: Succeeded, Fee: units.Msat(p.FeeMsat), Preimage: pre}, true, nil
	case lnrpc.Payment_FAILED:
		reason, ok := reasons[p.FailureReason]
		if !ok {
			reason = ReasonError
		}
		return Outcome{State: Failed, Reason: reason}, true, nil
	}
	return Outcome{}, false, nil
}

// parsePreimage reads a preimage without ever putting it into an error.
func parsePreimage(s string) (units.Preimage, error) {
	h, err := units.ParsePaymentHash(s)
	if err != nil {
		return units.Preimage{}, fmt.Errorf("preimage of %d characters cannot be read", len(s))
	}
	return units.Preimage(h), nil
}
