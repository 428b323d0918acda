package pay

import (
	"context"
	"time"

	"go.uber.org/zap"

	"paygate/ledger"
	"paygate/policy"
	"paygate/proxy/wire"
	"paygate/units"
)

// credible tells how far the buyer may run into debt with us, and writes a default down when one is found.
func (s *stock) credible(ctx context.Context, acct ledger.Account, now time.Time) units.Msat {
	if !acct.Defaulted && policy.Overdue(acct.Billed-acct.Paid, acct.BilledAt, now) {
		err := s.c.desk.ledger.MarkDefaulted(ctx, acct.Buyer, "owed "+(-acct.Balance).String()+" since "+acct.BilledAt.UTC().Format(time.RFC3339))
		if err != nil {
			s.c.log.Warn("a default cannot be written down", zap.Error(err))
		}
		s.c.log.Info("a buyer has not paid its debt in time, and has no credit any more", zap.Stringer("buyer", acct.Buyer),
			zap.Int64("msat", int64(-acct.Balance)))
		acct.Defaulted = true
	}
	return policy.LineOf(s.c.seller.rule.Credit, acct.Paid, acct.Defaulted)
}

// debtIdle is how long a buyer owes something before it pays for it alone: its next purchase pays debts first.
const debtIdle = 5 * time.Second

// payDebt asks for an invoice over what we owe by our own count, if nothing else is going to pay it.
func (b *buyer) payDebt(ctx context.Context, now time.Time, f facts) {
	if b.purse.Balance >= 0 {
		b.owing = time.Time{}
		return
	}
	if b.owing.IsZero() {
		b.owing = now
	}
	if f.clientInterested && now.Sub(b.owing) < debtIdle || b.ask != nil || b.paying || now.Before(b.notUntil) || b.purse.Pending > 0 {
		return
	}
	amt := b.part(policy.Owed(-b.purse.Balance, b.terms.Price))
	if amt == 0 || !b.c.desk.node.usable.Load() || b.parts() {
		return
	}
	room, err := b.c.desk.ledger.Left(ctx, b.payee(), b.c.desk.rules().caps)
	if err != nil || amt > room {
		b.explain(wire.NoOverBudget)
		return
	}
	if !b.introduced {
		b.introduce(ctx)
	}
	b.order(now, wire.Buy{Amt: amt, For: wire.ForDebt, Left: -1})
}

// parts reports whether a debt is not paid, because nothing is bought from this seller any more. One that it was given for
// what we have agreed to is paid, and then the connection ends: the seller would go on selling, on credit.
func (b *buyer) parts() bool {
	if b.terms.Price.Compare(b.max) <= 0 {
		return false
	}
	if b.parted {
		b.c.link.Close(newTerms)
	}
	was := b.parted || !b.introduced
	b.parted = b.introduced
	return was
}

// part is as much of a debt as one payment may be, for either side: the rest follows. It is the price of whole bytes.
func (b *buyer) part(debt units.Msat) units.Msat {
	price, most := b.terms.Price, b.c.desk.rules().buy.Max
	if b.terms.Max > 0 {
		most = min(most, b.terms.Max)
	}
	if debt <= most {
		return debt
	}
	return price.Charge(price.Buys(most))
}

// order sends a buy and remembers it.
func (b *buyer) order(now time.Time, m wire.Buy) {
	price := b.terms.Price
	if m.Bid > 0 {
		price.Msat = m.Bid
	}
	b.ask = &openAsk{amt: m.Amt, price: price, floor: b.terms.Price, bid: m.Bid, purpose: m.For, at: now, tries: 1}
	b.ordered = time.Time{}
	if b.gate == wire.GateOpen || b.gate == wire.GateHeld {
		b.ordered = now
	}
	b.c.say(m)
}

// payee is whom and what for we pay on this connection.
func (b *buyer) payee() ledger.Payee {
	return ledger.Payee{InfoHash: b.c.link.InfoHash(), Seller: b.seller, Category: b.c.category()}
}

// category is the client's word for the torrent, "" if it has none.
func (c *conversation) category() string {
	f := c.known()
	if c.desk.look(&f); f.Torrent != nil {
		return f.Torrent.Category
	}
	return ""
}
