package pay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"paygate/fault"
	"paygate/ledger"
	"paygate/policy"
	"paygate/proxy/wire"
	"paygate/units"
)

const bookWait = 10 * time.Second // for the ledger, when everything else is already over

// job is a payment that has been reserved and journalled and is to be made now.
type job struct {
	intent ledger.Intent
	done   func(Outcome) // called once, from the payment's goroutine; Unresolved when nobody knows
}

// heardInvoice checks an invoice, reserves the money under every cap, and hands the payment to the Desk, which
// finishes it whatever becomes of this connection.
func (b *buyer) heardInvoice(ctx context.Context, now time.Time, m wire.Invoice) {
	if b.ask == nil || b.paying {
		return
	}
	ask := *b.ask
	intent, err := b.agree(now, ask, m)
	if err == nil {
		err = b.commit(ctx, ask, &intent)
	}
	if errors.Is(err, errAtStake) && b.keep(now, m) {
		return
	}
	if err != nil {
		b.ask = nil
		b.notUntil = now.Add(maxFailPause)
		if errors.Is(err, ledger.ErrSeenHash) { // the seller has not heard yet that we have paid it
			b.notUntil = now.Add(paidHint)
		}
		if errors.Is(err, errAtStake) || now.Sub(b.repriced) < repricing {
			b.notUntil = now.Add(failPause)
		}
		b.c.say(wire.No{Code: wire.NoExpired, TTL: 0})
		b.unpaid(err)
		return
	}
	b.ask, b.paying, b.noticed = nil, true, false
	b.send(ctx, intent)
}

// keptPatience is how long an invoice is kept for which too much is at stake.
const keptPatience = 10 * time.Second

// keep keeps an invoice for which too much is at stake now, most often because other connections have bought of the same
// seller since we asked. Given back, it would count there as one that nobody pays, and hinder everybody's next.
func (b *buyer) keep(now time.Time, m wire.Invoice) bool {
	if b.ask.purpose != wire.ForBytes {
		return false
	}
	if b.ask.kept == nil {
		b.ask.keptAt = now
	}
	b.ask.kept, b.ask.triedAt = &m, now
	b.ordered = time.Time{} // what it waits for here is no payment's slowness
	return now.Sub(b.ask.keptAt) < keptPatience
}

// retry looks at a kept invoice again, as long as the client wants something.
func (b *buyer) retry(ctx context.Context, now time.Time, f facts) {
	switch {
	case b.ask == nil || b.ask.kept == nil || b.paying || now.Sub(b.ask.triedAt) < activeTick:
	case f.clientInterested:
		b.heardInvoice(ctx, now, *b.ask.kept)
	default:
		b.ask = nil
		b.c.say(wire.No{Code: wire.NoExpired, TTL: 0})
	}
}

// repricing is for how long after a change of price an invoice at the old one may still come.
const repricing = 30 * time.Second

// errAtStake is why an invoice that is good is not paid now.
var errAtStake = errors.New("too much is at stake by now")

// commit looks again at what is at stake, since others may have bought since we asked, and reserves.
// What has come so far is counted first, so that a crash forgets no more than what comes afterwards. A debt puts nothing
// at stake, as long as it is one: another connection may have paid it since, or be paying it.
func (b *buyer) commit(ctx context.Context, ask openAsk, intent *ledger.Intent) error {
	b.c.desk.spend.Lock()
	defer b.c.desk.spend.Unlock()
	b.count(ctx)
	if err := b.reload(ctx); err != nil {
		return err
	}
	most, why := b.exposed(ctx, b.want(0), ask.amt)
	owed := ask.purpose == wire.ForDebt && b.purse.Pending == 0 && ask.amt <= policy.Owed(-b.purse.Balance, b.terms.Price)
	if most < ask.amt && (!owed || why == policy.WhyDropped) {
		return fmt.Errorf("%w: %s", errAtStake, why)
	}
	if err := b.reserve(ctx, intent); err != nil {
		return err
	}
	b.c.desk.book.pending(*intent, true)
	return nil
}

// unpaid tells why an invoice was not paid. That the ledger cannot take it down is told once for all invoices.
func (b *buyer) unpaid(err error) {
	if p := (*ledger.Problem)(nil); errors.As(err, &p) {
		return
	}
	b.c.log.Info("invoice refused", zap.Error(err), zap.Stringer("peer", b.c.link.Remote()))
}

