package sandbox

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/invoicesrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"gopkg.in/macaroon.v2"

	"paygate/units"
)

// says requires an error's code and words.
func says(t *testing.T, what string, err error, code codes.Code, words string) {
	t.Helper()
	s, _ := status.FromError(err)
	if s.Code() != code || s.Message() != words {
		t.Errorf("%s: %s %q, want %s %q", what, s.Code(), s.Message(), code, words)
	}
}

// TestPaymentWords: what lnd v0.21 was measured to answer.
func TestPaymentWords(t *testing.T) {
	n, nodes := line(t, Config{}, "a", "b")
	a, b := wired(t, nodes[0]), wired(t, nodes[1])
	send := func(req *routerrpc.SendPaymentRequest) error {
		_, err := a.pay(t.Context(), req)
		return err
	}
	paid := b.ask(t, 5000).PaymentRequest
	a.paid(t, paid)
	says(t, "already paid", send(&routerrpc.SendPaymentRequest{PaymentRequest: paid}), codes.AlreadyExists, "invoice is already paid")
	own := a.ask(t, 5000).PaymentRequest
	says(t, "self payment", send(&routerrpc.SendPaymentRequest{PaymentRequest: own}), codes.Unknown, "self-payments not allowed")
	says(t, "no amount", send(&routerrpc.SendPaymentRequest{PaymentRequest: b.ask(t, 0).PaymentRequest}), codes.Unknown,
		"amount must be specified when paying a zero amount invoice")
	says(t, "amount twice", send(&routerrpc.SendPaymentRequest{PaymentRequest: b.ask(t, 5000).PaymentRequest, AmtMsat: 5000}), codes.Unknown,
		"amount must not be specified when paying a non-zero amount invoice")
	says(t, "short lock", send(&routerrpc.SendPaymentRequest{PaymentRequest: b.ask(t, 5000).PaymentRequest, CltvLimit: 83}), codes.Unknown,
		"cltv limit 83 should be greater than 83")
	_, err := a.router.TrackPaymentV2(a.ctx(t.Context()), &routerrpc.TrackPaymentRequest{PaymentHash: make([]byte, 32)})
	check(t, err)
	n.SetFault(Fault{Kind: StuckInFlight, Times: 1})
	stuck := b.ask(t, 5000).PaymentRequest
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if p, err := a.pay(ctx, &routerrpc.SendPaymentRequest{PaymentRequest: stuck}); status.Code(err) != codes.DeadlineExceeded || p.Status != lnrpc.Payment_IN_FLIGHT {
		t.Errorf("stuck: %v, %v", p, err)
	}
	says(t, "in flight", send(&routerrpc.SendPaymentRequest{PaymentRequest: stuck}), codes.AlreadyExists, "payment is in transition")
	amountless := b.ask(t, 0).PaymentRequest
	if p, err := a.pay(t.Context(), &routerrpc.SendPaymentRequest{PaymentRequest: amountless, AmtMsat: 7777}); err != nil || p.Status != lnrpc.Payment_SUCCEEDED || p.ValueMsat != 7777 {
		t.Errorf("chosen amount: %v, %v", p, err)
	}
}

