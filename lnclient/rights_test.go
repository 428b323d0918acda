package lnclient

import (
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/macaroon.v2"

	"paygate/units"
)

// readMacaroons returns the macaroons of testdata, which lncli has made.
func readMacaroons(t testing.TB) map[string]units.Secret {
	t.Helper()
	data, err := os.ReadFile("testdata/macaroons.txt")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]units.Secret{}
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			found[name] = units.Secret(value)
		}
	}
	return found
}

func names(rights []Right) string {
	texts := make([]string, len(rights))
	for i, r := range rights {
		texts[i] = r.String()
	}
	return strings.Join(texts, " ")
}

func TestInspectMacaroon(t *testing.T) {
	all := Permissions(true, true)
	for _, tt := range []struct {
		name              string
		uris              []string
		missing           string
		harmful, harmless string
	}{
		{"sell", SellPermissions(), "", "", ""},
		{"sell", all, "/routerrpc.Router/SendPaymentV2 /routerrpc.Router/TrackPaymentV2", "", ""},
		{"buy", BuyPermissions(), "", "", ""},
		{
			"buy", SellPermissions(), "/lnrpc.Lightning/AddInvoice /lnrpc.Lightning/LookupInvoice /lnrpc.Lightning/ListInvoices " +
				"/lnrpc.Lightning/SubscribeInvoices /invoicesrpc.Invoices/CancelInvoice",
			"uri:/routerrpc.Router/SendPaymentV2", "uri:/routerrpc.Router/TrackPaymentV2",
		},
		{"both", all, "", "", ""},
		{"both", SellPermissions(), "", "uri:/routerrpc.Router/SendPaymentV2", "uri:/routerrpc.Router/TrackPaymentV2"},
		{
			"admin", all, "", "macaroon:generate macaroon:write offchain:write onchain:write signer:generate",
			"address:read address:write info:read info:write invoices:read invoices:write macaroon:read message:read message:write " +
				"offchain:read onchain:read peers:read peers:write signer:read",
		},
		{
			"readonly", all, "/lnrpc.Lightning/AddInvoice /lnrpc.Lightning/LookupInvoice /lnrpc.Lightning/ListInvoices " +
				"/lnrpc.Lightning/SubscribeInvoices /invoicesrpc.Invoices/CancelInvoice /routerrpc.Router/SendPaymentV2",
			"", "info:read offchain:read onchain:read",
		},
		{
			"invoice", SellPermissions(), "/lnrpc.Lightning/GetInfo /lnrpc.Lightning/ListChannels /lnrpc.Lightning/ChannelBalance",
			"", "address:read address:write invoices:read invoices:write onchain:read",
		},
		{"entities", all, "", "offchain:write", "info:read invoices:read invoices:write offchain:read"},
		{"sendcoins", all, "/routerrpc.Router/SendPaymentV2 /routerrpc.Router/TrackPaymentV2", "uri:/lnrpc.Lightning/SendCoins", ""},
		{"hold", SellPermissions(), "", "", "uri:/invoicesrpc.Invoices/AddHoldInvoice"},
	} {
		r, err := InspectMacaroon(readMacaroons(t)[tt.name])
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := strings.Join(r.Missing(tt.uris), " "); got != tt.missing {
			t.Errorf("%s lacks %q, want %q", tt.name, got, tt.missing)
		}
		harmful, harmless := r.Beyond(tt.uris)
		if names(harmful) != tt.harmful || names(harmless) != tt.harmless {
			t.Errorf("%s goes beyond with %q and %q, want %q and %q", tt.name, names(harmful), names(harmless), tt.harmful, tt.harmless)
		}
		if !r.Expires.IsZero() || r.Caveats != nil {
			t.Errorf("%s has conditions: %+v", tt.name, r)
		}
	}
}

func TestInspectMacaroonReadsConditions(t *testing.T) {
	r, err := InspectMacaroon(readMacaroons(t)["expiring"])
	if err != nil || r.Expires.Year() != 2026 || !slices.Equal(r.Caveats, []string{"ipaddr 127.0.0.1"}) {
		t.Errorf("%+v, %v", r, err)
	}
	early, late := "time-before 2026-01-02T03:04:05Z", "time-before 2027-01-02T03:04:05Z"
	for _, order := range [][]string{{early, late}, {late, early}} {
		var r Rights
		for _, c := range append(order, "time-before noon") {
			r.addCaveat(c)
		}
		if !r.Expires.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) || !slices.Equal(r.Caveats, []string{"time-before noon"}) {
			t.Errorf("%q: %+v", order, r)
		}
	}
}

func TestInspectMacaroonRefusesWhatItCannotRead(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    units.Secret
		want error
	}{
		{"nothing", "", errNotMacaroon},
		{"text", "admin.macaroon", errNotHex},
		{"other bytes", "0a0a0a0a", errNotMacaroon},
		{"a macaroon of another program", foreign(t, "user 7"), ErrUnreadableRights},
		{"one with an empty id", foreign(t, ""), ErrUnreadableRights},
		{"one without rights", foreign(t, "\x03"), ErrUnreadableRights},
		{"one with a broken id", foreign(t, "\x03\xff"), ErrUnreadableRights},
	} {
		if r, err := InspectMacaroon(tt.s); !errors.Is(err, tt.want) || len(r.List) != 0 {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
	}
}

func foreign(t *testing.T, id string) units.Secret {
	t.Helper()
	m, err := macaroon.New([]byte("key"), []byte(id), "", macaroon.V2)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return units.Secret(hex.EncodeToString(raw))
}

// TestUnknownRightsCountAsHarmful: a right that nobody here knows may be one that a later lnd, or a program beside it,
// spends money by.
func TestUnknownRightsCountAsHarmful(t *testing.T) {
	r := Rights{List: []Right{{"uri", "/new.Service/Call"}, {"loop", "read"}, {"info", "delegate"}, {"onchain", "read"}}}
	harmful, harmless := r.Beyond(SellPermissions())
	if names(harmful) != "uri:/new.Service/Call loop:read info:delegate" || names(harmless) != "onchain:read" {
		t.Errorf("%q and %q", names(harmful), names(harmless))
	}
}

func TestEveryNeededCallHasARight(t *testing.T) {
	for _, u := range Permissions(true, true) {
		if neededRights[u] == (Right{}) {
			t.Errorf("%s has none", u)
		}
	}
}

// FuzzInspectMacaroon: whatever the bytes, reading them neither panics nor makes rights out of nothing.
func FuzzInspectMacaroon(f *testing.F) {
	for _, s := range readMacaroons(f) {
		f.Add(s.Reveal())
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := InspectMacaroon(units.Secret(s))
		if (err == nil) != (len(r.List) > 0) {
			t.Errorf("%+v, %v", r, err)
		}
	})
}
