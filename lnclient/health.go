package lnclient

import (
	"context"
	"errors"

	"github.com/lightningnetwork/lnd/lnrpc"
	"google.golang.org/grpc/codes"
)

// Ready asks the node whether it is ready for everything, and returns nil or a *Problem that says what is missing.
// It needs no right of the macaroon.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	r, err := c.state.GetState(ctx, &lnrpc.GetStateRequest{})
	if err != nil {
		return c.problem(ctx, "ask node for its state", err)
	}
	if p := stateProblem(r.State); p != nil {
		return p
	}
	return nil
}

func stateProblem(s lnrpc.WalletState) *Problem {
	switch s {
	case lnrpc.WalletState_SERVER_ACTIVE:
		return nil
	case lnrpc.WalletState_NON_EXISTING:
		return newProblem(NoWallet, errors.New("the node has no wallet"))
	case lnrpc.WalletState_LOCKED:
		return newProblem(Locked, errors.New("the node's wallet is locked"))
	case lnrpc.WalletState_RPC_ACTIVE:
		return newProblem(Unsynced, errors.New("the node has not synced with the chain"))
	}
	return newProblem(Starting, errors.New("the node is starting"))
}

// blockedProblem explains a call that may have been blocked by a node that has never synced: such a node answers
// nothing at all, and only its state tells.
func (c *Client) blockedProblem(parent, call context.Context, what string, err error) *Problem {
	p := c.problem(call, what, err)
	if hasCode(err, codes.DeadlineExceeded) && parent.Err() == nil {
		var state *Problem
		if errors.As(c.Ready(parent), &state) && state.Kind != Other {
			p.Kind, p.Remedy = state.Kind, state.Remedy
		}
	}
	return p
}
