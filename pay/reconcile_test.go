package pay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"paygate/ledger"
	"paygate/proxy/wire"
	"paygate/units"
)

// TestConnectionsToOneSellerCorrectItsPurseOnce has several connections hear of the same difference at the same time.
func TestConnectionsToOneSellerCorrectItsPurseOnce(t *testing.T) {
	const more = 20 * units.Sat // than our books say
	robbed(t, 10*time.Millisecond, func(s *sim) {
		first := s.thief(func(th *thief, b wire.Buy) { th.s.wg.Go(func() { th.bill(b); th.deliver(b) }) })
		time.Sleep(10 * time.Second) // much is delivered, so that much could be found
		first.leave()
		ctx := context.Background()
		key := publicKey(first.keys.Seller())
		before, err := s.buyerL.Purse(ctx, key)
		if err != nil || before.Charged < 10*more || before.Pending > 0 {
			t.Fatalf("%+v, %v", before, err)
		}
		var others []*thief
		for range 8 {
			th := &thief{t: t, s: s, keys: first.keys, order: func(*thief, wire.Buy) {}, number: uint64(100 + len(others))}
			th.connect(thiefTerms)
			others = append(others, th)
		}
		synctest.Wait()
		for _, th := range others {
			th.say(wire.State{Gate: wire.GateShut, Bal: max(0, before.Balance) + more})
		}
		time.Sleep(time.Second)
		purse, err := s.buyerL.Purse(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		if found := before.WrittenOff - purse.WrittenOff; purse.Balance != max(0, before.Balance)+more {
			t.Errorf("%v were found, and the balance is %v after %v", found, purse.Balance, before.Balance)
		}
		for _, th := range others {
			th.leave()
		}
	}, func(*sim, ledger.Totals) {})
}
