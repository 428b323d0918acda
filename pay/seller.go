package pay

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"go.uber.org/zap"

	"paygate/config"
	"paygate/fault"
	"paygate/ledger"
	"paygate/proxy/wire"
	"paygate/units"
)

const (
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

// seller is our side of a connection on a torrent that a rule sells. It belongs to the conversation's goroutine.
type seller struct {
	c       *conversation
	rule    config.SellRule
	stock   stock
	decided bool // whether this connection is sold to at all is known
	free    bool // it is not
	greeted bool
	sampled bool // the free sample has been leased

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
	servedOnce bool       // the client has unchoked the peer before
	crowded    bool       // among the peers without credit
	told       wire.State // the last one
}

func newSeller(c *conversation, rule config.SellRule) *seller {
	s := &seller{c: c, rule: rule}
	s.stock = stock{c: c, subnet: subnetOf(c.link.Remote().Addr())}
	return s
}

func (s *seller) step(ctx context.Context, now time.Time, f facts, dirty bool) {
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
		if s.rule.When == "complete" && !f.whole {
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
		s.giveFreely()
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
	return wire.Terms{Price: s.rule.Price, Min: s.rule.Min, Max: s.rule.Max, Free: s.stock.left(given), TTL: termsTTL}
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
	s.tell(s.gateWord())
	return nil
}

// restock settles what was served and leases more when it runs low or an account has changed.
func (s *seller) restock(ctx context.Context, now time.Time, f facts, dirty bool) (grown bool) {
	if now.Sub(s.lastSettle) >= settleEvery {
		s.lastSettle = now
		s.stock.settle(ctx)
	}
	if s.stock.trade(ctx, s.rule.When) || s.trickled {
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
	}
	return grown
}

// paid notices that the open invoice has been settled.
func (s *seller) paid(ctx context.Context) {
	if s.invoice == nil {
		return
	}
	open, found, err := s.c.desk.ledger.OpenInvoice(ctx, s.stock.buyer, s.c.link.InfoHash())
	if err != nil || found && open.Hash == s.invoice.Hash {
		return
	}
	s.c.desk.quota.paid(s.stock.subnet)
	s.invoice = nil
	s.giveSlot(time.Time{})
	s.tell(wire.GateOpen)
}

// move opens, holds and shuts the valve.
func (s *seller) move(ctx context.Context, now time.Time, f facts, grown bool) {
	funded := s.c.avail.Load() >= block
	switch s.mode {
	case closed, offered:
		s.moveClosed(now, f, funded)
	case opened:
		s.moveOpen(ctx, now, f, grown)
	}
}

func (s *seller) moveClosed(now time.Time, f facts, funded bool) {
	switch {
	case funded && f.remoteInterested && (s.stock.left(sold, bartered, throttled, indulged) > 0 || s.takeSlot(now)):
		s.mode = opened
		s.heldSince = time.Time{}
		s.c.box.fed()
		s.c.link.Open()
		s.c.link.Resume()
		s.tell(wire.GateOpen)
	case s.mode == closed && s.ask != nil && s.takeSlot(now):
		s.mode = offered
		s.c.link.Offer()
	case s.mode == offered && now.Sub(s.slotSince) >= slotTime:
		s.mode = closed
		s.c.link.Withdraw()
		s.giveSlot(now.Add(slotRest))
		s.decline(wire.NoBusy, int64(slotRest/time.Second))
	}
}

func (s *seller) moveOpen(ctx context.Context, now time.Time, f facts, grown bool) {
	if s.slot && s.stock.left(sold, bartered, indulged) > 0 {
		s.giveSlot(time.Time{})
	}
	overstays := s.slot && now.Sub(s.slotSince) >= slotTime
	switch {
	case overstays:
		s.shut(ctx, now)
	case !f.starved:
		s.heldSince = time.Time{}
		s.tellBusy(f)
	case grown:
		s.heldSince = time.Time{}
		s.c.box.fed()
		s.c.link.Resume()
		s.tell(wire.GateOpen)
	case s.heldSince.IsZero():
		s.heldSince = now
		s.tell(wire.GateHeld)
	case now.Sub(s.heldSince) >= s.grace(now):
		s.shut(ctx, now)
	}
}

// tellBusy says whether the client itself chokes the peer, when that has changed.
func (s *seller) tellBusy(f facts) {
	s.servedOnce = s.servedOnce || f.clientUnchokes
	switch {
	case !f.clientUnchokes && s.servedOnce && s.told.Gate == wire.GateOpen:
		s.tell(wire.GateBusy)
	case f.clientUnchokes && s.told.Gate == wire.GateBusy:
		s.tell(wire.GateOpen)
	}
}

// shut chokes the peer until there is credit again.
func (s *seller) shut(ctx context.Context, now time.Time) {
	s.mode = closed
	s.heldSince = time.Time{}
	s.c.box.fed()
	s.c.link.Shut()
	s.giveSlot(now.Add(slotRest))
	s.stock.settle(ctx)
	s.tell(wire.GateShut)
}

// grace is how long requests are held. A trickle lives on being held for a moment again and again.
func (s *seller) grace(now time.Time) time.Duration {
	if s.rule.Legacy == "throttle" && s.stock.buyer.IsZero() && s.c.legacy(now) {
		return 2 * slotTime
	}
	return holdGrace
}

func (s *seller) takeSlot(now time.Time) bool {
	if s.slot {
		return true
	}
	if now.Before(s.slotNext) || !s.c.desk.slots.take(s.stock.subnet) {
		return false
	}
	s.slot, s.slotSince = true, now
	return true
}

func (s *seller) giveSlot(next time.Time) {
	if s.slot {
		s.slot = false
		s.c.desk.slots.give(s.stock.subnet)
	}
	s.slotNext = next
}

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
	case m.For != wire.ForBytes:
		s.decline(wire.NoUnsupported, termsTTL)
	case m.Amt < s.rule.Min || m.Amt > s.rule.Max:
		s.c.say(s.terms())
		s.decline(wire.NoUnsupported, retryTTL)
	default:
		s.ask, s.askSince = &m, now
	}
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
				s.c.log.Warn("an invoice cannot be looked up", zap.Error(err))
			}
		}
	})
}

