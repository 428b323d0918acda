package lnclient

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"paygate/units"
)

// MaxRequest is the longest request that is looked at, in bytes. One of a node with private channels carries route
// hints, of 52 bytes each before encoding, and stays far below.
const MaxRequest = 4096

// Decoded is what a BOLT 11 request says. Its signature has been checked against Payee.
type Decoded struct {
	Network            string
	Payee              units.NodeKey
	Hash               units.PaymentHash
	Msat               units.Msat
	HasMsat            bool // false: the payer chooses the amount
	DescriptionHash    [32]byte
	HasDescriptionHash bool
	Expires            time.Time
	FinalCLTV          uint64 // blocks; 24 where the request names none, as lnd assumes
	AMP                bool   // asks for an atomic multi-path payment, whose hash is not Hash
}

// WrongNetworkError says that a request is good for another network.
type WrongNetworkError struct{ Wanted, Got string }

func (e *WrongNetworkError) Error() string {
	return fmt.Sprintf("the request is for %s, not for %s", e.Got, e.Wanted)
}

// Decode reads a request without asking any node. The request comes from strangers: it is bounded in size, and its
// amount to what exists. A request for another network is a *WrongNetworkError; every error unwraps to *Problem.
func Decode(request string, network string) (Decoded, error) {
	d, err := decode(request, network)
	if err != nil {
		return Decoded{}, newProblem(Other, fmt.Errorf("read payment request: %w", err))
	}
	return d, nil
}

func decode(request, network string) (Decoded, error) {
	params, err := networkParams(network)
	if err != nil {
		return Decoded{}, err
	}
	if len(request) > MaxRequest {
		return Decoded{}, fmt.Errorf("%d bytes are too many", len(request))
	}
	if got := requestNetwork(request); got != network {
		return Decoded{}, &WrongNetworkError{Wanted: network, Got: got}
	}
	inv, err := zpay32.Decode(request, params)
	if err != nil {
		return Decoded{}, err
	}
	return fromInvoice(inv, network)
}

func fromInvoice(inv *zpay32.Invoice, network string) (Decoded, error) {
	if inv.PaymentHash == nil || inv.Destination == nil {
		return Decoded{}, errors.New("it names no payment hash or no payee")
	}
	d := Decoded{
		Network:   network,
		Payee:     units.NodeKey(inv.Destination.SerializeCompressed()),
		Hash:      *inv.PaymentHash,
		FinalCLTV: inv.MinFinalCLTVExpiry(),
		AMP:       inv.Features != nil && inv.Features.HasFeature(lnwire.AMPOptional),
	}
	if inv.MilliSat != nil {
		if *inv.MilliSat > lnwire.MilliSatoshi(units.MaxMsat) {
			return Decoded{}, errors.New("its amount is more than all bitcoin")
		}
		d.Msat, d.HasMsat = units.Msat(*inv.MilliSat), true
	}
	if inv.DescriptionHash != nil {
		d.DescriptionHash, d.HasDescriptionHash = *inv.DescriptionHash, true
	}
	d.Expires = expiryOf(inv)
	return d, nil
}

// maxExpiry keeps the sum of timestamp and expiry, both a stranger's, inside a time.Time.
const maxExpiry = 100 * 365 * 24 * time.Hour

func expiryOf(inv *zpay32.Invoice) time.Time {
	e := inv.Expiry()
	if e < 0 {
		e = 0
	}
	return inv.Timestamp.Add(min(e, maxExpiry))
}

// requestNetwork tells the network from the letters before the amount.
func requestNetwork(request string) string {
	rest, ok := strings.CutPrefix(strings.ToLower(request[:min(len(request), 8)]), "ln")
	if !ok {
		return "no Lightning network"
	}
	for _, p := range requestPrefixes {
		if strings.HasPrefix(rest, p.prefix) {
			return p.network
		}
	}
	return "no known network"
}
