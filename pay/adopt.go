package pay

import (
	"context"
	"reflect"
	"time"

	"paygate/config"
	"paygate/units"
)

// newTerms is why a session ends that rules which have changed would treat differently from its start.
const newTerms = "the rules have changed"

// denied is why a session ends that a rule refuses.
const denied = "a rule refuses this peer"

// reconsidered is how often rules are asked again that have not changed: what they ask about may have.
const reconsidered = time.Minute

// adopt asks the rules again when they have changed, when the peer has said who it is, and every minute.
func (c *conversation) adopt(ctx context.Context, now time.Time) {
	r := c.desk.rules()
	if r == c.ruled && now.Before(c.review) {
		return
	}
	c.ruled, c.review = r, now.Add(reconsidered)
	f := c.known()
	sale := r.selling.Decide(f)
	if sale.Deny {
		c.link.Close(denied)
		return
	}
	if c.seller != nil {
		c.seller.adopt(ctx, priced(sale), !sale.Free)
	} else if !sale.Free {
		c.link.Close(newTerms) // only a new connection can be gated
	}
	if c.buyer != nil {
		ceiling, ok := r.pays(f)
		c.buyer.adopt(ceiling, ok)
	}
}

// adopt goes on under another rule, or under none: what was paid for keeps its price.
func (s *seller) adopt(ctx context.Context, rule config.SellRule, sells bool) {
	was := s.rule
	was.Line, rule.Line = 0, 0
	switch {
	case !sells:
		if !s.free {
			s.giveFreely()
		}
		s.decided, s.rule = true, config.SellRule{}
		return
	case reflect.DeepEqual(was, rule):
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
	if !s.stock.buyer.IsZero() {
		s.stock.leaseCredit(ctx)
	}
	s.c.say(s.terms())
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
	if b.terms != nil && b.terms.Price.Compare(b.max) > 0 {
		b.ask = nil
	}
}
