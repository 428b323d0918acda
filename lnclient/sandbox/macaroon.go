package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"google.golang.org/protobuf/proto"
	"gopkg.in/macaroon.v2"

	"paygate/units"
)

// Macaroons here have lnd's form: version 2, location "lnd", and an id that is the byte 3 followed by a MacaroonId.
const (
	idVersion     = 3
	rootKeyID     = "0"
	uriEntity     = "uri"
	timeCaveat    = "time-before"
	macaroonPlace = "lnd"
)

// op is a right: an action on an entity, or the use of one call where the entity is "uri".
type op struct{ entity, action string }

// permissions are the rights that each call needs. Calls that are not here are refused to everyone.
var permissions = map[string]op{
	"/lnrpc.Lightning/GetInfo":              {"info", "read"},
	"/lnrpc.Lightning/ChannelBalance":       {"offchain", "read"},
	"/lnrpc.Lightning/ListChannels":         {"offchain", "read"},
	"/lnrpc.Lightning/DecodePayReq":         {"offchain", "read"},
	"/lnrpc.Lightning/AddInvoice":           {"invoices", "write"},
	"/lnrpc.Lightning/LookupInvoice":        {"invoices", "read"},
	"/lnrpc.Lightning/ListInvoices":         {"invoices", "read"},
	"/lnrpc.Lightning/SubscribeInvoices":    {"invoices", "read"},
	"/lnrpc.Lightning/BakeMacaroon":         {"macaroon", "generate"},
	"/invoicesrpc.Invoices/CancelInvoice":   {"invoices", "write"},
	"/routerrpc.Router/SendPaymentV2":       {"offchain", "write"},
	"/routerrpc.Router/TrackPaymentV2":      {"offchain", "read"},
	"/lnrpc.Lightning/WalletBalance":        {"onchain", "read"},
	"/lnrpc.Lightning/NewAddress":           {"address", "write"},
	"/lnrpc.Lightning/SendCoins":            {"onchain", "write"},
	"/lnrpc.Lightning/ListPayments":         {"offchain", "read"},
	"/lnrpc.Lightning/CloseChannel":         {"offchain", "write"},
	"/lnrpc.Lightning/StopDaemon":           {"info", "write"},
	"/invoicesrpc.Invoices/AddHoldInvoice":  {"invoices", "write"},
	"/invoicesrpc.Invoices/SettleInvoice":   {"invoices", "write"},
	"/invoicesrpc.Invoices/LookupInvoiceV2": {"invoices", "write"},
}

// open are the calls that need no macaroon.
var open = map[string]bool{"/lnrpc.State/GetState": true, "/lnrpc.State/SubscribeState": true}

var (
	entities = []string{"onchain", "offchain", "address", "message", "peers", "info", "invoices", "signer", "macaroon", uriEntity}
	actions  = []string{"read", "write", "generate"}
)

// adminOps are all rights, as in lnd's admin.macaroon.
func adminOps() []op {
	ops := []op{{"macaroon", "generate"}}
	for _, e := range entities[:len(entities)-1] {
		ops = append(ops, op{e, "read"}, op{e, "write"})
	}
	return ops
}

// bake makes a macaroon with the given rights.
func bake(rootKey []byte, ops []op) (units.Secret, error) {
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return "", fmt.Errorf("bake macaroon: %w", err)
	}
	id, err := proto.Marshal(&lnrpc.MacaroonId{Nonce: nonce, StorageId: []byte(rootKeyID), Ops: groupOps(ops)})
	if err != nil {
		return "", fmt.Errorf("bake macaroon: %w", err)
	}
	m, err := macaroon.New(rootKey, append([]byte{idVersion}, id...), macaroonPlace, macaroon.V2)
	if err != nil {
		return "", fmt.Errorf("bake macaroon: %w", err)
	}
	raw, err := m.MarshalBinary()
	if err != nil {
		return "", fmt.Errorf("bake macaroon: %w", err)
	}
	return units.Secret(hex.EncodeToString(raw)), nil
}

// groupOps puts the rights in the bakery's form: by entity, sorted.
func groupOps(ops []op) []*lnrpc.Op {
	ops = slices.Clone(ops)
	slices.SortFunc(ops, func(a, b op) int {
		return strings.Compare(a.entity+"\x00"+a.action, b.entity+"\x00"+b.action)
	})
	var out []*lnrpc.Op
	for _, o := range slices.Compact(ops) {
		if len(out) == 0 || out[len(out)-1].Entity != o.entity {
			out = append(out, &lnrpc.Op{Entity: o.entity})
		}
		last := out[len(out)-1]
		last.Actions = append(last.Actions, o.action)
	}
	return out
}

// authorize checks the macaroons of a call, in lnd's words.
func authorize(rootKey []byte, macaroons []string, method string, now time.Time) error {
	if open[method] {
		return nil
	}
	need, ok := permissions[method]
	if !ok {
		return errUnknownMethod(method)
	}
	if len(macaroons) != 1 {
		return errMacaroons(len(macaroons))
	}
	m, err := parseMacaroon(macaroons[0])
	if err != nil {
		return err
	}
	caveats, err := m.VerifySignature(rootKey, nil)
	if err != nil {
		return fmt.Errorf("verification failed: %w", err)
	}
	if err := checkCaveats(caveats, now); err != nil {
		return err
	}
	if allows(m.Id(), need) || allows(m.Id(), op{uriEntity, method}) {
		return nil
	}
	return errPermission
}

func parseMacaroon(s string) (*macaroon.Macaroon, error) {
	raw, err := hex.DecodeString(s)
	if err != nil {
		return nil, err
	}
	var m macaroon.Macaroon
	if err := m.UnmarshalBinary(raw); err != nil {
		return nil, err
	}
	if m.Version() != macaroon.V2 {
		return nil, fmt.Errorf("%w: %v", errBadVersion, m.Version())
	}
	if len(m.Id()) < 1 || m.Id()[0] != idVersion {
		return nil, errBadID
	}
	return &m, nil
}

// checkCaveats knows the time limit only; anything else fails, as an unknown caveat must.
func checkCaveats(caveats []string, now time.Time) error {
	for _, c := range caveats {
		name, arg, _ := strings.Cut(c, " ")
		if name != timeCaveat {
			return errCaveat(c, fmt.Errorf("caveat not recognized"))
		}
		until, err := time.Parse(time.RFC3339Nano, arg)
		if err != nil {
			return errCaveat(c, err)
		}
		if now.After(until) {
			return errCaveat(c, errExpiredMacaroon)
		}
	}
	return nil
}

func allows(id []byte, want op) bool {
	var m lnrpc.MacaroonId
	if proto.Unmarshal(id[1:], &m) != nil {
		return false
	}
	for _, o := range m.Ops {
		if o.Entity == want.entity && slices.Contains(o.Actions, want.action) {
			return true
		}
	}
	return false
}

// parseOps checks the rights that a caller wants baked.
func parseOps(in []*lnrpc.MacaroonPermission) ([]op, error) {
	if len(in) == 0 {
		return nil, errNoPermissions
	}
	ops := make([]op, len(in))
	for i, p := range in {
		_, known := permissions[p.Action]
		switch {
		case !slices.Contains(entities, p.Entity):
			return nil, errEntity
		case p.Entity == uriEntity && !known && !open[p.Action]:
			return nil, errBadURI
		case p.Entity != uriEntity && !slices.Contains(actions, p.Action):
			return nil, errAction
		}
		ops[i] = op{p.Entity, p.Action}
	}
	return ops, nil
}
