package pay

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"paygate/config"
	"paygate/units"
)

const (
	paceEvery  = 100 * time.Millisecond
	paceBlocks = 8 // blocks that a peer may save up at least, and three times what there is for all in paceEvery
	bidRest    = 10 * time.Second
)

// pacer is the part of the meter that lets requests through no faster than a lane allows. Nothing in it blocks.
type pacer struct {
	paced   atomic.Bool
	tokens  atomic.Int64
	thirsty atomic.Bool // a request was refused for want of tokens
}

// draw takes n tokens, or reports that there are not enough.
func (p *pacer) draw(n int64) bool {
	for {
		t := p.tokens.Load()
		if t < n {
			p.thirsty.Store(true)
			return false
		}
		if p.tokens.CompareAndSwap(t, t-n) {
			return true
		}
	}
}

// lane is the upload and the places that all peers of one rule share.
type lane struct {
	mu      sync.Mutex
	rule    *config.SellRule
	members map[*conversation]*member
	carry   float64 // of a byte, from one round to the next
}

// member is one peer in a lane.
type member struct {
	served bool    // it has one of the places of max_peers
	free   bool    // it pays nothing
	price  float64 // what it pays, in msat per GiB
	floor  bool
}

// road is all lanes, by the name of their rule.
type road struct {
	mu    sync.Mutex
	lanes map[string]*lane
}

func newRoad() *road { return &road{lanes: make(map[string]*lane)} }

// shared reports whether peers of a rule share anything.
func shared(r *config.SellRule) bool { return r.Upload > 0 || r.MaxPeers > 0 }

// join puts a conversation into the lane of its rule.
func (r *road) join(c *conversation, rule *config.SellRule) *lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[rule.Name]
	if l == nil {
		l = &lane{members: make(map[*conversation]*member)}
		r.lanes[rule.Name] = l
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rule = rule
	l.members[c] = &member{free: true}
	c.paced.Store(rule.Upload > 0)
	return l
}

// leave takes a conversation out.
func (r *road) leave(c *conversation, l *lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	c.paced.Store(false)
	delete(l.members, c)
	if len(l.members) == 0 {
		delete(r.lanes, l.rule.Name)
	}
}

// all lists the lanes there are.
func (r *road) all() []*lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]*lane, 0, len(r.lanes))
	for _, l := range r.lanes {
		out = append(out, l)
	}
	return out
}

func (l *lane) name() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rule.Name
}

// enter gives c one of the places of max_peers, or reports that they are taken.
func (l *lane) enter(c *conversation) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.members[c]
	if m.served || l.rule.MaxPeers == 0 {
		m.served = true
		return true
	}
	n := 0
	for _, other := range l.members {
		if other.served {
			n++
		}
	}
	m.served = n < l.rule.MaxPeers
	return m.served
}

// exit gives the place back.
func (l *lane) exit(c *conversation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members[c].served = false
}

// pays notes what c pays by now; the zero price is nothing.
func (l *lane) pays(c *conversation, price units.Price) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.members[c]
	m.free = price.Free()
	m.price = float64(price.Msat) * float64(units.GiB) / float64(max(price.Per, 1))
	m.floor = price.Compare(l.rule.Price) <= 0
}

// refill hands out what may be sent in dt, and returns who was waiting for it.
func (l *lane) refill(dt time.Duration) (waiting []*conversation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rule.Upload == 0 {
		return nil
	}
	want := dt.Seconds()*float64(l.rule.Upload) + l.carry
	total := int64(want)
	l.carry = want - float64(total)
	most := max(paceBlocks*block, 3*total)
	who := make([]*conversation, 0, len(l.members))
	claims := make([]claim, 0, len(l.members))
	for c, m := range l.members {
		who = append(who, c)
		claims = append(claims, claim{weight: m.price, floor: m.floor, free: m.free, room: most - c.tokens.Load()})
	}
	s := shares{upload: l.rule.Upload, auction: l.rule.Auction, freeShare: l.rule.FreeShare, floorShare: l.rule.FloorShare}
	for i, n := range divide(total, s, claims) {
		if who[i].tokens.Add(n) >= block && who[i].thirsty.Swap(false) {
			waiting = append(waiting, who[i])
		}
	}
	return waiting
}

// pace refills all lanes until ctx ends, and lets those go on that were waiting.
func (d *Desk) pace(ctx context.Context) {
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		dt := min(now.Sub(last), time.Second)
		last = now
		for _, l := range d.road.all() {
			for _, c := range l.refill(dt) {
				c.box.fed()
				c.link.Resume()
			}
		}
	}
}

// settleIn joins the lane of the seller's rule, or leaves one that is not its rule's any more.
func (s *seller) settleIn() {
	shares := shared(s.rule) && !(s.free && s.reciprocal) // tit-for-tat is nobody's business
	if s.lane != nil && (!shares || s.lane.name() != s.rule.Name) {
		s.c.desk.road.leave(s.c, s.lane)
		s.lane = nil
	}
	if !shares {
		return
	}
	if s.lane == nil {
		s.lane = s.c.desk.road.join(s.c, s.rule)
	} else {
		s.lane.change(s.c, s.rule)
	}
	s.lane.pays(s.c, s.paying())
}

// change takes over a rule of the same name.
func (l *lane) change(c *conversation, rule *config.SellRule) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rule = rule
	c.paced.Store(rule.Upload > 0)
}

// enters takes one of the places of max_peers, if there is one.
func (s *seller) enters() bool { return s.lane == nil || s.lane.enter(s.c) }

// paying is at what price this peer is served: nothing while it has not paid. In an auction it is what the bytes that come
// next were bought at: a bid that nobody pays for moves nothing.
func (s *seller) paying() units.Price {
	i := slices.IndexFunc(s.stock.batches, func(b batch) bool { return b.kind == sold })
	switch {
	case s.free || i < 0:
		return units.Price{}
	case s.rule.Auction && s.stock.batches[i].price.Compare(s.rule.Price) > 0:
		return s.stock.batches[i].price
	}
	return s.rule.Price
}

// asked is the price of a buy: the bid in an auction, the rule's otherwise. A bid holds for 10 s at least.
func (s *seller) asked(now time.Time, bid units.Msat) units.Price {
	if !s.rule.Auction {
		return s.rule.Price
	}
	price := units.Price{Msat: max(bid, s.rule.Price.Msat), Per: s.rule.Price.Per}
	if price != s.bid && now.Sub(s.bidAt) >= bidRest {
		s.bid, s.bidAt = price, now
	}
	if s.bid.Compare(s.rule.Price) < 0 {
		return s.rule.Price
	}
	return s.bid
}
