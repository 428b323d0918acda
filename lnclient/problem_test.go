package lnclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestClassify holds every answer that lnd v0.21 was seen to give, word for word.
func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		code    codes.Code
		msg     string
		kind    ProblemKind
		reason  string
		refused bool
	}{
		{codes.Unknown, "permission denied", Denied, RefusedNode, true},
		{codes.Unknown, "wallet locked, unlock it to enable full RPC access", Locked, RefusedNode, true},
		{codes.Unknown, "wallet not created, create one to enable full RPC access", NoWallet, RefusedNode, true},
		{codes.Unknown, "the RPC server is in the process of starting up, but not yet ready to accept calls", Starting, RefusedNode, true},
		{codes.Unknown, "waiting to start, RPC services not available", Starting, RefusedNode, true},
		{codes.Unknown, "expected 1 macaroon, got 0", BadMacaroon, RefusedNode, true},
		{codes.Unknown, "verification failed: signature mismatch after caveat verification", BadMacaroon, RefusedNode, true},
		{codes.Unknown, `caveat "time-before 2024-01-01T00:00:00Z" not satisfied: macaroon has expired`, BadMacaroon, RefusedNode, true},
		{codes.Unknown, "invoice expired. Valid until 2024-01-01 00:00:00 +0000 UTC", Other, RefusedExpired, true},
		{codes.Unknown, "self-payments not allowed", Other, RefusedSelf, true},
		{codes.Unknown, "amount must be specified when paying a zero amount invoice", Other, RefusedRequest, true},
		{codes.Unknown, "amount must not be specified when paying a non-zero amount invoice", Other, RefusedRequest, true},
		{codes.Unknown, "cltv limit 10 should be greater than 83", Other, RefusedRequest, true},

		{codes.Unknown, "router shutting down", Other, "", false},
		{codes.Unknown, "this is not permission denied", Other, "", false},
		{codes.Unknown, "permission denied, perhaps", Other, "", false},
		{codes.Unknown, "", Other, "", false},
		{codes.Unavailable, "permission denied", Unreachable, "", false},
		{codes.Unavailable, "error reading from server: EOF", Unreachable, "", false},
		{codes.DeadlineExceeded, "context deadline exceeded", Unreachable, "", false},
		{codes.Canceled, "context canceled", Other, "", false},
		{codes.AlreadyExists, "payment is in transition", Other, "", false},
		{codes.NotFound, "payment isn't initiated", Other, "", false},
		{codes.Internal, "self-payments not allowed", Other, "", false},
		{codes.PermissionDenied, "", Denied, RefusedNode, true},
		{codes.Unauthenticated, "", BadMacaroon, RefusedNode, true},
		{codes.Unimplemented, "unknown service", Other, RefusedNode, true},
	} {
		err := fmt.Errorf("wrapped: %w", status.Error(tt.code, tt.msg))
		bare := status.Error(tt.code, tt.msg)
		if got := classify(bare); got != tt.kind {
			t.Errorf("%s %q is %q, want %q", tt.code, tt.msg, got, tt.kind)
		}
		if reason, refused := refusalOf(bare); refused != tt.refused || refused && reason != tt.reason {
			t.Errorf("%s %q refuses: %q %v, want %q %v", tt.code, tt.msg, reason, refused, tt.reason, tt.refused)
		}
		if !hasCode(err, tt.code) {
			t.Errorf("code %s is lost in a wrapped error", tt.code)
		}
	}
	if k := classify(io.EOF); k != Other {
		t.Errorf("an error without a status is %q", k)
	}
	if _, refused := refusalOf(errors.New("self-payments not allowed")); refused {
		t.Error("an error without a status refuses")
	}
}

func TestProblemNames(t *testing.T) {
	seen := map[string]bool{}
	for k := Other; k <= BadCert; k++ {
		if seen[k.String()] {
			t.Errorf("two kinds are named %q", k)
		}
		seen[k.String()] = true
		if k != Other && remedies[k] == "" {
			t.Errorf("%q has no remedy", k)
		}
	}
	if ProblemKind(200).String() != "other" || InvoiceState(200).String() != "missing" || PayState(200).String() != "in flight" {
		t.Error("unknown values have a name of their own")
	}
}

func TestEndedByNode(t *testing.T) {
	early := status.Error(codes.DeadlineExceeded, "deadline exceeded")
	if !errors.Is(ended(context.Background(), early), context.DeadlineExceeded) {
		t.Error("a deadline that the node saw first is not one")
	}
	if ended(context.Background(), status.Error(codes.Canceled, "")) != nil {
		t.Error("a call that the node cancelled counts as ours")
	}
}
