package pay

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"paygate/config"
	"paygate/fault"
	"paygate/ledger"
	"paygate/policy"
	"paygate/proxy/wire"
	"paygate/units"
)

const (
	invoicePatience = 50 * time.Second // for the seller's client to give a slot, and its node an invoice
	maxAsks         = 3
	retryPause      = time.Second / 4 // after a failed payment, doubling
	failPause       = 2 * time.Second // with too much at stake
	maxFailPause    = time.Minute
	paidHint        = time.Second      // a seller that shows no credit by then is given the preimage
	busyPatience    = 30 * time.Second // nothing more is paid to a seller whose client chokes for longer
	silentSeller    = 60 * time.Second // paid, asked, and not a byte: it has not delivered
	silentPause     = 10 * time.Minute // and is left alone for so long
	defaultT90      = time.Second
	windowBytes     = 448 * block // what a seller lets through at once, and so has reserved at most
	startRate       = 256 << 10   // bytes a second, the least that is reckoned with
)

// buyer is our side of a connection on a torrent that a rule buys. It belongs to the conversation's turns.
type buyer struct {
	c      *conversation
	max    units.Price // what is paid at most; zero: nothing any more
	bid    units.Price // what is offered where a seller auctions; zero: its floor
	when   config.BuyWhen
	agreed units.Price // the most that was ever agreed to on this connection

	seller     units.PeerKey // zero until its hello was checked
	node       units.NodeKey
	introduced bool // we have said hello
	terms      *wire.Terms
	counted    int64       // of meter.received: written to the ledger
	bartered   int64       // of meter.served: offset by bytes that came
	repriced   time.Time   // when the terms last named another price
	freeLeft   units.Bytes // of the sample that the terms promised
	purse      ledger.Purse
	lots       []ledger.Bought // of the purse: bought for this torrent
	speed      speed

	ask       *openAsk
	ordered   time.Time // when the payment that is under way was begun with its ask; zero: the ask had to wait
	paying    bool
	last      units.Msat
	failed    bool
	failures  int
	notUntil  time.Time
	owing     time.Time // since when our balance is below zero
	parted    bool      // the last debt is being paid: nothing is bought any more
	hint      *hint
	noticed   bool // the seller opened its gate while our payment was still under way
	gate      string
	gateAt    time.Time
	apart     *snapshot
	returning bool // we had paid this seller before this connection
	matched   bool // the first state of the connection has been compared with our own books
	delivery  delivery
	lastBook  time.Time
	why       string // why nothing is bought, as last logged
}

// openAsk is a buy that has no invoice yet.
type openAsk struct {
	amt     units.Msat
	price   units.Price // at which we ask, and
	floor   units.Price // the seller's own, at which it may answer
	bid     units.Msat  // as it was said; 0: none
	purpose string      // bytes or debt
	at      time.Time
	tries   int
	kept    *wire.Invoice // its invoice, for which too much was at stake when it came
	keptAt  time.Time
	triedAt time.Time // when it was last tried
}

// hint is a payment that the seller may not have noticed.
type hint struct {
	pre units.Preimage
	at  time.Time
}

// delivery watches a seller that holds money of ours.
type delivery struct {
	paidAt time.Time
	bytes  int64 // meter.received when it last grew
	grew   time.Time
}

// silent reports that nothing has come for too long from a seller that was paid and asked.
func (d *delivery) silent(now time.Time, received int64) bool {
	if received != d.bytes || d.grew.IsZero() {
		d.bytes, d.grew = received, now
	}
	last := d.grew
	if d.paidAt.After(last) {
		last = d.paidAt
	}
	return !d.paidAt.IsZero() && now.Sub(last) >= silentSeller
}

func newBuyer(c *conversation, maxPrice units.Price) *buyer {
	return &buyer{c: c, max: maxPrice, agreed: maxPrice}
}