// answer makes the invoice that was asked for, once the client gives this peer a slot: nobody pays for nothing.
func (s *seller) answer(ctx context.Context, now time.Time, f facts) {
	if s.ask == nil || s.issuing {
		return
	}
	if s.mode == closed || !f.clientUnchokes {
		if now.Sub(s.askSince) >= busyAnswer && s.mode != offered {
			s.decline(wire.NoBusy, retryTTL)
		}
		return
	}
	if s.invoice != nil && s.invoice.Msat != s.rule.Price.Charge(s.rule.Price.Buys(s.ask.Amt)) {
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
	buys := s.rule.Price.Buys(s.ask.Amt)
	inv := ledger.Invoice{
		Buyer: s.stock.buyer, InfoHash: s.c.link.InfoHash(), Price: s.rule.Price,
		Buys: buys, Msat: s.rule.Price.Charge(buys), For: s.ask.For,
	}
	s.issuing = true
	s.c.do(ctx, func(ctx context.Context) func() {
		err := s.issue(ctx, &inv)
		return func() { s.issued(inv, err) }
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
	err = d.ledger.AddInvoice(ctx, *inv)
	fault.Point(fault.InvoiceAfter)
	return err
}

func (s *seller) issued(inv ledger.Invoice, err error) {
	s.issuing = false
	if err != nil {
		s.c.log.Warn("no invoice could be made", zap.Error(err))
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
	if m == s.told {
		return
	}
	s.told = m
	s.c.say(m)
}

// end writes the last bytes down and returns what was leased.
func (s *seller) end(ctx context.Context) {
	s.stock.settle(ctx)
	s.giveSlot(time.Time{})
	s.c.desk.crowd.leave(s.c)
	s.c.desk.leases.detach(s.c, s.stock.buyer, s.c.link.InfoHash())
}
