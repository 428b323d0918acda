package pay

import (
	"errors"
	"testing"
	"time"

	"paygate/proxy/wire"
	"paygate/units"
)

func TestInvoiceIsHeldAgainstTheBargain(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	price := units.Price{Msat: 1000 * units.Sat, Per: units.GiB}
	g := bargain{
		purpose: wire.ForBytes,
		buyer:   units.PeerKey{1}, seller: units.PeerKey{2}, node: units.NodeKey{2, 3}, ownNode: units.NodeKey{2, 4},
		network: "regtest", amt: 10 * units.Sat, price: price,
	}
	buys := price.Buys(g.amt)
	good := func() (wire.Invoice, Request) {
		return wire.Invoice{Request: "x", Buys: buys, For: wire.ForBytes}, Request{
			Network: "regtest", Payee: g.node, Msat: g.amt, Binding: wire.Binding(g.buyer, g.seller, buys, price),
			HasBinding: true, Expires: now.Add(10 * time.Minute), FinalCLTV: 80, Plain: true,
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*wire.Invoice, *Request)
		ok     bool
	}{
		{"as agreed", func(*wire.Invoice, *Request) {}, true},
		{"exactly enough expiry", func(_ *wire.Invoice, r *Request) { r.Expires = now.Add(minExpiry) }, true},
		{"too little expiry", func(_ *wire.Invoice, r *Request) { r.Expires = now.Add(minExpiry - time.Second) }, false},
		{"expired", func(_ *wire.Invoice, r *Request) { r.Expires = now.Add(-time.Second) }, false},
		{"wrong network", func(_ *wire.Invoice, r *Request) { r.Network = "mainnet" }, false},
		{"another payee", func(_ *wire.Invoice, r *Request) { r.Payee = units.NodeKey{2, 9} }, false},
		{"ourselves", func(_ *wire.Invoice, r *Request) { r.Payee = g.ownNode }, false},
		{"dearer than asked", func(_ *wire.Invoice, r *Request) { r.Msat++ }, false},
		{"cheaper than asked", func(_ *wire.Invoice, r *Request) { r.Msat-- }, false},
		{"no amount", func(_ *wire.Invoice, r *Request) { r.Msat = 0 }, false},
		{"buys fewer bytes", func(i *wire.Invoice, _ *Request) { i.Buys /= 2 }, false},
		{"buys more bytes", func(i *wire.Invoice, _ *Request) { i.Buys *= 2 }, false},
		{"buys nothing", func(i *wire.Invoice, _ *Request) { i.Buys = 0 }, false},
		{"for a tip", func(i *wire.Invoice, _ *Request) { i.For = wire.ForTip }, false},
		{"unbound", func(_ *wire.Invoice, r *Request) { r.HasBinding = false }, false},
		{"bound to another buyer", func(_ *wire.Invoice, r *Request) {
			r.Binding = wire.Binding(units.PeerKey{9}, g.seller, buys, price)
		}, false},
		{"bound to another seller", func(_ *wire.Invoice, r *Request) {
			r.Binding = wire.Binding(g.buyer, units.PeerKey{9}, buys, price)
		}, false},
		{"bound to another price", func(_ *wire.Invoice, r *Request) {
			r.Binding = wire.Binding(g.buyer, g.seller, buys, units.Price{Msat: 1, Per: units.GiB})
		}, false},
		{"long last hop", func(_ *wire.Invoice, r *Request) { r.FinalCLTV = maxFinalCLTV + 1 }, false},
		{"AMP", func(_ *wire.Invoice, r *Request) { r.Plain = false }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inv, r := good()
			tc.change(&inv, &r)
			err := g.check(inv, r, now)
			var no *refusal
			if tc.ok && err != nil || !tc.ok && !errors.As(err, &no) {
				t.Errorf("got %v", err)
			}
		})
	}
}
