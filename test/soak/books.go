package main

import (
	"context"
	"fmt"

	"paygate/units"
)

// books are the sums of money as everybody tells them.
type books struct {
	Payments int `json:"payments"`

	Paid, Fees units.Msat // by the buyers' ledgers
	Held       units.Msat // credit with the seller, by the buyers' ledgers
	Pending    units.Msat

	Received, Earned, Owed, Debt units.Msat // by the seller's ledger

	NodeSent, NodeFees, NodeReceived units.Msat // by the simulated network
	Settled                          int
}

// books asks everybody, and names what differs.
func (s *soak) books(ctx context.Context) (b books, differences []string, err error) {
	for i, g := range s.gates {
		st, err := g.Status(ctx)
		if err != nil {
			return b, nil, err
		}
		t := st.Totals
		if i == 0 {
			b.Received, b.Earned, b.Owed, b.Debt = t.Received, t.Earned, t.CreditOwed, t.Earned+t.CreditOwed-t.Received
			b.Settled = t.PaymentsIn
			continue
		}
		b.Paid += t.Paid
		b.Fees += t.Fees
		b.Held += t.CreditHeld
		b.Pending += t.Pending
		b.Payments += t.PaymentsOut
	}
	from, err := s.network.Buyer.Stats(ctx)
	if err != nil {
		return b, nil, err
	}
	to, err := s.network.Seller.Stats(ctx)
	b.NodeSent, b.NodeFees, b.NodeReceived = from.SentMsat, from.FeesMsat, to.ReceivedMsat
	return b, b.differences(), err
}

func (b books) differences() (list []string) {
	for _, e := range []struct {
		what string
		a, b units.Msat
	}{
		{"paid by the buyers' ledgers, received by the seller's", b.Paid, b.Received},
		{"paid by the buyers' ledgers, sent by their node", b.Paid, b.NodeSent},
		{"fees by the buyers' ledgers, and by their node", b.Fees, b.NodeFees},
		{"received by the seller's ledger, and by its node", b.Received, b.NodeReceived},
		{"credit by the buyers' ledgers, and by the seller's", b.Held, b.Owed},
		{"debt in the seller's ledger, and none", b.Debt, 0},
		{"open payments in the buyers' ledgers, and none", b.Pending, 0},
		{"payments made, and payments credited", units.Msat(b.Payments), units.Msat(b.Settled)},
	} {
		if e.a != e.b {
			list = append(list, fmt.Sprintf("%s: %d and %d msat", e.what, int64(e.a), int64(e.b)))
		}
	}
	return list
}
