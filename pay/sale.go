package pay

import (
	"context"
	"crypto/sha256"
	"time"

	"paygate/fault"
	"paygate/ledger"
	"paygate/proxy/wire"
	"paygate/units"
)

// hear takes a buyer's message; without a valid hello before it, it is nothing.
func (s *seller) hear(ctx context.Context, now time.Time, m wire.Message) {
	if s.stock.buyer.IsZero() || s.free {
		return
	}
	switch m := m.(type) {
	case wire.Buy:
		s.heardBuy(now, m)
	case wire.Paid:
		s.heardPaid(ctx, m)
	case wire.No:
		s.abandon(ctx)
	}
}

func (s *seller) heardBuy(now time.Time, m wire.Buy) {
	switch {
	case m.For == wire.ForTip:
		s.decline(wire.NoUnsupported, termsTTL)
	case m.For == wire.ForDebt && s.stock.balance >= 0:
		s.tell(s.gateWord())
		s.decline(wire.NoUnsupported, retryTTL)
	case m.Amt < s.least(m.For) || m.Amt > s.rule.Max:
		s.c.say(s.terms())
		s.decline(wire.NoUnsupported, retryTTL)
	default:
		s.ask, s.askSince = &m, now
	}
}

// least is the smallest purchase. A debt is paid as it is.
func (s *seller) least(purpose string) units.Msat {
	if purpose == wire.ForDebt {
		return 1
	}
	return s.rule.Min
}

// heardPaid looks an invoice of ours up that the buyer says it has paid. The preimage alone credits nothing.
func (s *seller) heardPaid(ctx context.Context, m wire.Paid) {
	if s.invoice == nil || units.PaymentHash(sha256.Sum256(m.Pre[:])) != s.invoice.Hash {
		return
	}
	d, hash := s.c.desk, s.invoice.Hash
	s.c.do(ctx, func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(ctx, invoiceWait)
		defer cancel()
		settled, ok, err := d.rail.Lookup(ctx, hash)
		if err == nil && ok {
			settled.Index = 0 // the stream alone moves the cursor, or it would skip what it has not told yet
			err = d.credit(ctx, settled)
		}
		return func() {
			if err != nil {
				s.c.warn(ctx, "an invoice cannot be looked up", err)
			}
		}
	})
}

// answer makes the invoice that was asked for, once the client gives this peer a slot: nobody pays for nothing.
func (s *seller) answer(ctx context.Context, now time.Time, f facts) {
	if s.ask == nil || s.issuing {
		return
	}
	if s.ask.For == wire.ForBytes && (s.mode == closed || !f.clientUnchokes) {
		if now.Sub(s.askSince) >= busyAnswer && s.mode != offered {
			s.decline(wire.NoBusy, retryTTL)
		}
		return
	}
	s.paid(ctx) // a quick buyer asks again before we are told that it has paid
	price := s.asked(now, s.ask.Bid)
	buys := price.Buys(s.ask.Amt)
	if buys < 1 { // a bid for less than a byte; an invoice over nothing is one over any amount
		s.c.say(s.terms())
		s.decline(wire.NoUnsupported, retryTTL)
		return
	}
	if s.invoice != nil && (s.invoice.For != s.ask.For || s.invoice.Price != price || s.invoice.Msat != price.Charge(buys)) {
		s.abandon(ctx)
	}
	if s.invoice != nil && now.Before(s.invoice.Expires.Add(-2*time.Minute)) {
		s.handOver() // one is open at a time
		return
	}
	if !s.c.desk.quota.allow(s.stock.subnet, now) {
		s.decline(wire.NoStrangerLimit, quotaTTL)
		return
	}
	inv := ledger.Invoice{
		Buyer: s.stock.buyer, InfoHash: s.c.link.InfoHash(), Price: price,
		Buys: buys, Msat: price.Charge(buys), For: s.ask.For,
	}
	s.issuing = true
	floor := s.rule.Price
	s.c.do(ctx, func(ctx context.Context) func() {
		err := s.issue(ctx, &inv)
		return func() { s.issued(ctx, inv, floor, err) }
	})
}

// abandon cancels an invoice that the buyer will not pay: it could not, or it asks for another amount. Should it be
// paid all the same before that, it is credited like any other.
func (s *seller) abandon(ctx context.Context) {
	if s.invoice == nil {
		return
	}
	d, hash := s.c.desk, s.invoice.Hash
	s.invoice = nil
	s.c.do(ctx, func(ctx context.Context) func() {
		ctx, cancel := context.WithTimeout(ctx, invoiceWait)
		defer cancel()
		_ = d.rail.Cancel(ctx, hash) // if not now, then in the next sweep
		return func() {}
	})
}

// issue makes an invoice and writes it down before anybody sees it.
func (s *seller) issue(ctx context.Context, inv *ledger.Invoice) error {
	d := s.c.desk
	ctx, cancel := context.WithTimeout(ctx, invoiceWait)
	defer cancel()
	fault.Point(fault.IssueBefore)
	made, err := d.rail.Issue(ctx, Order{
		Msat:    inv.Msat,
		Binding: wire.Binding(inv.Buyer, publicKey(d.keys.Seller()), inv.Buys, inv.Price),
	})
	if err != nil {
		return err
	}
	fault.Point(fault.IssueAfter)
	inv.Hash, inv.Request, inv.Expires = made.Hash, made.Request, made.Expires
	d.quota.made(inv.Hash, s.stock.subnet)
	err = d.ledger.AddInvoice(ctx, *inv)
	fault.Point(fault.InvoiceAfter)
	return err
}

func (s *seller) issued(ctx context.Context, inv ledger.Invoice, floor units.Price, err error) {
	s.issuing = false
	if err == nil && (s.ask == nil || floor != s.rule.Price) { // the price has changed meanwhile
		s.invoice = &inv
		s.abandon(ctx)
		return
	}
	if err != nil {
		s.c.warn(ctx, "no invoice could be made", err)
		s.decline(wire.NoBusy, retryTTL)
		return
	}
	s.invoice = &inv
	s.handOver()
}

func (s *seller) handOver() {
	s.ask = nil
	s.c.say(wire.Invoice{Request: s.invoice.Request, Buys: s.invoice.Buys, For: s.invoice.For})
}

// decline answers the open question with a no. Who was shown to the client for it has to rest like one that did not
// pay in time.
func (s *seller) decline(code string, ttl int64) {
	s.ask = nil
	s.c.say(wire.No{Code: code, TTL: ttl})
	if s.mode == offered {
		s.mode = closed
		s.c.link.Withdraw()
		s.giveSlot(time.Now().Add(slotRest))
	}
}

// paid notices that the open invoice has been settled, or can be no more.
func (s *seller) paid(ctx context.Context) {
	if s.invoice == nil {
		return
	}
	open, found, err := s.c.desk.ledger.OpenInvoice(ctx, s.stock.buyer, s.c.link.InfoHash())
	if err != nil || found && open.Hash == s.invoice.Hash {
		return
	}
	expired := !time.Now().Before(s.invoice.Expires)
	s.invoice = nil
	if expired {
		return
	}
	s.c.flood.forget(purchaseMessages)
	s.giveSlot(time.Time{})
	s.tell(wire.GateOpen)
}
