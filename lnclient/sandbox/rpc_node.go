package sandbox

import (
	"context"

	"github.com/lightningnetwork/lnd/lnrpc"

	"paygate/units"
)

// lightning is lnd's main service.
type lightning struct {
	lnrpc.UnimplementedLightningServer
	node *Node
}

const (
	version     = "0.21.0-beta sandbox"
	blockHeight = 450
	networkName = "regtest"
)

// GetInfo tells who the node is.
func (l *lightning) GetInfo(context.Context, *lnrpc.GetInfoRequest) (*lnrpc.GetInfoResponse, error) {
	n := l.node.net
	n.mu.Lock()
	defer n.mu.Unlock()
	synced := n.findFault(Unsynced, l.node.alias) < 0
	r := &lnrpc.GetInfoResponse{
		Version:             version,
		IdentityPubkey:      l.node.account.key.String(),
		Alias:               l.node.alias,
		BlockHeight:         blockHeight,
		BestHeaderTimestamp: n.now().Unix(),
		SyncedToChain:       synced,
		SyncedToGraph:       synced,
		Chains:              []*lnrpc.Chain{{Chain: "bitcoin", Network: networkName}},
	}
	for _, c := range n.state.channels {
		switch {
		case !c.has(l.node.alias):
		case n.up(c.peer(l.node.alias)):
			r.NumActiveChannels++
			r.NumPeers++
		default:
			r.NumInactiveChannels++
		}
	}
	return r, nil
}

func amount(m units.Msat) *lnrpc.Amount {
	return &lnrpc.Amount{Sat: uint64(m / units.Sat), Msat: uint64(m)}
}

// ChannelBalance adds up both sides of the node's channels.
func (l *lightning) ChannelBalance(context.Context, *lnrpc.ChannelBalanceRequest) (*lnrpc.ChannelBalanceResponse, error) {
	n := l.node.net
	n.mu.Lock()
	defer n.mu.Unlock()
	var balance, held [2]units.Msat
	for _, c := range n.state.channels {
		if !c.has(l.node.alias) {
			continue
		}
		side := c.side(l.node.alias)
		balance[0] += c.balance[side]
		balance[1] += c.balance[1-side]
		held[0] += c.held[side]
		held[1] += c.held[1-side]
	}
	return &lnrpc.ChannelBalanceResponse{
		Balance:                int64(balance[0] / units.Sat),
		LocalBalance:           amount(balance[0]),
		RemoteBalance:          amount(balance[1]),
		UnsettledLocalBalance:  amount(held[0]),
		UnsettledRemoteBalance: amount(held[1]),
	}, nil
}

// ListChannels shows the node's channels. Filters are those of lnd for active and inactive ones.
func (l *lightning) ListChannels(_ context.Context, req *lnrpc.ListChannelsRequest) (*lnrpc.ListChannelsResponse, error) {
	n := l.node.net
	n.mu.Lock()
	defer n.mu.Unlock()
	r := &lnrpc.ListChannelsResponse{}
	for _, c := range n.state.channels {
		if !c.has(l.node.alias) {
			continue
		}
		active := n.up(c.peer(l.node.alias))
		if req.ActiveOnly && !active || req.InactiveOnly && active {
			continue
		}
		r.Channels = append(r.Channels, n.rpcChannel(c, l.node.alias, active))
	}
	return r, nil
}

func (n *Network) rpcChannel(c *channel, alias string, active bool) *lnrpc.Channel {
	side := c.side(alias)
	limits := &lnrpc.ChannelConstraints{
		MinHtlcMsat: 1, MaxAcceptedHtlcs: maxPending, MaxPendingAmtMsat: uint64(c.Capacity),
	}
	return &lnrpc.Channel{
		Active:            active,
		RemotePubkey:      n.state.accounts[c.peer(alias)].key.String(),
		PeerAlias:         c.peer(alias),
		ChanId:            channelID(c.ID),
		Capacity:          int64(c.Capacity / units.Sat),
		LocalBalance:      int64(c.balance[side] / units.Sat),
		RemoteBalance:     int64(c.balance[1-side] / units.Sat),
		UnsettledBalance:  int64((c.held[0] + c.held[1]) / units.Sat),
		Initiator:         side == 0,
		LocalConstraints:  limits,
		RemoteConstraints: limits,
		PendingHtlcs:      n.pendingHTLCs(c, alias),
	}
}

// pendingHTLCs are the parts in flight that a channel holds, as one of its nodes sees them. The lock is held.
func (n *Network) pendingHTLCs(c *channel, alias string) (list []*lnrpc.HTLC) {
	for _, a := range n.state.accounts {
		for _, p := range a.payments {
			if p.ended() {
				continue
			}
			for _, h := range p.Hops {
				if h.Channel == c.ID {
					list = append(list, &lnrpc.HTLC{
						Incoming: h.From != alias, Amount: int64(h.Msat / units.Sat), HashLock: p.Hash, ExpirationHeight: longestLock,
					})
				}
			}
		}
	}
	return list
}

// channelID looks like a short channel id (BOLT 7): block, transaction, output.
func channelID(id uint64) uint64 { return blockHeight<<40 | id<<16 }

// BakeMacaroon makes a macaroon with some of the node's rights.
func (l *lightning) BakeMacaroon(_ context.Context, req *lnrpc.BakeMacaroonRequest) (*lnrpc.BakeMacaroonResponse, error) {
	ops, err := parseOps(req.Permissions)
	if err != nil {
		return nil, err
	}
	m, err := bake(l.node.account.RootKey, ops)
	if err != nil {
		return nil, err
	}
	return &lnrpc.BakeMacaroonResponse{Macaroon: m.Reveal()}, nil
}
