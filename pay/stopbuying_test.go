package pay

import (
	"testing"
	"testing/synctest"
	"time"

	"paygate/config"
	"paygate/ledger"
	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

// TestSellerThatIsNotBoughtFromIsNotOwedAnything has one that is too dear, and one that the rule does not buy from yet, serve
// without being asked to sell.
func TestSellerThatIsNotBoughtFromIsNotOwedAnything(t *testing.T) {
	dear := thiefTerms
	dear.Price.Msat *= 3
	for name, terms := range map[string]wire.Terms{"too dear": dear, "not yet": thiefTerms} {
		t.Run(name, func(t *testing.T) {
			robbed(t, 0, func(s *sim) {
				if terms == thiefTerms {
					rules := s.buy
					rules.Rules = []config.BuyRule{s.buy.Rules[0]}
					rules.Rules[0].When = config.BuyWhen{Kind: config.BuySlower, Rate: 1, For: time.Hour}
					s.buyer.SetRules(config.Sell{}, rules)
				}
				th := s.thiefAt(terms, func(th *thief, b wire.Buy) {
					s.wg.Go(func() {
						buys := terms.Price.Buys(b.Amt)
						binding := wire.Binding(th.buyer, publicKey(th.keys.Seller()), buys, terms.Price)
						out, err := s.bank.node(1).Issue(t.Context(), Order{Msat: b.Amt, Binding: binding})
						if err != nil {
							t.Error(err)
						}
						th.say(wire.Invoice{Request: out.Request, Buys: buys, For: b.For})
					})
				})
				for range 60 {
					time.Sleep(time.Second)
					for range 4 << 20 / block {
						th.c.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block})
						th.c.Moved(block, false, false)
					}
				}
				time.Sleep(time.Minute)
				th.leave()
			}, func(s *sim, got ledger.Totals) {
				if got.Paid != 0 || s.bank.pays != 0 || got.FreeBytes < 200*units.MiB {
					t.Errorf("%v was paid, in %d payments; %v came free", got.Paid, s.bank.pays, got.FreeBytes)
				}
			})
		})
	}
}

// TestWhatIsNotBoughtAnyMoreIsNotPaidAsADebt has the owner stop buying while the seller gives credit.
func TestWhatIsNotBoughtAnyMoreIsNotPaidAsADebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := creditSim(t, config.Credit{Percent: 10, Cap: 1000 * units.Sat}, nil)
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		buy := s.buy
		buy.Rules = nil
		s.buyer.SetRules(config.Sell{}, buy)
		was := s.account()
		for range 600 {
			s.transfer(time.Second)
			if _, _, closed := s.bl.state(); closed != "" {
				break
			}
		}
		time.Sleep(10 * time.Second)
		s.close()
		now := s.account()
		t.Logf("before %v paid, %v left; then %v paid; balance %v; got %d of %d", was.Paid, was.Balance, now.Paid, now.Balance, s.got, s.size)
		if more := now.Paid - was.Paid; more > was.Paid/5 { // its credit line, and what was under way
			t.Errorf("%v more was paid, after %v", more, was.Paid)
		}
		if _, _, closed := s.bl.state(); closed != newTerms {
			t.Errorf("closed %q", closed)
		}
	})
}