// meetSeller checks who sells.
func (b *buyer) meetSeller(ctx context.Context, h wire.Hello) error {
	if !b.seller.IsZero() {
		if h.PK == b.seller {
			return nil
		}
		return errors.New("the seller changed its identity in mid-connection")
	}
	own := publicKey(b.c.desk.keys.Seller())
	if err := b.c.intro.verify(h, own, units.PeerKey{}, wire.RoleSeller); err != nil {
		return err
	}
	if id, ok := b.c.desk.identity(); ok && id.Node == h.Node {
		return errors.New("the seller is paid through our own node")
	}
	b.seller, b.node = h.PK, h.Node
	b.c.desk.book.arrives(b.seller)
	err := b.reload(ctx)
	b.returning = b.purse.Paid > 0
	return err
}

func (b *buyer) reload(ctx context.Context) error {
	purse, err := b.c.desk.ledger.Purse(ctx, b.seller)
	if err != nil {
		return err
	}
	lots, err := b.c.desk.ledger.Lots(ctx, b.seller, b.c.link.InfoHash())
	if err != nil {
		return err
	}
	b.purse, b.lots = purse, held(lots, purse.Balance)
	b.c.desk.book.delivered(purse)
	return nil
}

// hear takes a seller's message; without a valid hello before it, it is nothing.
func (b *buyer) hear(ctx context.Context, now time.Time, m wire.Message, received int64) {
	if b.seller.IsZero() {
		return
	}
	switch m := m.(type) {
	case wire.Terms:
		b.heardTerms(ctx, now, m, received)
	case wire.Invoice:
		b.heardInvoice(ctx, now, m)
	case wire.State:
		b.heardState(ctx, now, m, received)
	}
}

// heardTerms learns the price. What came before the terms is not counted; what has come since is.
func (b *buyer) heardTerms(ctx context.Context, now time.Time, m wire.Terms, received int64) {
	if b.terms == nil {
		b.counted = received
	}
	if b.terms != nil {
		b.countTo(ctx, received) // what came before them, at the price that held until then
		if m.Price != b.terms.Price {
			b.ask, b.repriced = nil, now // an invoice for it would be at the price that holds no more
		}
	}
	b.freeLeft = m.Free
	b.terms = &m
}

// heardState takes the seller's snapshot. It never makes us pay for bytes that we did not count, but where the two
// books part after a crash or a cut connection, ours gives way, within the bounds of what may be lost.
func (b *buyer) heardState(ctx context.Context, now time.Time, m wire.State, received int64) {
	if b.gate != m.Gate {
		b.gateAt = now
	}
	b.gate = m.Gate
	if m.Gate == wire.GateOpen {
		b.hint = nil
		b.noticed = b.paying
	}
	b.apart = nil
	if b.terms != nil && (!b.matched || m.Gate == wire.GateShut) {
		b.apart = &snapshot{bal: m.Bal, received: received, at: now, cut: !b.matched && b.returning}
		b.compare(ctx)
	}
	b.matched = true
}

// refused takes a no.
func (b *buyer) refused(now time.Time, m wire.No) {
	b.ask = nil
	b.notUntil = now.Add(min(max(time.Duration(m.TTL)*time.Second, time.Second), 10*time.Minute))
}

func (b *buyer) step(ctx context.Context, now time.Time, f facts, dirty bool) {
	if b.seller.IsZero() || b.terms == nil || b.c.mute {
		return
	}
	b.gauge(now)
	if now.Sub(b.lastBook) >= settleEvery {
		b.lastBook = now
		if b.c.received.Load() > b.counted && !b.c.left {
			b.c.desk.takenBack(b.seller, b.c.flock())
		}
		b.count(ctx)
		dirty = dirty || b.purse.Pending > 0 && !b.paying // another connection's payment: nobody tells when it is over
	}
	if dirty {
		if err := b.reload(ctx); err != nil {
			b.c.warn(ctx, "cannot read the account with the seller", err)
		}
	}
	b.remind(now)
	b.compare(ctx)
	b.patience(now)
	b.retry(ctx, now, f)
	owed := b.unused() >= b.terms.Price.Charge(block) // less than that, it has nothing of ours to deliver
	if b.delivery.silent(now, b.c.received.Load()) && f.clientInterested && owed {
		b.giveUp(ctx, now)
	}
	if _, until := b.c.desk.book.standing(b.seller, now); !until.IsZero() {
		b.explain(policy.WhyDropped)
		return
	}
	b.payDebt(ctx, now, f)
	b.decide(ctx, now, f)
}

