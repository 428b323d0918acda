package lnclient

import (
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"google.golang.org/protobuf/proto"
	"gopkg.in/macaroon.v2"

	"paygate/units"
)

// Right is an action on an entity, as in lnd's bakemacaroon, or the use of one call where the entity is "uri".
type Right struct{ Entity, Action string }

// String prints the right as lncli takes it.
func (r Right) String() string { return r.Entity + ":" + r.Action }

// Rights are what a macaroon allows, as it says itself. Only its node can tell whether it is genuine.
type Rights struct {
	List    []Right
	Expires time.Time // zero: never
	Caveats []string  // other conditions, as they stand in the macaroon
}

const (
	macaroonIDVersion = 3 // the first byte of an id that lnd's macaroon bakery has made; a MacaroonId follows
	entityURI         = "uri"
	caveatExpiry      = "time-before"
)

// ErrUnreadableRights says that the bytes are a macaroon, but not of lnd's kind: only the node knows what it allows.
var ErrUnreadableRights = errors.New("the macaroon does not say what it allows")

// InspectMacaroon reads what a macaroon allows, given in hexadecimal digits, without asking any node. Its error never
// shows the macaroon.
func InspectMacaroon(s units.Secret) (Rights, error) {
	raw, err := hex.DecodeString(strings.TrimSpace(s.Reveal()))
	if err != nil {
		return Rights{}, errNotHex
	}
	var m macaroon.Macaroon
	if err := m.UnmarshalBinary(raw); err != nil {
		return Rights{}, errNotMacaroon
	}
	r, err := readRights(m.Id())
	if err != nil {
		return Rights{}, err
	}
	for _, c := range m.Caveats() {
		r.addCaveat(string(c.Id))
	}
	return r, nil
}

func readRights(id []byte) (Rights, error) {
	var known lnrpc.MacaroonId
	if len(id) == 0 || id[0] != macaroonIDVersion || proto.Unmarshal(id[1:], &known) != nil || len(known.Ops) == 0 {
		return Rights{}, ErrUnreadableRights
	}
	var r Rights
	for _, op := range known.Ops {
		for _, action := range op.Actions {
			r.List = append(r.List, Right{op.Entity, action})
		}
	}
	return r, nil
}

// addCaveat takes a condition in. The earliest expiry counts.
func (r *Rights) addCaveat(text string) {
	if name, arg, _ := strings.Cut(text, " "); name == caveatExpiry {
		if t, err := time.Parse(time.RFC3339Nano, arg); err == nil {
			if r.Expires.IsZero() || t.Before(r.Expires) {
				r.Expires = t
			}
			return
		}
	}
	r.Caveats = append(r.Caveats, text)
}

// Missing are those of the calls that the macaroon does not allow. The calls must be of SellPermissions or
// BuyPermissions.
func (r Rights) Missing(uris []string) []string {
	var missing []string
	for _, u := range uris {
		if !slices.Contains(r.List, Right{entityURI, u}) && !slices.Contains(r.List, neededRights[u]) {
			missing = append(missing, u)
		}
	}
	return missing
}

// Beyond are the rights that go beyond the calls. Harmful ones could move money, or make a macaroon that can; what is
// not known to be harmless counts as harmful.
func (r Rights) Beyond(uris []string) (harmful, harmless []Right) {
	for _, x := range r.List {
		switch {
		case x.Entity == entityURI && slices.Contains(uris, x.Action):
		case x.harmless():
			harmless = append(harmless, x)
		default:
			harmful = append(harmful, x)
		}
	}
	return harmful, harmless
}

// harmless reports whether a right cannot move money by itself: it reads, or it writes what is not money.
func (r Right) harmless() bool {
	if r.Entity == entityURI {
		return slices.Contains(harmlessCalls, r.Action)
	}
	if !slices.Contains(lndEntities, r.Entity) {
		return false
	}
	return r.Action == "read" || r.Action == "write" && slices.Contains(harmlessWrites, r.Entity)
}

var (
	lndEntities    = []string{"onchain", "offchain", "address", "message", "peers", "info", "invoices", "signer", "macaroon"}
	harmlessWrites = []string{"address", "message", "peers", "info", "invoices"}
)

// harmlessCalls are the calls, of those that people put into macaroons by name, that cannot move money (lnd v0.21).
var harmlessCalls = []string{
	uriGetInfo, uriListChannels, uriChannelBalance, uriAddInvoice, uriLookupInvoice, uriListInvoices,
	uriSubscribeInvoices, uriCancelInvoice, uriTrackPayment,
	"/lnrpc.Lightning/DecodePayReq",
	"/lnrpc.Lightning/GetChanInfo",
	"/lnrpc.Lightning/GetNodeInfo",
	"/lnrpc.Lightning/ListPayments",
	"/lnrpc.Lightning/ListPeers",
	"/lnrpc.Lightning/PendingChannels",
	"/lnrpc.Lightning/QueryRoutes",
	"/lnrpc.Lightning/SubscribeChannelEvents",
	"/lnrpc.Lightning/WalletBalance",
	"/lnrpc.State/GetState",
	"/lnrpc.State/SubscribeState",
	"/invoicesrpc.Invoices/AddHoldInvoice",
	"/invoicesrpc.Invoices/LookupInvoiceV2",
	"/invoicesrpc.Invoices/SettleInvoice",
	"/invoicesrpc.Invoices/SubscribeSingleInvoice",
	"/routerrpc.Router/EstimateRouteFee",
	"/routerrpc.Router/TrackPayments",
	"/verrpc.Versioner/GetVersion",
}