func (b *buyer) agree(now time.Time, ask openAsk, m wire.Invoice) (ledger.Intent, error) {
	d := b.c.desk
	own, ok := d.identity()
	if !ok {
		return ledger.Intent{}, refuse("our own node is not known yet")
	}
	r, err := d.rail.Read(m.Request)
	if err != nil {
		return ledger.Intent{}, fmt.Errorf("read invoice: %w", err)
	}
	g := bargain{
		buyer: publicKey(d.keys.Buyer(b.seller)), seller: b.seller, node: b.node, ownNode: own.Node,
		network: d.cfg.Network, amt: ask.amt, price: ask.price, purpose: ask.purpose,
	}
	if err := g.check(m, r, now); err != nil {
		if g.price = ask.floor; g.check(m, r, now) != nil { // who does not auction asks its own price
			return ledger.Intent{}, err
		}
	}
	return ledger.Intent{
		Hash: r.Hash, Seller: b.seller, Node: b.node, InfoHash: b.c.link.InfoHash(), Price: g.price, Buys: m.Buys,
		Msat: r.Msat, For: m.For, Request: m.Request, Expires: r.Expires, Category: b.c.category(),
	}, nil
}

// reserve journals the intent with its fee limit under the caps.
func (b *buyer) reserve(ctx context.Context, intent *ledger.Intent) error {
	d := b.c.desk
	rules := d.rules()
	room, err := d.ledger.Left(ctx, b.payee(), rules.caps)
	if err != nil {
		return err
	}
	intent.FeeLimit = policy.FeeLimit(intent.Msat, rules.buy.FeeMax, rules.buy.FeePercent, room)
	fault.Point(fault.ReserveBefore)
	err = d.ledger.Reserve(ctx, *intent, rules.caps)
	fault.Point(fault.ReserveAfter)
	if p := (*ledger.Problem)(nil); err == nil || errors.As(err, &p) {
		d.wrote(err)
	}
	return err
}

// send queues the payment; the answer comes back to the conversation if it still lives.
func (b *buyer) send(ctx context.Context, intent ledger.Intent) {
	d := b.c.desk
	began := time.Now()
	if !b.ordered.IsZero() {
		began = b.ordered // the invoice takes its time, too
	}
	b.c.do(ctx, func(ctx context.Context) func() {
		answer := make(chan Outcome, 1)
		out := Outcome{}
		select {
		case d.jobs <- job{intent: intent, done: func(o Outcome) { answer <- o }}:
		case <-ctx.Done():
			d.close(ctx, intent, Outcome{State: Failed, Reason: "the session ended before it was sent"})
			return func() {}
		}
		select {
		case out = <-answer:
		case <-ctx.Done():
		}
		return func() { b.paid(ctx, intent, out, time.Since(began)) }
	})
}

// paid goes on after a payment.
func (b *buyer) paid(ctx context.Context, intent ledger.Intent, o Outcome, took time.Duration) {
	b.paying = false
	b.last = intent.Msat
	b.failed = o.State != Succeeded
	now := time.Now()
	switch o.State {
	case Succeeded:
		b.c.flood.forget(purchaseMessages)
		b.failures = 0
		b.c.desk.payTimes.add(took)
		if !b.noticed {
			b.hint = &hint{pre: o.Preimage, at: now}
		}
		b.delivery.paidAt = now
	case Unresolved:
		b.notUntil = now.Add(maxFailPause)
	default:
		b.c.say(wire.No{Code: wire.NoNoRoute, TTL: 0}) // the invoice is of no use any more
		b.notUntil = now.Add(min(retryPause<<min(b.failures, 8), maxFailPause))
		b.failures++
	}
	if err := b.reload(ctx); err != nil {
		b.c.warn(ctx, "cannot read the account with the seller", err)
	}
}

// pay makes one payment and writes down what became of it. Only the rail's own word makes it failed.
func (d *Desk) pay(ctx context.Context, j job) {
	hash := j.intent.Hash
	defer d.live.start(hash)()
	fault.Point(fault.SentBefore)
	if err := d.ledger.Sent(ctx, hash); err != nil {
		out := Outcome{State: Failed, Reason: "it could not be journalled, so it was not sent: " + err.Error()}
		d.close(ctx, j.intent, out)
		j.done(out)
		return
	}
	fault.Point(fault.SentAfter)
	out, err := d.rail.Pay(ctx, Payment{Request: j.intent.Request, Hash: hash, FeeLimit: j.intent.FeeLimit})
	if err != nil {
		out = Outcome{State: Unresolved, Reason: err.Error()}
	}
	fault.Point(fault.PayAfter)
	d.close(ctx, j.intent, out)
	fault.Point(fault.CloseAfter)
	j.done(out)
}