// count writes down what has come, except behind a message that we have yet to read: it may name another price.
func (b *buyer) count(ctx context.Context) { b.countTo(ctx, b.c.heardTo()) }

// countTo writes received bytes down up to a number of them: free ones first, as the seller gives them first.
func (b *buyer) countTo(ctx context.Context, received int64) {
	n := units.Bytes(received - b.counted)
	if n <= 0 || b.terms == nil {
		return
	}
	ctx = context.WithoutCancel(ctx) // the end of the session must not lose the count
	b.counted += int64(n)
	free := min(n, b.free())
	if !b.introduced { // who has not said who it is owes nothing
		free = max(free, n-min(n, b.covered()))
	}
	undo := b.useFree(min(n, b.free()))
	for _, part := range b.priced(n - free) {
		part.Seller, part.InfoHash, part.Free = b.seller, b.c.link.InfoHash(), free
		part.Bytes += free
		fault.Point(fault.ReceiveBefore)
		err := b.c.desk.ledger.Receive(ctx, part)
		fault.Point(fault.ReceiveAfter)
		b.c.desk.wrote(err)
		if err != nil { // they count as pending until they can be written
			b.counted -= int64(n)
			undo()
			break
		}
		n, free, undo = n-part.Bytes, 0, func() {}
	}
	if err := b.reload(ctx); err != nil {
		b.c.warn(ctx, "cannot read the account with the seller", err)
	}
}

// credit is how many bytes we may still have, by our own count.
func (b *buyer) credit() units.Bytes {
	pending := units.Bytes(b.c.received.Load() - b.counted)
	bytes, rest := b.free()-pending, b.purse.Balance
	if rest < 0 {
		return bytes - b.terms.Price.Buys(-rest)
	}
	for _, l := range b.lots {
		bytes += deliverable(l)
		rest -= l.Left
	}
	return bytes + b.terms.Price.Buys(max(0, rest))
}

// covered is how many bytes the balance pays for.
func (b *buyer) covered() units.Bytes {
	return max(0, b.credit()+units.Bytes(b.c.received.Load()-b.counted)-b.free())
}

// unused is our credit with the seller in msat, by our own count up to now.
func (b *buyer) unused() units.Msat {
	cost := units.Msat(0)
	for _, part := range b.priced(units.Bytes(b.c.received.Load()-b.counted) - b.free()) {
		cost += part.Price.Charge(part.Bytes)
	}
	return b.purse.Balance - cost
}

// remind gives a seller that shows no credit the preimage, so that it asks its own node.
func (b *buyer) remind(now time.Time) {
	if b.hint != nil && now.Sub(b.hint.at) >= paidHint {
		b.c.say(wire.Paid{Pre: b.hint.pre})
		b.hint = nil
	}
}

// patience repeats an ask that got no answer, a few times.
func (b *buyer) patience(now time.Time) {
	if b.ask == nil || now.Sub(b.ask.at) < invoicePatience {
		return
	}
	if b.ask.tries >= maxAsks {
		b.ask = nil
		b.notUntil = now.Add(maxFailPause)
		return
	}
	b.ask.tries++
	b.ask.at = now
	b.c.say(wire.Buy{Amt: b.ask.amt, For: b.ask.purpose, Left: -1, Bid: b.ask.bid})
}

// decide buys when credit runs low, and introduces us once there is a reason to.
func (b *buyer) decide(ctx context.Context, now time.Time, f facts) {
	if b.max.Free() {
		b.explain(whyNotYet)
		return
	}
	if b.terms.Price.Compare(b.max) > 0 {
		b.explain(wire.NoTooDear)
		return
	}
	if !f.clientInterested {
		return
	}
	if !b.timely(now) {
		b.explain(whyNotYet)
		return
	}
	if !b.introduced {
		b.introduce(ctx)
	}
	if !b.c.desk.node.usable.Load() {
		b.explain("lightning-down")
		return
	}
	if b.ask != nil || b.paying || now.Before(b.notUntil) || !b.usable(now) {
		return
	}
	b.buy(ctx, now)
}

