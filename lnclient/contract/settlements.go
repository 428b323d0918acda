package contract

import (
	"context"
	"errors"

	"paygate/lnclient"
	"paygate/units"
)

var errEnough = errors.New("enough")

// listener collects settlements on a goroutine of its own.
type listener struct {
	got  chan lnclient.Settlement
	done chan error
	stop context.CancelFunc
}

func (s *scene) listen(c *lnclient.Client, after uint64) *listener {
	ctx, cancel := context.WithCancel(s.ctx())
	l := &listener{got: make(chan lnclient.Settlement, 4096), done: make(chan error, 1), stop: cancel}
	go func() {
		l.done <- c.Settlements(ctx, after, func(x lnclient.Settlement) error {
			l.got <- x
			return nil
		})
	}()
	return l
}

// close ends the listener and returns what it has heard and nobody has taken.
func (s *scene) close(l *listener) []lnclient.Settlement {
	s.Helper()
	l.stop()
	if err := <-l.done; !errors.Is(err, context.Canceled) {
		s.Fatalf("settlements ended with %v", err)
	}
	var rest []lnclient.Settlement
	for len(l.got) > 0 {
		rest = append(rest, <-l.got)
	}
	return rest
}

// next waits for the settlement of one invoice, letting others pass if it may.
func (s *scene) next(l *listener, inv lnclient.Invoice, others bool) lnclient.Settlement {
	s.Helper()
	for ctx := s.ctx(); ; {
		select {
		case <-ctx.Done():
			s.Fatal("the settlement has not come")
		case err := <-l.done:
			s.Fatalf("settlements ended: %v", err)
		case got := <-l.got:
			if got.Hash == inv.Hash {
				return got
			}
			if !others {
				s.Fatalf("got settlement %d of another invoice", got.SettleIndex)
			}
		}
	}
}

// settle pays an invoice of the seller and returns its status.
func (s *scene) settle(msat units.Msat) (lnclient.Invoice, lnclient.InvoiceStatus) {
	s.Helper()
	seller := s.client(Seller)
	inv := s.ask(seller, msat)
	s.paid(s.client(Buyer), inv)
	return inv, s.status(seller, inv.Hash, lnclient.Settled)
}

func settlementsLive(s *scene) {
	seller := s.client(Seller)
	_, first := s.settle(1000)
	l := s.listen(seller, first.SettleIndex)
	for i := range units.Msat(5) {
		inv, st := s.settle(2000 + i)
		got := s.next(l, inv, false)
		want := lnclient.Settlement{Hash: inv.Hash, Msat: 2000 + i, SettleIndex: st.SettleIndex, At: st.SettledAt}
		if got != want {
			s.Errorf("got %+v, want %+v", got, want)
		}
	}
	if rest := s.close(l); len(rest) > 0 {
		s.Errorf("then came %+v", rest)
	}
}

func settlementsResume(s *scene) {
	seller := s.client(Seller)
	_, before := s.settle(1000)
	a, _ := s.settle(1001)
	b, st := s.settle(1002)
	for range 2 {
		l := s.listen(seller, before.SettleIndex)
		s.next(l, a, false)
		s.next(l, b, false)
		if rest := s.close(l); len(rest) > 0 {
			s.Errorf("then came %+v", rest)
		}
	}
	l := s.listen(seller, st.SettleIndex)
	c, _ := s.settle(1003)
	s.next(l, c, false)
	s.close(l)
}

func settlementsFromFirst(s *scene) {
	seller := s.client(Seller)
	inv, st := s.settle(1500)
	l := s.listen(seller, 0)
	last := uint64(0)
	for ctx := s.ctx(); last < st.SettleIndex; {
		select {
		case <-ctx.Done():
			s.Fatal("the settlement has not come")
		case got := <-l.got:
			if got.SettleIndex != last+1 {
				s.Fatalf("settlement %d follows %d", got.SettleIndex, last)
			}
			last = got.SettleIndex
			if last == st.SettleIndex && got.Hash != inv.Hash {
				s.Errorf("settlement %d is of another invoice", last)
			}
		}
	}
	live, _ := s.settle(1501)
	s.next(l, live, false)
	s.close(l)
}

func settlementsMissed(s *scene) {
	seller := s.client(Seller)
	_, before := s.settle(1000)
	l := s.listen(seller, before.SettleIndex)
	s.env.Stop(s.T, Seller)
	if err := <-l.done; err == nil {
		s.Fatal("settlements ended without an error")
	} else {
		s.problem(err, lnclient.Unreachable)
	}
	l.stop()
	s.env.Start(s.T, Seller)
	s.back(seller)
	missed, _ := s.settle(1004)
	l = s.listen(seller, before.SettleIndex)
	s.next(l, missed, false)
	live, _ := s.settle(1005)
	s.next(l, live, false)
	if rest := s.close(l); len(rest) > 0 {
		s.Errorf("then came %+v", rest)
	}
}

func settlementsStop(s *scene) {
	seller := s.client(Seller)
	_, before := s.settle(1000)
	s.settle(1000)
	s.settle(1000)
	calls := 0
	err := seller.Settlements(s.ctx(), before.SettleIndex, func(lnclient.Settlement) error {
		calls++
		return errEnough
	})
	if !errors.Is(err, errEnough) || calls != 1 {
		s.Errorf("ended after %d calls with %v", calls, err)
	}
}