// live are the payments that a goroutine of this process is making.
type live struct {
	mu     sync.Mutex
	hashes map[units.PaymentHash]struct{}
}

// start adds a hash and returns what removes it.
func (l *live) start(h units.PaymentHash) func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hashes[h] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.hashes, h)
	}
}

func (l *live) has(h units.PaymentHash) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.hashes[h]
	return ok
}

// close writes an outcome down, even when everything else is being shut down.
func (d *Desk) close(ctx context.Context, in ledger.Intent, o Outcome) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookWait)
	defer cancel()
	log := d.log.With(zap.Stringer("payment_hash", in.Hash), zap.Int64("msat", int64(in.Msat)),
		zap.Stringer("info_hash", in.InfoHash))
	var err error
	switch o.State {
	case Succeeded:
		var first bool
		if first, err = d.ledger.Succeed(ctx, in.Hash, o.Fee, o.Preimage); first {
			log.Info("payment made", zap.Int64("fee_msat", int64(o.Fee)))
		}
	case Failed, NeverSent:
		err = d.ledger.Fail(ctx, in.Hash, o.Reason)
		log.Info("payment failed", zap.String("reason", o.Reason))
	default:
		err = d.ledger.Unknown(ctx, in.Hash, o.Reason)
		log.Warn("the outcome of a payment is unknown; its amount stays reserved", zap.String("reason", o.Reason))
	}
	if err != nil {
		log.Warn("the outcome of a payment could not be written down; it is asked for again", zap.Error(err))
		return
	}
	if o.State != Unresolved {
		if purse, err := d.ledger.Purse(ctx, in.Seller); err == nil { // its conversation may be over
			d.book.delivered(purse)
		}
		d.book.pending(in, false)
	}
}

// exposure gathers what is at stake with a seller on its torrent.
func (d *Desk) exposure(ctx context.Context, b *buyer) (policy.Exposure, error) {
	ih := b.c.link.InfoHash()
	lost, today, err := d.ledger.WrittenOff(ctx, ih)
	if err != nil {
		return policy.Exposure{}, err
	}
	open, err := d.ledger.OpenPurchases(ctx)
	if err != nil {
		return policy.Exposure{}, err
	}
	rules, now := d.rules(), time.Now()
	delivered, until := d.book.standing(b.seller, now)
	delivered += b.purse.Balance - b.unused() // what came since the last count
	proven := d.book.proven(b.seller)
	held, heldToday := d.book.holdings(ih, now)
	e := policy.Exposure{
		Dropped: !until.IsZero(), Max: policy.Stake(delivered, rules.buy.Max, 0),
		Proven: proven, Delivered: delivered, First: d.book.least(b.seller), Balance: b.unused(), Pending: b.purse.Pending > 0, Last: b.latest(proven),
		Least: rules.buy.Min, Cap: rules.caps.Torrent, DayCap: rules.caps.Day, Lost: max(lost, 0) + held, LostToday: max(today, 0) + heldToday,
		Price: b.terms.Price, Left: -1, Unresolved: len(open),
	}
	for _, p := range open {
		if !d.book.proven(p.Seller) {
			e.UnresolvedUnproven++
		}
	}
	e.Paid, e.OthersPaid, e.OthersAhead = d.book.others(ih, b.seller)
	return e, nil
}

func isUnknownType(err error) bool { return errors.Is(err, wire.ErrUnknownType) }

// recallBook rebuilds what we know of sellers from the ledger.
func (d *Desk) recallBook(ctx context.Context) error {
	past, err := d.ledger.Purchases(ctx, bookMemory)
	if err != nil {
		return fmt.Errorf("read past purchases: %w", err)
	}
	seen := make(map[units.PeerKey]bool)
	for _, p := range slices.Backward(past) {
		if d.book.paid(p.Intent, p.Created); p.Open() {
			d.book.pending(p.Intent, true)
		}
		if seen[p.Seller] {
			continue
		}
		seen[p.Seller] = true
		purse, err := d.ledger.Purse(ctx, p.Seller)
		if err != nil {
			return fmt.Errorf("read the account with a seller: %w", err)
		}
		d.book.delivered(purse)
	}
	dropped, err := d.ledger.Drops(ctx)
	if err != nil {
		return fmt.Errorf("read the sellers that were dropped: %w", err)
	}
	for _, drop := range dropped {
		d.book.drop(drop)
	}
	return nil
}
