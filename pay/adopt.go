package pay

import (
	"context"
	"reflect"
	"time"

	"paygate/config"
	"paygate/policy"
	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

// newTerms is why a session ends that rules which have changed would treat differently from its start.
const newTerms = "the rules have changed"

// denied is why a session ends that a rule refuses.
const denied = "a rule refuses this peer"

// complete is why a session ends that was tit-for-tat while the client downloaded a torrent that is sold once it is whole.
const complete = "the client has completed the torrent, which is sold from now on"

// completed reports whether the client is known to have the whole torrent.
func completed(f policy.Facts) bool {
	return f.Torrent != nil && f.Torrent.Size > 0 && f.Torrent.Done >= f.Torrent.Size
}

// reviewEvery is how often a conversation asks its rules again: the time of day is one of the things they go by.
const reviewEvery = time.Minute

// ruling is by which rules, for whom and when a conversation was last decided about.
type ruling struct {
	by  *rules
	who units.PeerKey
	at  time.Time
}

// adopt takes over what has changed since this conversation began or last looked: the rules, the time, and who the peer is.
func (c *conversation) adopt(ctx context.Context, now time.Time) {
	r, who := c.desk.rules(), c.peer()
	if r == c.ruled.by && who == c.ruled.who && now.Sub(c.ruled.at) < reviewEvery {
		return
	}
	c.ruled = ruling{r, who, now}
	f := c.known()
	c.desk.look(&f)
	sale := c.desk.sale(r, f)
	if sale.Deny {
		c.link.Close(denied)
		return
	}
	switch {
	case c.seller != nil && c.seller.reciprocal && !sale.Free && completed(f):
		c.link.Close(complete) // only a new connection can be gated
	case c.seller != nil:
		c.seller.adopt(ctx, r.offers.priced(sale), !sale.Free)
	case sale.Free:
	case c.link.Treatment() == proxy.Gated && !c.released:
		c.seller = newSeller(c, r.offers.priced(sale))
	default:
		c.link.Close(newTerms) // only a new connection can be gated
	}
	if c.buyer == nil {
		c.mayBuyNow(r, f)
		return
	}
	ceiling, ok := r.pays(f)
	c.buyer.plan(r.manner(f))
	c.buyer.adopt(ceiling, ok)
}

// mayBuy makes this side a buyer if something may be bought here, now or when the time or the torrent has changed.
func (c *conversation) mayBuy(r *rules, f policy.Facts) {
	ceiling, ok := r.pays(f)
	if c.desk.rail == nil || !ok && !r.buying.MightPay(f) {
		return
	}
	if !ok {
		ceiling = units.Price{}
	}
	c.buyer = newBuyer(c, ceiling)
	c.buyer.plan(r.manner(f))
	c.buys.Store(true)
}

// mayBuyNow does so under rules that have changed. A peer that has introduced itself as a seller to nobody does not do so
// again on this connection: it is ended, unless the peer gives us what we want as it is.
func (c *conversation) mayBuyNow(r *rules, f policy.Facts) {
	switch {
	case c.desk.rail == nil || !r.buying.MightPay(f) || c.link.Treatment() == proxy.Free:
	case !c.spoken && !c.released:
		c.mayBuy(r, f)
	case c.link.BytesIn() < proxy.BroughtLittle:
		c.link.Close(newTerms)
	}
}

// sameRule reports whether two rules differ in nothing but where they stand.
func sameRule(a, b *config.SellRule) bool {
	if a == b {
		return true
	}
	x, y := *a, *b
	x.Line, y.Line = 0, 0
	return reflect.DeepEqual(x, y)
}

// adopt goes on under another rule, or under none: what was paid for keeps its price.
func (s *seller) adopt(ctx context.Context, rule *config.SellRule, sells bool) {
	switch {
	case !sells:
		if !s.free {
			s.giveFreely()
		}
		s.decided, s.rule = true, &config.SellRule{}
		return
	case sameRule(s.rule, rule):
		return
	case s.free:
		if !s.reciprocal || rule.When != "complete" {
			s.c.link.Close(newTerms)
		}
		return
	}
	s.stock.settle(ctx)
	if rule.Price != s.rule.Price {
		s.ask = nil // the buyer asks anew when it hears of it
	}
	s.rule = rule
	if s.sampled {
		s.stock.leaseSample(ctx)
	}
	s.stock.replace(throttled, nil)
	if !s.greeted {
		return
	}
	s.c.say(s.terms())
	if !s.stock.buyer.IsZero() { // after that: what went before the terms keeps the price that held until then
		s.stock.leaseCredit(ctx)
		s.offerCredit()
	}
}

// adopt goes on under another ceiling; false means that this torrent is not bought any more.
func (b *buyer) adopt(ceiling units.Price, buys bool) {
	if !buys {
		ceiling = units.Price{}
	}
	b.max = ceiling
	if ceiling.Compare(b.agreed) > 0 {
		b.agreed = ceiling
	}
	b.why = ""
	dear := func(p units.Price) bool { return p.Compare(b.max) > 0 }
	if b.ask != nil && b.ask.purpose == wire.ForBytes && (dear(b.ask.price) || b.terms != nil && dear(b.terms.Price)) {
		b.ask = nil
	}
}

// offer is the price at which we ask: our rule's bid, where that is more than the seller asks and no more than we pay at
// all. It is never a matter of what the wallet holds.
func (b *buyer) offer() units.Price {
	floor := b.terms.Price
	bid := units.Price{Msat: b.bid.Charge(floor.Per), Per: floor.Per}
	if b.bid.Free() || bid.Compare(floor) <= 0 || bid.Compare(b.max) > 0 || !bid.Valid() {
		return floor
	}
	return bid
}
