package contract

import (
	"time"

	"paygate/lnclient"
	"paygate/units"
)

func info(s *scene) {
	got, err := s.client(Seller).Info(s.ctx())
	s.must(err)
	if got.Network != s.env.Network || !got.Synced || got.Version == "" || got.Alias == "" {
		s.Errorf("got %+v on %s", got, s.env.Network)
	}
	other, err := s.client(Buyer).Info(s.ctx())
	s.must(err)
	if got.Node == other.Node || got.Node.IsZero() {
		s.Errorf("two nodes have the keys %s and %s", got.Node, other.Node)
	}
}

func ready(s *scene) { s.must(s.client(Seller).Ready(s.ctx())) }

func invoiceSays(s *scene) {
	c := s.client(Seller)
	who, err := c.Info(s.ctx())
	s.must(err)
	in := lnclient.NewInvoice{Msat: 12_345, DescriptionHash: [32]byte{1, 2, 3}, Expiry: 20 * time.Minute}
	before := time.Now().Truncate(time.Second)
	inv, err := c.AddInvoice(s.ctx(), in)
	s.must(err)
	d, err := lnclient.Decode(inv.Request, s.env.Network)
	s.must(err)
	if d.Payee != who.Node || d.Hash != inv.Hash || d.Msat != in.Msat || !d.HasMsat || d.AMP || d.Network != s.env.Network {
		s.Errorf("got %+v", d)
	}
	if !d.HasDescriptionHash || d.DescriptionHash != in.DescriptionHash {
		s.Errorf("description hash %x", d.DescriptionHash)
	}
	if d.Expires.Before(before.Add(in.Expiry)) || d.Expires.After(time.Now().Add(in.Expiry)) || !d.Expires.Equal(inv.Expires) {
		s.Errorf("expires at %s, and by the client at %s", d.Expires, inv.Expires)
	}
	if d.FinalCLTV == 0 || d.FinalCLTV > 144 {
		s.Errorf("final delta of %d blocks", d.FinalCLTV)
	}
	next := s.ask(c, 1000)
	if next.AddIndex <= inv.AddIndex || next.Hash == inv.Hash {
		s.Errorf("invoice %d follows %d", next.AddIndex, inv.AddIndex)
	}
	for _, other := range []string{"mainnet", "testnet", "signet", "simnet", "regtest"} {
		if _, err := lnclient.Decode(inv.Request, other); (err == nil) != (other == s.env.Network) {
			s.Errorf("read for %s: %v", other, err)
		}
	}
}

func invoiceLookedUp(s *scene) {
	seller, buyer := s.client(Seller), s.client(Buyer)
	inv := s.ask(seller, 4321)
	if st := s.status(seller, inv.Hash, lnclient.Open); st != (lnclient.InvoiceStatus{State: lnclient.Open}) {
		s.Errorf("open invoice shows %+v", st)
	}
	s.status(seller, units.PaymentHash{1}, lnclient.Missing)
	s.status(buyer, inv.Hash, lnclient.Missing)
	before := time.Now().Truncate(time.Second)
	s.paid(buyer, inv)
	st := s.status(seller, inv.Hash, lnclient.Settled)
	if st.Msat != 4321 || st.SettleIndex == 0 || st.SettledAt.Before(before) || st.SettledAt.After(time.Now()) {
		s.Errorf("settled invoice shows %+v", st)
	}
}

func invoiceCancelled(s *scene) {
	seller, buyer := s.client(Seller), s.client(Buyer)
	inv := s.ask(seller, 5000)
	s.must(seller.CancelInvoice(s.ctx(), inv.Hash))
	s.must(seller.CancelInvoice(s.ctx(), inv.Hash))
	s.status(seller, inv.Hash, lnclient.Canceled)
	s.fails(buyer, inv, lnclient.ReasonIncorrect)
	s.problem(seller.CancelInvoice(s.ctx(), units.PaymentHash{9}), lnclient.Other)
	done := s.ask(seller, 5000)
	s.paid(buyer, done)
	s.problem(seller.CancelInvoice(s.ctx(), done.Hash), lnclient.Other)
	s.status(seller, done.Hash, lnclient.Settled)
}
