package lnclient

import (
	"testing"

	"github.com/lightningnetwork/lnd/lnrpc"

	"paygate/units"
)

func TestLiquidityCountsWhatCanMove(t *testing.T) {
	reserve := func(sat uint64) *lnrpc.ChannelConstraints { return &lnrpc.ChannelConstraints{ChanReserveSat: sat} }
	pending := &lnrpc.ChannelBalanceResponse{
		PendingOpenLocalBalance: &lnrpc.Amount{Msat: 7000}, PendingOpenRemoteBalance: &lnrpc.Amount{Msat: 8000},
	}
	for _, tt := range []struct {
		name     string
		channels []*lnrpc.Channel
		sums     *lnrpc.ChannelBalanceResponse
		want     Liquidity
	}{
		{"none", nil, &lnrpc.ChannelBalanceResponse{}, Liquidity{}},
		{"one being opened", nil, pending, Liquidity{PendingOut: 7000, PendingIn: 8000}},
		{
			"two, less their reserves",
			[]*lnrpc.Channel{
				{Active: true, LocalBalance: 500, RemoteBalance: 90, LocalConstraints: reserve(100), RemoteConstraints: reserve(10)},
				{Active: true, LocalBalance: 300, RemoteBalance: 700},
			},
			nil,
			Liquidity{Channels: 2, Active: 2, Out: 700 * units.Sat, In: 780 * units.Sat, LargestOut: 400 * units.Sat, LargestIn: 700 * units.Sat},
		},
		{
			"one whose peer is away",
			[]*lnrpc.Channel{{LocalBalance: 500, RemoteBalance: 500}, {Active: true, LocalBalance: 1}},
			nil,
			Liquidity{Channels: 2, Active: 1, Out: units.Sat, LargestOut: units.Sat},
		},
		{
			"one below its reserve",
			[]*lnrpc.Channel{{Active: true, LocalBalance: 5, LocalConstraints: reserve(10), RemoteBalance: 20}},
			nil,
			Liquidity{Channels: 1, Active: 1, In: 20 * units.Sat, LargestIn: 20 * units.Sat},
		},
	} {
		if got := liquidityOf(tt.channels, tt.sums); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
