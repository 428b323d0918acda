package sandbox

import (
	"context"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"paygate/units"
)

// longestLock is lnd's limit of a route in blocks.
const longestLock = 2016

// router is lnd's payment service.
type router struct {
	routerrpc.UnimplementedRouterServer
	node *Node
}

// SendPaymentV2 takes a payment and reports on it until it ends. The payment goes on without the caller.
func (r *router) SendPaymentV2(req *routerrpc.SendPaymentRequest, stream routerrpc.Router_SendPaymentV2Server) error {
	if r.node.net.hit(DropUnheard, r.node.alias) {
		r.node.drop(stream.Context())
		return context.Canceled
	}
	in, err := r.node.intent(req)
	if err != nil {
		return err
	}
	n := r.node.net
	n.mu.Lock()
	p, err := n.begin(in)
	var drop bool
	if err == nil {
		_, drop = n.take(DropConnection, r.node.alias)
	}
	n.mu.Unlock()
	if err != nil {
		return err
	}
	if drop {
		r.node.drop(stream.Context())
	}
	return n.report(p, req.NoInflightUpdates, stream)
}

// TrackPaymentV2 reports on a payment that was taken before.
func (r *router) TrackPaymentV2(req *routerrpc.TrackPaymentRequest, stream routerrpc.Router_TrackPaymentV2Server) error {
	if len(req.PaymentHash) != 32 {
		return fmt.Errorf("invalid hash length of %v, want 32", len(req.PaymentHash))
	}
	n := r.node.net
	n.mu.Lock()
	p := r.node.account.payments[units.PaymentHash(req.PaymentHash)]
	n.mu.Unlock()
	if p == nil {
		return errNotInitiated()
	}
	return n.report(p, req.NoInflightUpdates, stream)
}

// report sends the payment as it is now and, if it is under way, once more when it ends.
func (n *Network) report(p *payment, quiet bool, stream interface {
	Send(*lnrpc.Payment) error
	Context() context.Context
},
) error {
	for {
		msg, ended := n.rpcPayment(p)
		if ended || !quiet {
			if err := stream.Send(msg); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
		select {
		case <-p.changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// intent makes the checks that lnd makes before it records anything, in its order.
func (node *Node) intent(req *routerrpc.SendPaymentRequest) (intent, error) {
	limit := uint32(req.CltvLimit)
	if limit > longestLock {
		return intent{}, errTimeLock(limit, longestLock)
	}
	if limit == 0 {
		limit = longestLock
	}
	feeLimit, err := oneAmount(req.FeeLimitSat, req.FeeLimitMsat)
	if err != nil {
		return intent{}, err
	}
	if req.PaymentRequest == "" {
		return intent{}, fmt.Errorf("the sandbox pays requests only")
	}
	inv, err := zpay32.Decode(req.PaymentRequest, &chaincfg.RegressionNetParams)
	if err != nil {
		return intent{}, err
	}
	msat, err := node.payable(req, inv)
	if err != nil {
		return intent{}, err
	}
	final := uint32(inv.MinFinalCLTVExpiry())
	if limit <= final+finalPadding {
		return intent{}, errCLTVLimit(limit, final+finalPadding)
	}
	payee := units.NodeKey(inv.Destination.SerializeCompressed())
	if !req.AllowSelfPayment && payee == node.account.key {
		return intent{}, errSelfPayment
	}
	addr := inv.PaymentAddr.UnwrapOr([32]byte{})
	return intent{
		from: node.account, hash: *inv.PaymentHash, addr: addr[:], request: req.PaymentRequest, payee: payee,
		journey: journey{from: node.alias, msat: msat, feeLimit: feeLimit, cltvLimit: limit, finalCLTV: final},
	}, nil
}

// payable checks expiry and amount, and that the invoice is a plain one.
func (node *Node) payable(req *routerrpc.SendPaymentRequest, inv *zpay32.Invoice) (units.Msat, error) {
	if until := inv.Timestamp.Add(inv.Expiry()); node.net.now().After(until) {
		return 0, errInvoiceExpired(until)
	}
	asked, err := oneAmount(req.Amt, req.AmtMsat)
	switch {
	case err != nil:
		return 0, err
	case inv.MilliSat == nil && asked == 0:
		return 0, errNeedsAmount
	case inv.MilliSat != nil && asked != 0:
		return 0, errAmountTwice
	case inv.Features.HasFeature(lnwire.AMPOptional):
		return 0, errNeedsAMP
	case inv.MilliSat != nil:
		return units.Msat(*inv.MilliSat), nil
	}
	return asked, nil
}

func oneAmount(sat, msat int64) (units.Msat, error) {
	switch {
	case sat != 0 && msat != 0:
		return 0, errBothAmounts
	case sat < 0 || msat < 0:
		return 0, errNegativeAmount
	}
	return units.Msat(sat)*units.Sat + units.Msat(msat), nil
}

// noPreimage is what lnd shows for a payment that has not succeeded.
var noPreimage = hexBytes(make([]byte, 32))

// attempts shows the one part in which the sandbox sends a payment, if it has set out.
func attempts(p *payment) []*lnrpc.HTLCAttempt {
	if len(p.Hops) == 0 {
		return nil
	}
	a := &lnrpc.HTLCAttempt{Route: &lnrpc.Route{}}
	for _, h := range p.Hops {
		a.Route.Hops = append(a.Route.Hops, &lnrpc.Hop{ChanId: channelID(h.Channel), AmtToForwardMsat: int64(h.Msat)})
	}
	switch p.status {
	case lnrpc.Payment_SUCCEEDED:
		a.Status = lnrpc.HTLCAttempt_SUCCEEDED
	case lnrpc.Payment_FAILED:
		a.Status = lnrpc.HTLCAttempt_FAILED
	}
	return []*lnrpc.HTLCAttempt{a}
}

// rpcPayment puts a payment in lnd's form.
func (n *Network) rpcPayment(p *payment) (msg *lnrpc.Payment, ended bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	msg = &lnrpc.Payment{
		PaymentHash:     p.Hash.String(),
		Value:           int64(p.Msat / units.Sat),
		ValueSat:        int64(p.Msat / units.Sat),
		ValueMsat:       int64(p.Msat),
		CreationDate:    p.Created.Unix(),
		CreationTimeNs:  p.Created.UnixNano(),
		PaymentPreimage: noPreimage.String(),
		PaymentRequest:  p.Request,
		Status:          p.status,
		PaymentIndex:    p.index,
		FailureReason:   lnrpc.PaymentFailureReason(lnrpc.PaymentFailureReason_value[p.Reason]),
		Htlcs:           attempts(p),
	}
	if p.status == lnrpc.Payment_SUCCEEDED {
		msg.PaymentPreimage = p.preimage.String()
		msg.FeeSat, msg.FeeMsat = int64(p.Fee/units.Sat), int64(p.Fee)
		msg.Fee = msg.FeeSat //nolint:staticcheck // deprecated, but lnd still sets it
	}
	return msg, p.ended()
}
