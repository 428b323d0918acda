package pay

import (
	"context"
	"errors"
	"time"

	"paygate/config"
	"paygate/ledger"
	"paygate/proxy/wire"
	"paygate/units"
)

const (
	heldTold     = time.Second      // after so long the buyer is told that requests are held; most purchases come in time
	holdGrace    = 4 * time.Second  // requests are held this long before the peer is choked
	slotTime     = 45 * time.Second // an unpaid peer is shown to the client this long at most
	slotRest     = 15 * time.Second // and then not for this long
	busyAnswer   = 30 * time.Second // a buyer waits this long for the client's unchoke before it is told `busy`
	settleEvery  = time.Second
	invoiceWait  = 10 * time.Second // for our own node to make an invoice
	termsTTL     = 3600             // seconds
	quotaTTL     = 60               // seconds a buyer waits that had too many invoices made
	retryTTL     = 5                // seconds a buyer is asked to wait when our node is away
	block        = 16 << 10         // what every client asks for at once (BEP 3 in practice)
	lowWaterPart = 2                // lease anew when half is used up
)

// mode is what we have told the session's valve.
type mode uint8

const (
	closed mode = iota
	offered
	opened
)

// seller is our side of a connection on a torrent that a rule sells. It belongs to the conversation's turns.
type seller struct {
	c          *conversation
	rule       *config.SellRule // at our price; shared with others
	stock      stock
	decided    bool // whether this connection is sold to at all is known
	free       bool // it is not
	reciprocal bool // because our client has not completed the torrent: ordinary tit-for-tat
	greeted    bool
	sampled    bool // the free sample has been leased

	mode      mode
	unchoked  bool // by the client, when we last looked
	slot      bool
	slotSince time.Time
	slotNext  time.Time // not before
	heldSince time.Time

	ask        *wire.Buy
	askSince   time.Time
	issuing    bool
	invoice    *ledger.Invoice
	lastSettle time.Time
	lastTick   time.Time
	trickled   bool
	servedOnce bool        // the client has unchoked the peer before
	lane       *lane       // what it shares with the other peers of its rule; nil: nothing
	bid        units.Price // in an auction, the latest that counts
	bidAt      time.Time
	offered    units.Msat // the credit line that the buyer was told of
	crowded    bool       // among the peers without credit
	told       wire.State // the last one
	watch      stopwatch
}

func newSeller(c *conversation, rule *config.SellRule) *seller {
	s := &seller{c: c, rule: rule}
	s.stock = stock{c: c, subnet: subnetOf(c.link.Remote().Addr())}
	return s
}

func (s *seller) step(ctx context.Context, now time.Time, f facts, dirty bool) {
	s.settleIn()
	if !s.decide(ctx, now, f) {
		return
	}
	grown := s.restock(ctx, now, f, dirty)
	s.mingle()
	if f.clientUnchokes && !s.unchoked {
		grown = true // nothing is held across a choke, but starving must be told anew
	}
	s.unchoked = f.clientUnchokes
	s.move(ctx, now, f, grown)
	s.answer(ctx, now, f)
	s.reckon(f)
}

// mingle counts this peer among those without credit, or not any more.
func (s *seller) mingle() {
	crowded := s.stock.left(sold) == 0
	if crowded == s.crowded {
		return
	}
	s.crowded = crowded
	if !crowded {
		s.c.desk.crowd.leave(s.c)
		return
	}
	if out := s.c.desk.crowd.join(s.c); out != nil {
		out.dismiss("too many peers that do not pay; this one has waited longest")
	}
}

// decide finds out whether there is anything to sell here and greets who can pay.
func (s *seller) decide(ctx context.Context, now time.Time, f facts) bool {
	if !s.decided {
		if s.rule.When == "complete" && !f.has {
			return false
		}
		s.decided = true
		if s.reciprocal = s.rule.When == "complete" && !f.whole; s.reciprocal {
			s.giveFreely()
		}
	}
	if s.free {
		return false
	}
	if s.c.legacy(now) {
		return s.serveLegacy(ctx, now)
	}
	return s.c.spoken && s.greet(ctx)
}

// giveFreely takes the gate away: this connection is ordinary tit-for-tat.
func (s *seller) giveFreely() {
	s.stock.settle(context.Background())
	s.free = true
	s.c.meter.open.Store(true)
	s.c.link.Open()
}

// serveLegacy gives a peer that cannot pay what the rule has for such peers.
func (s *seller) serveLegacy(ctx context.Context, now time.Time) bool {
	switch s.rule.Legacy {
	case "serve":
		if s.enters() {
			s.giveFreely()
		}
		return false
	case "throttle":
		s.trickle(now)
	case "sample":
		s.sample(ctx)
	case "choke":
		s.mingle()
		return s.mode != closed // only to close what may be open
	}
	return true
}

