package pay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"paygate/config"
	"paygate/fault"
	"paygate/ledger"
	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

// Config is what the owner decided.
type Config struct {
	Network     string        // of the Lightning node; told to peers, checked in invoices
	InvoiceTTL  time.Duration // how long the Rail lets an invoice live
	Sell        config.Sell
	Buy         config.Buy
	Observe     bool // tell what the rules would earn and spend, and charge and pay nothing
	UnpaidSlots int  // unpaid peers shown to the client at once; 0 is 8
	UnpaidPeers int  // gated peers without credit, oldest out; 0 is 60
}

// Deps are what a Desk works with. It owns none of them: the caller closes the ledger and the rail after Run has
// returned.
type Deps struct {
	Ledger *ledger.Ledger
	Rail   Rail // nil: nothing can be sold or bought, and every connection is free
	Keys   *Keys
	Log    *zap.Logger

	Torrents Torrents                // nil: the client cannot be asked
	Country  func(netip.Addr) string // ISO 3166-1 in upper case, "" if unknown; must not block. Nil: nobody knows
}

// Desk is where all conversations meet. See the package documentation.
type Desk struct {
	cfg    Config
	ledger *ledger.Ledger
	rail   Rail
	keys   *Keys
	log    *zap.Logger
	known  known
	ruling atomic.Pointer[rules]

	node        node
	leases      *leases
	slots       *slots
	crowd       *crowd
	quota       *quota
	barters     *barters
	road        *road
	flows       *flows
	observation observation
	waits       waits
	book        *book
	payTimes    slowEnd
	jobs        chan job
	ruled       chan struct{} // the rules are others than before
	live        live
	paper       paper
	blocks      blocks
	suspicions  suspicions
	spend       sync.Mutex // from the look at what is at stake to the reservation
	correcting  sync.Mutex // from the look at a purse to its correction by what a seller says

	mu    sync.Mutex
	talks map[*conversation]struct{}

	rounds *rounds
}

const (
	paysAtOnce         = 16 // payments: one lnd was measured to make 100 a second with so many under way
	defaultUnpaidSlots = 8
	defaultUnpaidPeers = 60
)

// New returns a Desk. Nothing moves until Run.
func New(cfg Config, deps Deps) (*Desk, error) {
	if deps.Ledger == nil || deps.Keys == nil || deps.Log == nil {
		return nil, errors.New("pay: a ledger, keys and a log are needed")
	}
	if cfg.UnpaidSlots == 0 {
		cfg.UnpaidSlots = defaultUnpaidSlots
	}
	if cfg.UnpaidPeers == 0 {
		cfg.UnpaidPeers = defaultUnpaidPeers
	}
	d := &Desk{
		cfg: cfg, ledger: deps.Ledger, rail: deps.Rail, keys: deps.Keys, log: deps.Log, known: known{deps.Torrents, deps.Country},
		crowd: &crowd{limit: cfg.UnpaidPeers}, quota: newQuota(), barters: newBarters(), road: newRoad(), flows: newFlows(),
		leases: newLeases(), slots: newSlots(cfg.UnpaidSlots), book: newBook(),
		jobs: make(chan job), ruled: make(chan struct{}, 1), live: live{hashes: make(map[units.PaymentHash]struct{})}, talks: make(map[*conversation]struct{}), rounds: newRounds(),
	}
	d.ruling.Store(newRules(cfg.Sell, cfg.Buy))
	d.node.grace.Store(int64(cfg.Sell.GraceBytes))
	return d, nil
}

// Admit decides how a connection is treated. See proxy.Desk.
func (d *Desk) Admit(a proxy.Arrival) proxy.Treatment {
	rules := d.rules()
	switch {
	case d.blocks.has(a.InfoHash):
		return proxy.Denied
	case d.rail == nil && !d.cfg.Observe && !rules.selling.MayDeny():
		return proxy.Free
	}
	f := d.facts(a)
	switch {
	case d.cfg.Observe:
		return d.glimpse(rules, f)
	case rules.selling.Decide(f).Deny:
		return proxy.Denied
	case d.rail == nil && rules.selling.MayRefuse(f): // once its peer has said who it is, or at another time
		return proxy.Watched
	case d.rail == nil:
		return proxy.Free
	case rules.selling.Concerns(f):
		return proxy.Gated
	case rules.buying.MightPay(f):
		return proxy.Watched
	}
	return proxy.Free
}

