package pay

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"paygate/proxy"
	"paygate/proxy/wire"
	"paygate/units"
)

const (
	dialectName     = "pg_pay"
	methodBolt11    = "bolt11"
	protocolVersion = 1

	legacyAfter = 5 * time.Second // a peer that has not offered our dialect by then is legacy
	activeTick  = 250 * time.Millisecond
	idleTick    = time.Second
	dormantTick = 10 * time.Second
	mailboxSize = 64
)

// Link is what a conversation can do to its session; *proxy.Session is one. Nothing in it blocks.
type Link interface {
	ID() uint64
	// Front tells sessions of one client from those of another.
	Front() uint64
	Remote() netip.AddrPort
	InfoHash() units.InfoHash
	Initiator() bool
	Treatment() proxy.Treatment
	// RemoteID is the remote's peer id (BEP 3), once the conversation has begun; "" if it is not known.
	RemoteID() string
	// Wanted is at most how many bytes our client still lacks, and false while nobody knows.
	Wanted() (units.Bytes, bool)
	// Taken lists what has come of pieces that the client has not said to have, the most first.
	Taken() []proxy.Taken
	// PieceLength is how long a piece is, as far as this session shows, and whether that is sure.
	PieceLength() (n int64, sure bool)
	// BytesIn is how much has come from the remote on the wire.
	BytesIn() int64
	// Watch has lookouts told what the client says, in place of those before.
	Watch([]*proxy.Lookout)
	// RemoteSeeds reports whether the remote has said that it has all of the torrent.
	RemoteSeeds() bool
	Send(dialect int, payload []byte) error
	Valve
}

// Valve opens and closes what the client gives to the remote.
type Valve interface {
	Offer()
	Open()
	Resume()
	Shut()
	Withdraw()
	Release()
	Close(reason string)
}

// conversation is one session's talk about money. The relay loops touch meter and box; the rest belongs to its turns.
type conversation struct {
	meter
	affair
	chores   chores
	desk     *Desk
	link     Link
	log      talkLog
	nonce    [16]byte // of our advert
	dict     []byte
	box      mailbox
	unheard  []message              // taken from the box
	dirty    atomic.Bool            // an account has changed
	buys     atomic.Bool            // there is a buyer
	generous atomic.Bool            // the peer has all of the torrent, and gives us of it for nothing
	gone     atomic.Pointer[string] // why this session has to end

	intro    introduction
	spoken   bool      // the remote speaks our dialect, and we both know it
	mute     bool      // no payments with this peer any more
	released bool      // nothing to do: the session is a blind copy
	left     bool      // the client has hung up, and that is noted
	born     time.Time // when Begin was called
	since    time.Time // the first sign of life, from which the legacy wait counts
	flood    bucket
	ruled    ruling
	seller   *seller
	buyer    *buyer
	shown    shown
}

func fillNonce(n *[16]byte) { _, _ = rand.Read(n[:]) } // crypto/rand.Read never fails (it aborts the program)

func (d *Desk) open(link Link) *conversation {
	c := &conversation{
		affair: affair{of: d.rounds}, desk: d, link: link, flood: newFloodLimit(),
	}
	c.who, c.meter.nudge = c, c.ring
	advert := d.newAdvert()
	c.nonce, c.dict, c.log = advert.Nonce, advert.Encode(), talkLog{c}
	rules := d.rules()
	f := c.known()
	d.look(&f)
	if sale := d.sale(rules, f); !sale.Free && !sale.Deny {
		c.seller = newSeller(c, rules.offers.priced(sale))
	}
	c.mayBuy(rules, f)
	return c
}

// Adverts offers our dialect.
func (c *conversation) Adverts() []proxy.Advert {
	return []proxy.Advert{{Name: dialectName, Dict: c.dict}}
}

// Notify takes note of an event; the next turn acts on it.
func (c *conversation) Notify(e proxy.Event) {
	switch e.Kind {
	case proxy.ClientRequest:
		c.asked.Add(int64(e.N))
		return
	case proxy.ClientCancel:
		c.takeBack(int64(e.N))
		return
	case proxy.RemoteChoke:
		c.takeBack(c.asked.Load()) // without Fast, a choke discards what was asked (BEP 3)
	}
	c.box.note(e)
	c.nudge()
}

// Message takes a copy of a payment message; the next turn reads it.
func (c *conversation) Message(_ int, payload []byte) {
	c.box.put(payload, c.received.Load())
	c.nudge()
}

