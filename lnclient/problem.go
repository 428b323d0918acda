package lnclient

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// This file alone decides what an error of lnd means. It goes by gRPC status code wherever lnd gives one. lnd v0.21
// however returns most of its own errors as plain Go errors, which gRPC turns into code Unknown: a missing right, a
// locked wallet, a node that is starting and an expired request differ in nothing but their words. For code Unknown
// only, and for nothing else, the words below are compared: lnd's constants in full, or their fixed beginning where
// lnd appends a value. A phrase that a later lnd changes falls back to Other, and for a payment to "unknown", which
// is safe. The contract tests hold each phrase against a running node.

// ProblemKind sorts what can be wrong with a node by what its owner must do.
type ProblemKind uint8

// The kinds of problem.
const (
	Other       ProblemKind = iota // nothing below; Err tells
	Unreachable                    // no answer: down, wrong address, or too slow
	Locked                         // the wallet waits for its password
	NoWallet                       // no wallet has been made
	Starting                       // not ready yet; passes by itself
	Unsynced                       // not in step with the chain; some calls block
	Denied                         // the macaroon lacks a right
	BadMacaroon                    // missing, expired, or another node's
	BadCert                        // the node's certificate is not the one configured
)

var kindNames = [...]string{"other", "unreachable", "locked", "no wallet", "starting", "unsynced", "denied", "bad macaroon", "bad certificate"}

// String names the kind in a word or two.
func (k ProblemKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Other]
}

// Passing reports whether waiting may be all that it takes.
func (k ProblemKind) Passing() bool {
	return k == Unreachable || k == Locked || k == Starting || k == Unsynced
}

// Problem is what is wrong with the node, in its owner's words. Every error of the client unwraps to one. It unwraps
// to context.Canceled or context.DeadlineExceeded where the caller's context ended the call.
type Problem struct {
	Kind   ProblemKind
	Remedy string // what the owner can do, one sentence; empty if nothing is known
	Err    error
}

// Error says what failed; the remedy is printed separately.
func (p *Problem) Error() string { return p.Err.Error() }

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.Err }

const remedyNetwork = "set lightning.network to mainnet, testnet, signet, simnet or regtest"

var remedies = map[ProblemKind]string{
	Unreachable: "check that lnd runs and that lightning.address is its gRPC address (rpclisten)",
	Locked:      "unlock the wallet: lncli unlock",
	NoWallet:    "create a wallet: lncli create",
	Starting:    "wait until lnd has started",
	Unsynced:    "wait until lnd has caught up with the chain",
	Denied:      "bake a macaroon that allows the call: paygate lnd setup",
	BadMacaroon: "use a macaroon that was baked by this node and has not expired",
	BadCert:     "copy the node's current tls.cert, and reach it by a name or address that the certificate carries",
}

func newProblem(k ProblemKind, err error) *Problem {
	return &Problem{Kind: k, Remedy: remedies[k], Err: err}
}

// problem classifies err, which a call under ctx returned while doing what.
func (c *Client) problem(ctx context.Context, what string, err error) *Problem {
	kind := classify(err)
	if kind == Unreachable && c.tls.refusedCert() {
		kind = BadCert
	}
	if end := ended(ctx, err); end != nil {
		return newProblem(kind, fmt.Errorf("%s: %w: %w", what, end, err))
	}
	return newProblem(kind, fmt.Errorf("%s: %w", what, err))
}

// ended tells whether the context ended the call. The node counts the deadline too, and may be a moment early.
func ended(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil {
		return end
	}
	if hasCode(err, codes.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return nil
}

// streamProblem is problem for a wait that has no natural end: that it ended says nothing about the node.
func (c *Client) streamProblem(ctx context.Context, what string, err error) *Problem {
	p := c.problem(ctx, what, err)
	if ended(ctx, err) != nil {
		p.Kind, p.Remedy = Other, ""
	}
	return p
}

// classify sorts an error by its code, and by lnd's words where the code says nothing.
func classify(err error) ProblemKind {
	s, ok := status.FromError(err)
	if !ok {
		return Other
	}
	switch s.Code() {
	case codes.Unavailable, codes.DeadlineExceeded:
		return Unreachable
	case codes.PermissionDenied:
		return Denied
	case codes.Unauthenticated:
		return BadMacaroon
	case codes.Unknown:
		return classifyWords(s.Message())
	}
	return Other
}

// phrase is what lnd says; open ones go on with a value.
type phrase struct {
	text string
	open bool
}

func (p phrase) is(msg string) bool {
	if p.open {
		return strings.HasPrefix(msg, p.text)
	}
	return msg == p.text
}

var kindWords = []struct {
	phrase
	kind ProblemKind
}{
	{phrase{"permission denied", false}, Denied},
	{phrase{"wallet locked, unlock it to enable full RPC access", false}, Locked},
	{phrase{"wallet not created, create one to enable full RPC access", false}, NoWallet},
	{phrase{"the RPC server is in the process of starting up, but not yet ready to accept calls", false}, Starting},
	{phrase{"waiting to start, RPC services not available", false}, Starting},
	{phrase{"unable to determine macaroon permissions", false}, Starting},
	{phrase{"expected 1 macaroon, got ", true}, BadMacaroon},
	{phrase{"verification failed: ", true}, BadMacaroon},
	{phrase{"cannot get macaroon: ", true}, BadMacaroon},
	{phrase{`caveat "`, true}, BadMacaroon},
}

func classifyWords(msg string) ProblemKind {
	for _, w := range kindWords {
		if w.is(msg) {
			return w.kind
		}
	}
	return Other
}

// Why a payment was refused, in Refused.Reason.
const (
	RefusedExpired  = "expired"      // the request has expired
	RefusedSelf     = "self-payment" // the request is the paying node's own
	RefusedRequest  = "bad-request"  // the request cannot be read, is for another network, or not what Payment says
	RefusedNode     = "node"         // the node refuses every call of this kind; the Problem tells why
	RefusedNotAsked = "not-asked"    // the request never left: no connection, or the context had ended
)

// refusalWords are what lnd says before it has made any record of a payment. Whatever is not listed here may have
// been sent.
var refusalWords = []struct {
	phrase
	reason string
}{
	{phrase{"invoice expired. Valid until ", true}, RefusedExpired},
	{phrase{"self-payments not allowed", false}, RefusedSelf},
	{phrase{"amount must be specified when paying a zero amount invoice", false}, RefusedRequest},
	{phrase{"amount must not be specified when paying a non-zero amount invoice", false}, RefusedRequest},
	{phrase{"the AMP flag (--amp or SendPaymentRequest.Amp) must be set to pay an AMP invoice", false}, RefusedRequest},
	{phrase{"payment request must contain either a payment address or blinded paths", false}, RefusedRequest},
	{phrase{"invoice not for current active network ", true}, RefusedRequest},
	{phrase{"cltv limit ", true}, RefusedRequest},
	{phrase{"total time lock of ", true}, RefusedRequest},
}

// refusalOf reports whether a status means that lnd turned the payment down before recording it.
func refusalOf(err error) (reason string, refused bool) {
	s, ok := status.FromError(err)
	if !ok {
		return "", false
	}
	switch s.Code() {
	case codes.Unimplemented, codes.PermissionDenied, codes.Unauthenticated:
		return RefusedNode, true
	case codes.Unknown:
	default:
		return "", false
	}
	for _, w := range refusalWords {
		if w.is(s.Message()) {
			return w.reason, true
		}
	}
	return RefusedNode, classifyWords(s.Message()) != Other
}

func hasCode(err error, c codes.Code) bool { return status.Code(err) == c }