func TestInvoiceWords(t *testing.T) {
	n, nodes := line(t, Config{}, "a", "b")
	b := wired(t, nodes[1])
	add := func(i *lnrpc.Invoice) error {
		_, err := b.node.AddInvoice(b.ctx(t.Context()), i)
		return err
	}
	pre := []byte("thirty-two bytes of no secret !!")
	check(t, add(&lnrpc.Invoice{ValueMsat: 1000, RPreimage: pre}))
	says(t, "same preimage", add(&lnrpc.Invoice{ValueMsat: 1000, RPreimage: pre}), codes.Unknown, "invoice with payment hash already exists")
	says(t, "long memo", add(&lnrpc.Invoice{Memo: strings.Repeat("x", 700)}), codes.Unknown, "data length too big to fit within 10 bits: 1120")
	says(t, "longer memo", add(&lnrpc.Invoice{Memo: strings.Repeat("x", 1025)}), codes.Unknown, "memo too large: 1025 bytes (maxsize=1024)")
	says(t, "hash", add(&lnrpc.Invoice{DescriptionHash: []byte{1}}), codes.Unknown, "description hash is 1 bytes, must be 32")
	says(t, "two amounts", add(&lnrpc.Invoice{Value: 1, ValueMsat: 1}), codes.Unknown, "sat and msat arguments are mutually exclusive")
	says(t, "negative", add(&lnrpc.Invoice{Value: -1}), codes.Unknown, "amount cannot be negative")
	unknown := make([]byte, 32)
	_, err := b.node.LookupInvoice(b.ctx(t.Context()), &lnrpc.PaymentHash{RHash: unknown})
	says(t, "lookup", err, codes.NotFound, "unable to locate invoice")
	_, err = b.invoice.CancelInvoice(b.ctx(t.Context()), &invoicesrpc.CancelInvoiceMsg{PaymentHash: unknown})
	says(t, "cancel", err, codes.Unknown, "unable to locate invoice")
	settled := b.ask(t, 1000)
	wired(t, nodes[0]).paid(t, settled.PaymentRequest)
	_, err = b.invoice.CancelInvoice(b.ctx(t.Context()), &invoicesrpc.CancelInvoiceMsg{PaymentHash: settled.RHash})
	says(t, "cancel settled", err, codes.Unknown, "invoice already settled")
	short := b.ask(t, 1000)
	n.mu.Lock()
	n.now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	n.mu.Unlock()
	i, err := b.node.LookupInvoice(b.ctx(t.Context()), &lnrpc.PaymentHash{RHash: short.RHash})
	check(t, err)
	if i.State != lnrpc.Invoice_CANCELED {
		t.Errorf("an invoice past its time is %s", i.State)
	}
	_, err = wired(t, nodes[0]).pay(t.Context(), &routerrpc.SendPaymentRequest{PaymentRequest: short.PaymentRequest})
	if s, _ := status.FromError(err); s.Code() != codes.Unknown || !strings.HasPrefix(s.Message(), "invoice expired. Valid until ") {
		t.Errorf("paying it: %v", err)
	}
}

func TestDecodePayReq(t *testing.T) {
	_, nodes := line(t, Config{}, "a")
	a := wired(t, nodes[0])
	hash := make([]byte, 32)
	hash[5] = 9
	inv, err := a.node.AddInvoice(a.ctx(t.Context()), &lnrpc.Invoice{Value: 7, DescriptionHash: hash, Expiry: 900, CltvExpiry: 40})
	check(t, err)
	r, err := a.node.DecodePayReq(a.ctx(t.Context()), &lnrpc.PayReqString{PayReq: inv.PaymentRequest})
	check(t, err)
	if r.Destination != nodes[0].Key().String() || r.PaymentHash != hex.EncodeToString(inv.RHash) || r.NumMsat != 7000 || r.NumSatoshis != 7 ||
		r.DescriptionHash != hex.EncodeToString(hash) || r.Expiry != 900 || r.CltvExpiry != 40 || string(r.PaymentAddr) != string(inv.PaymentAddr) {
		t.Errorf("got %v", r)
	}
	if n := len(a.ask(t, 1_000_000).PaymentRequest); n < 258 || n > 262 { // measured with lnd
		t.Errorf("a request has %d characters", n)
	}
}