// MayCharge reports whether a hidden torrent could be one that is charged for, refused or blocked. See proxy.Desk.
func (d *Desk) MayCharge() bool {
	if d.blocks.any() {
		return true
	}
	selling := d.rules().selling
	return !d.cfg.Observe && (d.rail != nil && selling.MayCharge() || selling.MayDeny())
}

// MayTalk reports whether anything could be sold or bought. See proxy.Desk.
func (d *Desk) MayTalk() bool {
	caps := d.rules().caps
	return d.MayCharge() || d.rail != nil && caps.Torrent > 0 && caps.Day > 0 && caps.Total > 0
}

// Open begins the conversation of one session. See proxy.Desk.
func (d *Desk) Open(s *proxy.Session) proxy.Conversation {
	if d.cfg.Observe {
		return newObserver(d, s)
	}
	return d.open(s)
}

// Run keeps the money side going until ctx ends: it learns our node's identity, credits what arrives, makes the
// payments that conversations ask for and follows up those whose outcome is unknown. It returns when every
// payment goroutine has written down what it knows.
func (d *Desk) Run(ctx context.Context) error {
	if d.rail == nil {
		<-ctx.Done()
		return nil
	}
	if err := errors.Join(d.recallNode(ctx), d.recallBook(ctx)); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { d.watchNode(ctx) })
	wg.Go(func() { d.pace(ctx) })
	wg.Go(func() { d.gauge(ctx) })
	wg.Go(func() { d.collect(ctx) })
	wg.Go(func() { d.resolvePayments(ctx) })
	room := make(chan struct{}, paysAtOnce)
	for {
		select {
		case <-ctx.Done():
			return nil
		case room <- struct{}{}:
		}
		select {
		case <-ctx.Done():
			return nil
		case j := <-d.jobs:
			wg.Go(func() {
				defer func() { <-room }()
				d.pay(ctx, j)
			})
		}
	}
}

// collect takes in what is paid to us, from the moment on at which money may come in, until ctx ends.
func (d *Desk) collect(ctx context.Context) {
	for !d.earns(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-d.ruled:
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { d.sweepInvoices(ctx) })
	d.followSettlements(ctx)
}

// earns reports whether money may come in: a rule sells, or one has sold before. A buyer's macaroon need not be able
// to see invoices.
func (d *Desk) earns(ctx context.Context) bool {
	if d.rules().selling.MayCharge() {
		return true
	}
	index, err := d.ledger.SettleIndex(ctx)
	return err == nil && index > 0
}

// followSettlements credits what arrives, resuming where the ledger stopped.
func (d *Desk) followSettlements(ctx context.Context) {
	for wait := time.Second; ; wait = min(2*wait, 5*time.Second) {
		after, err := d.ledger.SettleIndex(ctx)
		if err == nil {
			err = d.rail.Settlements(ctx, after, func(s Settlement) error {
				wait = time.Second
				return d.credit(ctx, s)
			})
		}
		if ctx.Err() != nil {
			return
		}
		d.log.Warn("the stream of settled invoices ended; resuming", zap.Error(err), zap.Duration("in", wait))
		if !sleep(ctx, wait) {
			return
		}
	}
}

// credit writes a settlement down, once, and tells the buyer's conversations.
func (d *Desk) credit(ctx context.Context, s Settlement) error {
	fault.Point(fault.SettleBefore)
	c, fresh, err := d.ledger.Settle(ctx, ledger.Settlement{Hash: s.Hash, Msat: s.Msat, SettleIndex: s.Index, At: s.At})
	fault.Point(fault.SettleAfter)
	if err != nil {
		return fmt.Errorf("credit a settled invoice: %w", err)
	}
	if !fresh {
		return nil
	}
	d.log.Info("payment received", zap.Stringer("payment_hash", s.Hash), zap.Int64("msat", int64(c.Msat)),
		zap.Stringer("info_hash", c.InfoHash))
	d.quota.paid(s.Hash)
	d.leases.credited(c.Buyer)
	return nil
}

func (d *Desk) register(c *conversation) {
	list := d.suspicions.lookouts(c.flock())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.talks[c] = struct{}{}
	if len(list) > 0 {
		c.link.Watch(list)
	}
}

func (d *Desk) unregister(c *conversation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.talks, c)
}

// wakeAll makes every conversation look at its account again; for rare events only.
func (d *Desk) wakeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.talks {
		c.refresh()
	}
}

// newAdvert makes the dict that a session offers in its extended handshake.
func (d *Desk) newAdvert() wire.Advert {
	a := wire.Advert{V: protocolVersion, Methods: []string{methodBolt11}, Net: d.cfg.Network}
	fillNonce(&a.Nonce)
	return a
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