// refresh makes the next turn look at the accounts again. Any goroutine may call it.
func (c *conversation) refresh() {
	c.dirty.Store(true)
	c.nudge()
}

// dismiss ends the session. Any goroutine may call it.
func (c *conversation) dismiss(why string) {
	c.gone.Store(&why)
	c.nudge()
}

// Begin has the desk look after the conversation from now on. See proxy.Conversation.
func (c *conversation) Begin() {
	c.born = time.Now()
	c.desk.register(c)
	c.begin()
}

// look takes a turn.
func (c *conversation) look(ctx context.Context, now time.Time) time.Duration {
	c.chores.report()
	c.step(ctx, now)
	return c.pause()
}

// pause tells how long nothing needs to be looked at unless something happens.
func (c *conversation) pause() time.Duration {
	if c.released {
		return reviewEvery
	}
	if c.dormant(time.Now()) {
		return dormantTick
	}
	if !c.spoken || c.served.Load() == 0 && c.received.Load() == 0 && c.asked.Load() == 0 {
		return idleTick
	}
	if c.buyer != nil {
		return c.buyer.pause(time.Now())
	}
	return activeTick
}

// dormant reports whether this is a peer that cannot pay and wants nothing: whatever changes that rings.
func (c *conversation) dormant(now time.Time) bool {
	return c.legacy(now) && c.buyer == nil && c.seller != nil && c.seller.mode == closed && !c.seller.slot && !c.box.wanting()
}

// End writes down what is left, and returns when nothing is under way any more. See proxy.Conversation.
func (c *conversation) End() {
	c.end()
	c.desk.unregister(c)
	f, _ := c.box.take()
	c.hungUp(f, time.Now())
	c.chores.end()
	if c.buyer != nil {
		c.desk.flows.leaves(c.link.InfoHash(), c.received.Load())
	}
	last := context.Background()
	if c.seller != nil {
		c.seller.end(last)
	}
	if c.buyer != nil {
		c.buyer.end(last)
	}
}

// do runs work in a goroutine that the conversation waits for at its end, which ends the work's context, and what it
// returns in a turn.
func (c *conversation) do(ctx context.Context, work func(context.Context) func()) {
	c.chores.start(ctx, c.nudge, work)
}

// step looks at everything that may have changed and acts on it.
func (c *conversation) step(ctx context.Context, now time.Time) {
	if why := c.gone.Load(); why != nil {
		c.link.Close(*why)
		return
	}
	if c.adopt(ctx, now); c.released {
		return
	}
	f, messages := c.box.take()
	if f.any && c.since.IsZero() {
		c.since = now
	}
	c.hungUp(f, now)
	c.meet(f)
	for i, m := range messages {
		c.unheard = messages[i+1:]
		c.hear(ctx, now, m)
	}
	c.unheard = nil   // or an idle session would keep the last ones in memory
	c.adopt(ctx, now) // who has just said who it is may be under another rule, before anything is served
	if f.flooded {
		c.silence("the peer floods us with payment messages")
	}
	dirty := c.dirty.Swap(false)
	if c.buyer != nil {
		c.generous.Store(c.link.RemoteSeeds() && f.remoteUnchokes && c.buyer.terms == nil)
		c.buyer.step(ctx, now, f, dirty)
	}
	if c.seller != nil {
		c.seller.step(ctx, now, f, dirty)
	}
	c.show(now)
	c.retire(now)
}

// show leaves a note of where the conversation stands for whoever asks for a status.
func (c *conversation) show(now time.Time) {
	switch {
	case c.legacy(now):
		c.shown.set(Talk{Paying: "legacy"})
	case c.seller != nil && !c.seller.free && !c.seller.stock.buyer.IsZero():
		c.shown.set(Talk{Paying: "sell", Balance: c.seller.stock.balance, Buyer: c.seller.stock.buyer, Waits: c.seller.watch.sum})
	case c.buyer != nil && (c.buyer.introduced || c.buyer.why != ""):
		c.shown.set(Talk{Paying: "buy", Balance: c.buyer.purse.Balance, Why: c.buyer.why})
	}
}

// meet agrees on the dialect once both extended handshakes have crossed.
func (c *conversation) meet(f facts) {
	if c.spoken || c.mute || !f.hello || !f.ready || len(f.dict) == 0 {
		return
	}
	theirs, err := wire.ParseAdvert(f.dict)
	if err != nil || theirs.V != protocolVersion || theirs.Net != c.desk.cfg.Network || theirs.Nonce == c.nonce ||
		!slices.Contains(theirs.Methods, methodBolt11) {
		c.silence("the peer's pg_pay is not for us")
		return
	}
	c.intro = introduction{initiator: c.dict, acceptor: f.dict, infoHash: c.link.InfoHash()}
	if !c.link.Initiator() {
		c.intro.initiator, c.intro.acceptor = f.dict, c.dict
	}
	c.spoken = true
}

