package contract

import (
	"time"

	"paygate/lnclient"
	"paygate/units"
)

// heldSeen follows a payment through what decides whether its owner may write it off.
func heldSeen(s *scene) {
	buyer := s.client(Buyer)
	hash, _, release := s.held(buyer)
	sight := s.look(buyer, hash, lnclient.InFlight)
	if len(sight.Channels) != 1 {
		s.Fatalf("parts left over channels %v, want one", sight.Channels)
	}
	h := s.pending(buyer, hash)
	if len(h.HTLCs) != 1 || h.HTLCs[0].Incoming || h.HTLCs[0].Msat != 7000 || h.HTLCs[0].Expiry == 0 || h.Count != 1 {
		s.Errorf("the buyer holds %+v", h)
	}
	if _, open := h.Names[sight.Channels[0]]; !open {
		s.Errorf("channel %d is not among %v", sight.Channels[0], h.Names)
	}
	if far := s.pending(s.client(Seller), hash); len(far.HTLCs) != 1 || !far.HTLCs[0].Incoming || far.Count != 2 {
		s.Errorf("the seller holds %+v", far)
	}
	release(true)
	out, err := buyer.Track(s.ctx(), hash)
	s.must(err)
	s.succeeded(out, hash)
	if sight := s.look(buyer, hash, lnclient.Succeeded); len(sight.Channels) != 0 || sight.Outcome != out {
		s.Errorf("looking gave %+v", sight)
	}
	for h := s.pending(buyer, hash); len(h.HTLCs) != 0; h = s.pending(buyer, hash) {
		time.Sleep(50 * time.Millisecond) // the channel takes a moment longer than the payment
	}
	s.look(buyer, units.PaymentHash{4, 5, 6}, lnclient.NeverSent)
}

func (s *scene) look(c *lnclient.Client, hash units.PaymentHash, want lnclient.PayState) lnclient.Sighting {
	s.Helper()
	sight, err := c.Look(s.ctx(), hash)
	s.must(err)
	if sight.State != want {
		s.Fatalf("payment %s, want %s", sight.State, want)
	}
	return sight
}

func (s *scene) pending(c *lnclient.Client, hash units.PaymentHash) lnclient.Holding {
	s.Helper()
	h, err := c.PendingHTLC(s.ctx(), hash)
	s.must(err)
	return h
}