// TestMacaroonWords: each way in which a macaroon can be wrong, in lnd's words.
func TestMacaroonWords(t *testing.T) {
	_, nodes := line(t, Config{}, "a", "b")
	a := wired(t, nodes[0])
	info := func(macaroons ...string) error {
		ctx := t.Context()
		for _, m := range macaroons {
			ctx = metadata.AppendToOutgoingContext(ctx, "macaroon", m)
		}
		_, err := a.node.GetInfo(ctx, &lnrpc.GetInfoRequest{})
		return err
	}
	admin := nodes[0].Macaroon()
	check(t, info(admin.Reveal()))
	says(t, "none", info(), codes.Unknown, "expected 1 macaroon, got 0")
	says(t, "two", info(admin.Reveal(), admin.Reveal()), codes.Unknown, "expected 1 macaroon, got 2")
	says(t, "another node's", info(nodes[1].Macaroon().Reveal()), codes.Unknown, "verification failed: signature mismatch after caveat verification")
	for _, tt := range []struct{ caveat, words string }{
		{"time-before 2020-01-01T00:00:00Z", `caveat "time-before 2020-01-01T00:00:00Z" not satisfied: macaroon has expired`},
		{"colour blue", `caveat "colour blue" not satisfied: caveat not recognized`},
	} {
		says(t, tt.caveat, info(narrow(t, admin, tt.caveat)), codes.Unknown, tt.words)
	}
	check(t, info(narrow(t, admin, "time-before "+time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano))))
	_, err := a.state.GetState(t.Context(), &lnrpc.GetStateRequest{})
	check(t, err)
	_, err = a.node.WalletBalance(a.ctx(t.Context()), &lnrpc.WalletBalanceRequest{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("a call that is not simulated: %v", err)
	}
}

// narrow adds a caveat, as anyone who holds a macaroon can.
func narrow(t *testing.T, s units.Secret, caveat string) string {
	t.Helper()
	m, err := parseMacaroon(s.Reveal())
	check(t, err)
	check(t, m.AddFirstPartyCaveat([]byte(caveat)))
	raw, err := m.MarshalBinary()
	check(t, err)
	return hex.EncodeToString(raw)
}

// TestMacaroonEachCall: a macaroon for one call allows that one and no other.
func TestMacaroonEachCall(t *testing.T) {
	root := []byte("root key")
	for uri := range permissions {
		m, err := bake(root, []op{{uriEntity, uri}})
		check(t, err)
		for other := range permissions {
			err := authorize(root, []string{m.Reveal()}, other, time.Now())
			if want := other == uri; (err == nil) != want {
				t.Errorf("a macaroon for %s on %s: %v", uri, other, err)
			} else if err != nil && err.Error() != "permission denied" {
				t.Errorf("it says %q", err)
			}
		}
	}
	admin, err := bake(root, adminOps())
	check(t, err)
	for uri, need := range permissions {
		check(t, authorize(root, []string{admin.Reveal()}, uri, time.Now()))
		one, err := bake(root, []op{need})
		check(t, err)
		check(t, authorize(root, []string{one.Reveal()}, uri, time.Now()))
	}
}

func TestBakeWords(t *testing.T) {
	_, nodes := line(t, Config{}, "a")
	a := wired(t, nodes[0])
	bakes := func(perms ...*lnrpc.MacaroonPermission) (string, error) {
		r, err := a.node.BakeMacaroon(a.ctx(t.Context()), &lnrpc.BakeMacaroonRequest{Permissions: perms})
		return r.GetMacaroon(), err
	}
	_, err := bakes(&lnrpc.MacaroonPermission{Entity: "uri", Action: "/lnrpc.Lightning/Nothing"})
	says(t, "uri", err, codes.Unknown, "invalid permission action, must be an existing URI in the format /package.Service/MethodName")
	_, err = bakes(&lnrpc.MacaroonPermission{Entity: "moon", Action: "read"})
	says(t, "entity", err, codes.Unknown, "invalid permission entity. supported actions are [read write generate], supported entities are "+
		"[onchain offchain address message peers info invoices signer macaroon uri]")
	if _, err := bakes(); err == nil {
		t.Error("a macaroon for nothing is baked")
	}
	s, err := bakes(&lnrpc.MacaroonPermission{Entity: "info", Action: "read"}, &lnrpc.MacaroonPermission{Entity: "offchain", Action: "read"})
	check(t, err)
	m, err := parseMacaroon(s)
	check(t, err)
	if m.Version() != macaroon.V2 || m.Location() != "lnd" || m.Id()[0] != 3 {
		t.Errorf("baked %v at %q with %x", m.Version(), m.Location(), m.Id())
	}
	if _, err := nodes[0].Bake("/nothing"); err == nil {
		t.Error("a macaroon for an unknown call is baked")
	}
}
