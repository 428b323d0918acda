package lnclient

import (
	"context"

	"github.com/lightningnetwork/lnd/lnrpc"

	"paygate/units"
)

// Liquidity is what the node's channels can carry now. Out and In add up the active channels, without the reserve that
// each side must keep; what routes and fees leave of that, only a payment tells.
type Liquidity struct {
	Channels, Active      int
	Out, In               units.Msat // can be sent, can be received
	LargestOut, LargestIn units.Msat // in one channel: the most that an undivided payment can be
	PendingOut, PendingIn units.Msat // in channels that are being opened
}

// Liquidity asks the node what it can send and receive. It changes nothing.
func (c *Client) Liquidity(ctx context.Context) (Liquidity, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	list, err := c.node.ListChannels(ctx, &lnrpc.ListChannelsRequest{})
	if err != nil {
		return Liquidity{}, c.problem(ctx, "list channels", err)
	}
	sums, err := c.node.ChannelBalance(ctx, &lnrpc.ChannelBalanceRequest{})
	if err != nil {
		return Liquidity{}, c.problem(ctx, "ask for the channels' balance", err)
	}
	return liquidityOf(list.Channels, sums), nil
}

func liquidityOf(channels []*lnrpc.Channel, sums *lnrpc.ChannelBalanceResponse) Liquidity {
	l := Liquidity{
		Channels:   len(channels),
		PendingOut: units.Msat(sums.GetPendingOpenLocalBalance().GetMsat()),
		PendingIn:  units.Msat(sums.GetPendingOpenRemoteBalance().GetMsat()),
	}
	for _, c := range channels {
		if !c.Active {
			continue
		}
		out, in := usable(c.LocalBalance, c.LocalConstraints), usable(c.RemoteBalance, c.RemoteConstraints)
		l.Active++
		l.Out += out
		l.In += in
		l.LargestOut = max(l.LargestOut, out)
		l.LargestIn = max(l.LargestIn, in)
	}
	return l
}

// usable is what one side of a channel can send of its balance, in sat, without its reserve.
func usable(balance int64, limits *lnrpc.ChannelConstraints) units.Msat {
	return units.Msat(max(0, balance-int64(limits.GetChanReserveSat()))) * units.Sat
}