// trickle adds what the throttle allows since the last time, saving up at most two seconds or two blocks.
func (s *seller) trickle(now time.Time) {
	if s.lastTick.IsZero() {
		s.lastTick = now
	}
	if now.Sub(s.lastTick) < activeTick {
		return // or each byte would try the held requests again
	}
	fresh := units.Bytes(now.Sub(s.lastTick).Seconds() * float64(s.rule.Throttle))
	if fresh == 0 {
		return
	}
	s.lastTick = now
	s.stock.settle(context.Background())
	most := max(2*s.rule.Throttle, 2*block)
	s.trickled = s.stock.replace(throttled, []batch{{kind: throttled, bytes: min(most, s.stock.left(throttled)+fresh)}})
}

// greet introduces us and names our terms, once our node is known.
func (s *seller) greet(ctx context.Context) bool {
	if s.greeted {
		return true
	}
	id, ok := s.c.desk.identity()
	if !ok {
		return false
	}
	s.greeted = true
	s.sample(ctx)
	s.stock.settle(ctx) // a peer that was late may have had some of it
	s.c.say(s.c.intro.hello(s.c.desk.keys.Seller(), units.PeerKey{}, wire.RoleSeller, id.Node))
	s.c.say(s.terms())
	return true
}

// sample leases the free bytes, once.
func (s *seller) sample(ctx context.Context) {
	if !s.sampled {
		s.sampled = true
		s.stock.leaseSample(ctx)
	}
}

func (s *seller) terms() wire.Terms {
	return wire.Terms{Price: s.rule.Price, Min: s.rule.Min, Max: s.rule.Max, Free: s.stock.left(given), Credit: s.stock.line, TTL: termsTTL}
}

var errSecondHello = errors.New("the buyer changed its identity in mid-connection")

// meetBuyer learns who wants to buy.
func (s *seller) meetBuyer(ctx context.Context, h wire.Hello) error {
	if !s.greeted || h.PK == s.stock.buyer {
		return nil
	}
	if !s.stock.buyer.IsZero() {
		return errSecondHello
	}
	own := publicKey(s.c.desk.keys.Seller())
	if err := s.c.intro.verify(h, own, own, wire.RoleBuyer); err != nil {
		return err
	}
	s.stock.settle(ctx)
	s.stock.buyer = h.PK
	if old := s.c.desk.leases.attach(s.c, h.PK, s.c.link.InfoHash()); old != nil {
		old.dismiss("a newer connection of the same buyer took over")
	}
	s.stock.leaseCredit(ctx)
	s.offerCredit()
	s.tell(s.gateWord())
	return nil
}

// restock settles what was served and leases more when it runs low or an account has changed.
func (s *seller) restock(ctx context.Context, now time.Time, f facts, dirty bool) (grown bool) {
	if now.Sub(s.lastSettle) >= settleEvery {
		s.lastSettle = now
		s.stock.settle(ctx)
	}
	if s.stock.barter(ctx, s.rule.When) || s.trickled {
		s.trickled, grown = false, true
	}
	if s.c.spoken && s.c.avail.Load() < block && s.stock.indulge(ctx) {
		grown = true
	}
	if s.stock.buyer.IsZero() {
		return grown
	}
	low := s.c.avail.Load() < s.c.lowOut.Load()
	if dirty || low || f.starved {
		grown = s.stock.leaseCredit(ctx) || grown
		s.c.lowOut.Store(int64(s.stock.left(sold)) / lowWaterPart)
	}
	if dirty {
		s.paid(ctx)
		s.offerCredit()
	}
	return grown
}

// offerCredit tells the buyer of its credit line, when that is another than it was told. A payment makes a line grow;
// that is told once it has doubled.
func (s *seller) offerCredit() {
	if line := s.stock.line; line < s.offered || line > 2*s.offered {
		s.offered = line
		s.c.say(s.terms())
	}
}

// gateWord is the gate's state in the protocol's words.
func (s *seller) gateWord() string {
	if s.mode == opened {
		return wire.GateOpen
	}
	return wire.GateShut
}

// tell sends our snapshot to a buyer that has said who it is.
func (s *seller) tell(gate string) {
	if s.stock.buyer.IsZero() {
		return
	}
	m := wire.State{
		Served: units.Bytes(s.c.served.Load()), Charged: s.stock.earned, Bal: s.stock.balance, Gate: gate,
	}
	if m.Gate == s.told.Gate && m.Bal == s.told.Bal && m.Charged == s.told.Charged {
		return
	}
	s.told = m
	s.c.say(m)
}

// end writes the last bytes down and returns what was leased.
func (s *seller) end(ctx context.Context) {
	s.lap(time.Now())
	s.stock.settle(ctx)
	s.stock.keepBarter(s.rule.When)
	s.giveSlot(time.Time{})
	if s.lane != nil {
		s.c.desk.road.leave(s.c, s.lane)
	}
	s.c.desk.crowd.leave(s.c)
	s.c.desk.leases.detach(s.c, s.stock.buyer, s.c.link.InfoHash())
}
