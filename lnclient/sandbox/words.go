package sandbox

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What lnd v0.21 says, word for word. Plain errors reach the client as code Unknown, as lnd's do.
var (
	errLocked           = errors.New("wallet locked, unlock it to enable full RPC access")
	errNoWallet         = errors.New("wallet not created, create one to enable full RPC access")
	errStarting         = errors.New("the RPC server is in the process of starting up, but not yet ready to accept calls")
	errPermission       = errors.New("permission denied")
	errBadID            = errors.New("invalid ID")
	errBadVersion       = errors.New("unknown macaroon version")
	errExpiredMacaroon  = errors.New("macaroon has expired")
	errSelfPayment      = errors.New("self-payments not allowed")
	errNeedsAmount      = errors.New("amount must be specified when paying a zero amount invoice")
	errAmountTwice      = errors.New("amount must not be specified when paying a non-zero amount invoice")
	errNeedsAMP         = errors.New("the AMP flag (--amp or SendPaymentRequest.Amp) must be set to pay an AMP invoice")
	errDuplicateInvoice = errors.New("invoice with payment hash already exists")
	errInvoiceUnknown   = errors.New("unable to locate invoice")
	errInvoiceSettled   = errors.New("invoice already settled")
	errBothAmounts      = errors.New("sat and msat arguments are mutually exclusive")
	errNegativeAmount   = errors.New("amount cannot be negative")
	errBadURI           = errors.New("invalid permission action, must be an existing URI in the format /package.Service/MethodName")
	errEntity           = errors.New("invalid permission entity. " + macaroonHelp)
	errAction           = errors.New("invalid permission action. " + macaroonHelp)
	errNoPermissions    = errors.New("permission list cannot be empty. specify at least one action/entity pair. " + macaroonHelp)
)

const macaroonHelp = "supported actions are [read write generate], supported entities are " +
	"[onchain offchain address message peers info invoices signer macaroon uri]"

func errInvoiceExpired(until time.Time) error {
	return fmt.Errorf("invoice expired. Valid until %v", until)
}

func errCLTVLimit(limit, least uint32) error {
	return fmt.Errorf("cltv limit %v should be greater than %v", limit, least)
}

func errTimeLock(limit, most uint32) error {
	return fmt.Errorf("total time lock of %v exceeds max allowed %v", limit, most)
}

func errMacaroons(n int) error { return fmt.Errorf("expected 1 macaroon, got %d", n) }

func errUnknownMethod(method string) error {
	return fmt.Errorf("%s: unknown permissions required for method", method)
}

func errCaveat(caveat string, err error) error {
	return fmt.Errorf("caveat %q not satisfied: %w", caveat, err)
}

// These carry a code of their own.
func errAlreadyPaid() error { return status.Error(codes.AlreadyExists, "invoice is already paid") }

func errInTransition() error { return status.Error(codes.AlreadyExists, "payment is in transition") }

func errNotInitiated() error { return status.Error(codes.NotFound, "payment isn't initiated") }

func errNoInvoice() error { return status.Error(codes.NotFound, errInvoiceUnknown.Error()) }