func (b *buyer) introduce(ctx context.Context) {
	b.count(ctx) // what came before is not owed
	b.introduced = true
	b.c.say(b.c.intro.hello(b.c.desk.keys.Buyer(b.seller), b.seller, wire.RoleBuyer, units.NodeKey{}))
}

// giveUp writes off what a seller holds that took money and delivered nothing. Should it deliver after all, its
// next snapshot brings the credit back.
func (b *buyer) giveUp(ctx context.Context, now time.Time) {
	b.delivery.paidAt = time.Time{}
	b.count(ctx)
	if b.purse.Balance <= 0 {
		return
	}
	b.notUntil = now.Add(silentPause)
	b.c.log.Warn("a paid seller does not deliver; nothing more is paid to it for a while",
		zap.Stringer("seller", b.seller), zap.Int64("msat", int64(b.purse.Balance)))
	b.reconcile(ctx, 0, false)
}

// usable reports whether the seller has given us reason to go on paying.
func (b *buyer) usable(now time.Time) bool {
	return b.gate != wire.GateBusy || now.Sub(b.gateAt) < busyPatience
}

func (b *buyer) buy(ctx context.Context, now time.Time) {
	d := b.c.desk
	rules := d.rules()
	room, err := d.ledger.Left(ctx, b.payee(), rules.caps)
	if err != nil {
		b.c.warn(ctx, "the budget cannot be read, so nothing is bought", err)
		return
	}
	if b.credit() < block {
		b.count(ctx) // the seller may have proven itself by it
	}
	want := b.want(room)
	amt, yes, why := rules.buying.Purchase(want)
	if !yes {
		if why != policy.WhyEnough && why != policy.WhyProving {
			b.explain(why)
		}
		b.watch(want, why)
		return
	}
	if amt, why = b.exposed(ctx, want, amt); amt == 0 {
		b.held(now, why)
		return
	}
	price := want.Price
	amt = price.Charge(price.Buys(amt)) // an amount that buys whole bytes
	b.why = ""
	m := wire.Buy{Amt: amt, For: wire.ForBytes, Left: want.Left}
	if price != b.terms.Price {
		m.Bid = price.Msat
	}
	b.order(now, m)
}

// explain logs why nothing is bought, once a reason.
func (b *buyer) explain(why string) {
	if why == b.why || why == "" {
		return
	}
	b.why = why
	b.c.log.Info("not buying", zap.String("reason", why), zap.Stringer("peer", b.c.link.Remote()))
	if why == wire.NoTooDear || why == wire.NoOverBudget {
		b.c.say(wire.No{Code: why, TTL: 60})
	}
}

// held waits with a purchase that would put too much at stake.
func (b *buyer) held(now time.Time, why string) {
	if why == policy.WhyUnused { // the next block changes that
		b.c.lowIn.Store(b.c.received.Load() + block)
		return
	}
	b.explain(why)
	b.notUntil = now.Add(failPause)
	if why == policy.WhyPending { // of another connection to the same seller, most often
		b.notUntil = now.Add(activeTick)
	}
}

// exposed holds a purchase against the bounds of what may be lost, and returns how much of it may be paid.
func (b *buyer) exposed(ctx context.Context, w policy.Want, amt units.Msat) (units.Msat, string) {
	var err error
	if b.purse.Pending > 0 {
		err = b.reload(ctx)
	}
	var e policy.Exposure
	if err == nil {
		e, err = b.c.desk.exposure(ctx, b)
	}
	if err != nil {
		b.c.warn(ctx, "what is at stake cannot be read, so nothing is bought", err)
		return 0, wire.NoOverBudget
	}
	e.Smallest, e.Amt = policy.Smallest(w), amt
	return policy.MayPaySeller(e)
}

// end writes the last bytes down.
func (b *buyer) end(ctx context.Context) {
	if !b.seller.IsZero() {
		b.countTo(ctx, b.c.received.Load())
		b.c.desk.book.leaves(b.seller)
	}
}
