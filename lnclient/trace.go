package lnclient

import (
	"context"
	"fmt"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc/codes"

	"paygate/units"
)

// Sighting is a payment as lnd knows it at this moment.
type Sighting struct {
	Outcome
	// Channels are those over which parts have left that lnd has not seen end, as short channel ids (BOLT 7).
	Channels []uint64
}

// Look asks lnd what it knows of a payment now, and does not wait for the end. With a nil error InFlight is lnd's own
// word; NeverSent means that it has no record now, which proves nothing while a call of Pay is under way.
func (c *Client) Look(ctx context.Context, hash units.PaymentHash) (Sighting, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	stream, err := c.router.TrackPaymentV2(ctx, &routerrpc.TrackPaymentRequest{PaymentHash: hash[:]})
	if err != nil {
		return Sighting{}, c.problem(ctx, "look payment up", err)
	}
	p, err := stream.Recv()
	if hasCode(err, codes.NotFound) {
		return Sighting{Outcome: Outcome{State: NeverSent}}, nil
	}
	if err != nil {
		return Sighting{}, c.problem(ctx, "look payment up", err)
	}
	out, _, err := outcomeOf(p)
	if err != nil {
		return Sighting{}, newProblem(Other, fmt.Errorf("look payment up: %w", err))
	}
	return Sighting{Outcome: out, Channels: undecided(p)}, nil
}

// undecided are the first channels of parts that are in flight.
func undecided(p *lnrpc.Payment) (channels []uint64) {
	for _, h := range p.Htlcs {
		if h.Status == lnrpc.HTLCAttempt_IN_FLIGHT && h.Route != nil && len(h.Route.Hops) > 0 {
			channels = append(channels, h.Route.Hops[0].ChanId)
		}
	}
	return channels
}

// Holding is what the node's open channels hold of one payment hash.
type Holding struct {
	HTLCs []HTLC
	Count int                 // open channels, active or not
	Names map[uint64]struct{} // every id that an open channel goes by, aliases included
}

// HTLC is an amount that a channel holds until a hash is resolved (BOLT 2).
type HTLC struct {
	Channel  uint64 // short channel id
	Incoming bool
	Msat     units.Msat // whole satoshi
	Expiry   uint32     // block height
}

// PendingHTLC looks through the node's open channels, active or not, for HTLCs with a payment hash. A channel that is
// being closed is not among them: its HTLCs are decided on the chain.
func (c *Client) PendingHTLC(ctx context.Context, hash units.PaymentHash) (Holding, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := c.node.ListChannels(ctx, &lnrpc.ListChannelsRequest{})
	if err != nil {
		return Holding{}, c.problem(ctx, "list channels", err)
	}
	h := Holding{Count: len(r.Channels), Names: make(map[uint64]struct{})}
	for _, ch := range r.Channels {
		h.add(ch, hash)
	}
	return h, nil
}

func (h *Holding) add(ch *lnrpc.Channel, hash units.PaymentHash) {
	for _, id := range append([]uint64{ch.ChanId, ch.PeerScidAlias, ch.ZeroConfConfirmedScid}, ch.AliasScids...) {
		if id != 0 {
			h.Names[id] = struct{}{}
		}
	}
	for _, p := range ch.PendingHtlcs {
		if string(p.HashLock) == string(hash[:]) {
			h.HTLCs = append(h.HTLCs, HTLC{
				Channel: ch.ChanId, Incoming: p.Incoming, Msat: units.Msat(p.Amount) * units.Sat, Expiry: p.ExpirationHeight,
			})
		}
	}
}
