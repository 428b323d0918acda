package contract

import (
	"paygate/lnclient"
	"paygate/units"
)

// liquidity pays and looks at both ends of the channel, and at a node that has none.
func liquidity(s *scene) {
	const paid, commitFee = 100_000 * units.Sat, 20_000 * units.Sat
	buyer, seller := s.client(Buyer), s.client(Seller)
	before, receives := s.liquidity(buyer), s.liquidity(seller)
	if before.Channels != 1 || before.Active != 1 || before.Out < paid || before.Out != before.LargestOut {
		s.Errorf("the buyer's one channel: %+v", before)
	}
	if receives.Channels != 2 || receives.LargestIn <= 0 || receives.LargestIn > receives.In {
		s.Errorf("the seller's two channels: %+v", receives)
	}
	s.paid(buyer, s.ask(seller, paid))
	after := s.liquidity(buyer)
	// lnd holds a commitment's fee back, which changes while a payment is being cleared away.
	if moved := before.Out - after.Out; moved < paid-commitFee || moved > paid+commitFee {
		s.Errorf("paid %s, and can send %s less", paid, moved)
	}
	if got := s.liquidity(s.client(Stranger)); got != (lnclient.Liquidity{}) {
		s.Errorf("a node without channels: %+v", got)
	}
}

func (s *scene) liquidity(c *lnclient.Client) lnclient.Liquidity {
	s.Helper()
	l, err := c.Liquidity(s.ctx())
	s.must(err)
	return l
}