// heardTo is how many payload bytes came before the first message that was not heard yet, or by now if there is none.
func (c *conversation) heardTo() int64 {
	received := c.received.Load() // before looking, or bytes might slip in behind a message
	if len(c.unheard) > 0 {
		return c.unheard[0].received
	}
	if at, ok := c.box.next(); ok {
		return min(received, at)
	}
	return received
}

// hear reads one payment message. A malformed one ends the talk about money, not the connection.
func (c *conversation) hear(ctx context.Context, now time.Time, msg message) {
	if !c.spoken || c.mute {
		return
	}
	if !c.flood.allow(now) {
		c.silence("the peer floods us with payment messages")
		return
	}
	m, err := wire.ParseMessage(msg.payload)
	if isUnknownType(err) {
		return
	}
	if err != nil {
		c.silence("the peer sent a malformed payment message")
		return
	}
	switch m := m.(type) {
	case wire.Hello:
		c.heardHello(ctx, m)
	case wire.Buy, wire.Paid:
		if c.seller != nil {
			c.seller.hear(ctx, now, m)
		}
	case wire.Terms, wire.Invoice, wire.State:
		if c.buyer != nil {
			c.buyer.hear(ctx, now, m, msg.received)
		}
	case wire.No:
		c.heardNo(ctx, now, m)
	}
}

// heardNo gives a no to the side that it answers: on a torrent that both sell and buy, the code alone tells. Codes that
// nobody knows mean nothing.
func (c *conversation) heardNo(ctx context.Context, now time.Time, m wire.No) {
	switch m.Code {
	case wire.NoTooDear, wire.NoOverBudget, wire.NoNoRoute, wire.NoExpired:
		if c.seller != nil {
			c.seller.hear(ctx, now, m)
		}
	case wire.NoBusy, wire.NoStrangerLimit, wire.NoBlocked, wire.NoUnsupported:
		if c.buyer != nil && !c.buyer.seller.IsZero() {
			c.buyer.refused(now, m)
		}
	}
}

// heardHello gives a hello to the side that it is meant for: only a seller names its node.
func (c *conversation) heardHello(ctx context.Context, h wire.Hello) {
	var err error
	switch {
	case !h.Node.IsZero() && c.buyer != nil:
		err = c.buyer.meetSeller(ctx, h)
	case h.Node.IsZero() && c.seller != nil:
		err = c.seller.meetBuyer(ctx, h)
	}
	if err != nil {
		c.silence(err.Error())
	}
}

// silence ends the talk about money with this peer; it is a legacy peer from now on.
func (c *conversation) silence(why string) {
	if c.mute {
		return
	}
	c.mute, c.spoken = true, false
	c.log.Info("no payments with this peer", zap.Stringer("peer", c.link.Remote()), zap.String("reason", why))
}

// legacy reports whether this peer does not, or not any more, talk about money.
func (c *conversation) legacy(now time.Time) bool {
	return c.mute || !c.spoken && !c.since.IsZero() && now.Sub(c.since) >= legacyAfter
}

// say sends a message, if the peer speaks our dialect.
func (c *conversation) say(m wire.Message) {
	if !c.spoken {
		return
	}
	b, err := wire.EncodeMessage(m)
	if err != nil {
		c.log.Error("cannot encode a message of our own", zap.String("type", m.Type()), zap.Error(err))
		return
	}
	if err := c.link.Send(0, b); err != nil {
		c.log.Debug("payment message not sent", zap.String("type", m.Type()), zap.Error(err))
	}
}

// retire drops to a blind copy when neither side has any business left.
func (c *conversation) retire(now time.Time) {
	sells := c.seller != nil && (!c.seller.free || c.seller.lane != nil && c.paced.Load())
	buys := c.buyer != nil && (!c.legacy(now) || c.buyer.waits())
	if sells || buys || c.released {
		return
	}
	if c.seller != nil && !c.seller.decided {
		return
	}
	c.released = true
	c.meter.open.Store(true)
	c.link.Open()
	c.link.Release()
}

// warn tells of an error, unless it only comes of the session's end.
func (c *conversation) warn(ctx context.Context, what string, err error) {
	if ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		c.log.Warn(what, zap.Error(err))
	}
}
