package pay

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"paygate/client"
	"paygate/config"
	"paygate/ledger"
	"paygate/proxy"
	"paygate/units"
)

// bank is a Lightning network of two nodes with one channel of endless capacity, on the clock of the test.
type bank struct {
	mu        sync.Mutex
	latency   time.Duration
	down      bool
	outcome   func(Payment) (Outcome, error) // scripted; nil pays
	track     func(context.Context, units.PaymentHash) (Outcome, error)
	invoices  map[units.PaymentHash]*bankInvoice
	settled   []Settlement
	changed   chan struct{}
	pays      int
	cancelled int
	spoil     func(*Request) // what a hostile seller makes of its invoices
	deaf      bool           // the stream of settlements tells nothing
	sent      units.Msat
}

type bankInvoice struct {
	Request
	preimage units.Preimage
	request  string
	paid     bool
}

func newBank(latency time.Duration) *bank {
	return &bank{latency: latency, invoices: make(map[units.PaymentHash]*bankInvoice), changed: make(chan struct{})}
}

var errNodeDown = errors.New("the node is down")

// account is one node's view of the bank.
type account struct {
	*bank
	node units.NodeKey
}

func (b *bank) node(n byte) account { return account{bank: b, node: units.NodeKey{2, n}} }

func (a account) Identity(context.Context) (Identity, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return Identity{}, errNodeDown
	}
	return Identity{Node: a.node, Network: "regtest"}, nil
}

func (a account) Issue(_ context.Context, o Order) (Issued, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return Issued{}, errNodeDown
	}
	inv := &bankInvoice{}
	if _, err := rand.Read(inv.preimage[:]); err != nil {
		return Issued{}, err
	}
	hash := units.PaymentHash(sha256.Sum256(inv.preimage[:]))
	inv.request = fmt.Sprintf("lnsim%x", hash[:])
	inv.Request = Request{
		Network: "regtest", Payee: a.node, Hash: hash, Msat: o.Msat, Binding: o.Binding, HasBinding: true,
		Expires: time.Now().Add(time.Hour), FinalCLTV: 80, Plain: true,
	}
	if a.spoil != nil {
		a.spoil(&inv.Request)
	}
	a.invoices[hash] = inv
	return Issued{Hash: hash, Request: inv.request, Expires: inv.Expires}, nil
}

func (a account) Lookup(_ context.Context, h units.PaymentHash) (Settlement, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.settled {
		if s.Hash == h {
			return s, true, nil
		}
	}
	if a.invoices[h] == nil {
		return Settlement{}, false, ErrGone
	}
	return Settlement{}, false, nil
}

func (a account) Cancel(_ context.Context, h units.PaymentHash) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if inv := a.invoices[h]; inv == nil || inv.paid {
		return ErrGone
	}
	delete(a.invoices, h)
	a.cancelled++
	return nil
}

func (a account) Settlements(ctx context.Context, after uint64, fn func(Settlement) error) error {
	for {
		a.mu.Lock()
		var fresh []Settlement
		if !a.down && !a.deaf {
			fresh = append(fresh, a.settled[min(int(after), len(a.settled)):]...)
		}
		changed := a.changed
		a.mu.Unlock()
		for _, s := range fresh {
			if err := fn(s); err != nil {
				return err
			}
			after = s.Index
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (a account) Read(request string) (Request, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, inv := range a.invoices {
		if inv.request == request {
			return inv.Request, nil
		}
	}
	return Request{}, errors.New("no such invoice")
}

func (a account) Pay(ctx context.Context, p Payment) (Outcome, error) {
	a.mu.Lock()
	a.pays++
	script, down, latency := a.outcome, a.down, a.latency
	a.mu.Unlock()
	if down {
		return Outcome{State: Failed, Reason: "node down"}, nil
	}
	if !sleep(ctx, latency) {
		return Outcome{}, ctx.Err()
	}
	if script != nil {
		return script(p)
	}
	return a.settle(p.Hash)
}

func (b *bank) settle(h units.PaymentHash) (Outcome, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	inv := b.invoices[h]
	if inv == nil || inv.paid {
		return Outcome{State: Failed, Reason: "cannot be paid"}, nil
	}
	inv.paid = true
	b.sent += inv.Msat
	b.settled = append(b.settled, Settlement{Hash: h, Msat: inv.Msat, Index: uint64(len(b.settled) + 1), At: time.Now()})
	b.wake()
	return Outcome{State: Succeeded, Preimage: inv.preimage}, nil
}

func (b *bank) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *bank) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	b.wake()
}

func (a account) Track(ctx context.Context, h units.PaymentHash) (Outcome, error) {
	if a.track != nil {
		return a.track(ctx, h)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	inv := a.invoices[h]
	switch {
	case a.down:
		return Outcome{}, errNodeDown
	case inv == nil:
		return Outcome{State: NeverSent}, nil
	case inv.paid:
		return Outcome{State: Succeeded, Preimage: inv.preimage}, nil
	}
	return Outcome{}, nil
}

var newPeerAddr = netip.MustParseAddrPort("203.0.113.7:6881")

// simLink is a session without sockets: what one conversation sends, the other one hears.
type simLink struct {
	s         *sim
	initiator bool
	remoteID  string
	remote    netip.AddrPort
	other     func() *conversation
	mu        sync.Mutex
	mode      mode
	released  bool
	closed    string
	shuts     int
	starved   bool
	sent      [][]byte

	number  uint64 // ID
	front   uint64
	taken   []proxy.Taken
	length  int64 // of a piece; 0: not known
	bytesIn atomic.Int64
	looks   []*proxy.Lookout
}

func (l *simLink) Front() uint64  { return l.front }
func (l *simLink) BytesIn() int64 { return l.bytesIn.Load() }

func (l *simLink) Taken() []proxy.Taken { l.mu.Lock(); defer l.mu.Unlock(); return l.taken }

func (l *simLink) PieceLength() (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.length, l.length > 0
}

func (l *simLink) Watch(list []*proxy.Lookout) { l.mu.Lock(); l.looks = list; l.mu.Unlock() }

func (l *simLink) ID() uint64               { return 1 + l.number }
func (l *simLink) Remote() netip.AddrPort   { return l.remote }
func (l *simLink) InfoHash() units.InfoHash { return l.s.infoHash }
func (l *simLink) Initiator() bool          { return l.initiator }
func (l *simLink) RemoteID() string         { return l.remoteID }

func (l *simLink) Treatment() proxy.Treatment {
	if l.initiator {
		return proxy.Watched
	}
	return proxy.Gated
}

func (l *simLink) RemoteSeeds() bool {
	_, known := l.Wanted()
	return known
}

func (l *simLink) Wanted() (units.Bytes, bool) {
	return units.Bytes(l.s.size - l.s.done.Load()), l.s.knows
}

func (l *simLink) Send(_ int, b []byte) error {
	l.mu.Lock()
	l.sent = append(l.sent, b)
	if tamper := l.s.tamper; tamper != nil {
		b = tamper(b)
	}
	l.mu.Unlock()
	if b != nil && l.other() != nil {
		l.other().Message(0, b)
	}
	return nil
}

func (l *simLink) set(m mode) { l.mu.Lock(); l.mode = m; l.mu.Unlock() }
func (l *simLink) Offer()     { l.set(offered) }
func (l *simLink) Open()      { l.set(opened) }
func (l *simLink) Withdraw()  { l.set(closed) }
func (l *simLink) Resume()    { l.mu.Lock(); l.starved = false; l.mu.Unlock() }
func (l *simLink) Shut()      { l.mu.Lock(); l.mode, l.shuts = closed, l.shuts+1; l.mu.Unlock() }
func (l *simLink) Release()   { l.mu.Lock(); l.released = true; l.mu.Unlock() }

func (l *simLink) Close(reason string) { l.mu.Lock(); l.closed = reason; l.mu.Unlock() }

func (l *simLink) state() (mode, bool, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mode, l.released, l.closed
}

// sim is one seller, one buyer, and a transfer between their clients.
type sim struct {
	t        *testing.T
	infoHash units.InfoHash
	dir      string
	sell     config.Sell
	buy      config.Buy
	bank     *bank
	sellerL  *ledger.Ledger
	buyerL   *ledger.Ledger
	seller   *Desk
	buyer    *Desk
	sc, bc   *conversation
	sl, bl   *simLink
	tamper   func([]byte) []byte // what a man in the middle makes of a message
	rate     int64               // bytes a second between the clients
	size     int64
	got      int64
	done     atomic.Int64 // got, for other goroutines
	knows    bool         // the buyer's client shows how much it still lacks
	thieves  int          // that were connected
	stalls   time.Duration
	stop     context.CancelFunc
	wg       sync.WaitGroup
}

func simRules() (config.Sell, config.Buy) {
	price := units.Price{Msat: 1000 * units.Sat, Per: units.GiB}
	sell := config.Sell{
		SampleTorrentDay: 64 * units.MiB, SampleDay: 256 * units.MiB,
		Rules: []config.SellRule{{
			Name: "all", Any: true, Price: price, Sample: units.MiB, Legacy: "choke", Rights: "own", When: "complete",
			Min: 10 * units.Sat, Max: 10_000 * units.Sat, Throttle: 64 * units.KiB,
		}},
	}
	buy := config.Buy{
		PerTorrent: 5000 * units.Sat, PerDay: 5000 * units.Sat, Total: 5000 * units.Sat,
		Min: 10 * units.Sat, Max: 1000 * units.Sat, FeeMax: units.Sat, FeePercent: 1,
		Rules: []config.BuyRule{{Name: "all", Any: true, MaxPrice: units.Price{Msat: 2000 * units.Sat, Per: units.GiB}}},
	}
	return sell, buy
}

func newSim(t *testing.T, bank *bank, sell config.Sell, buy config.Buy) *sim {
	t.Helper()
	s := &sim{t: t, bank: bank, rate: 12_500_000, size: 64 << 20, infoHash: units.InfoHash{7}}
	dir := t.TempDir()
	s.dir, s.sell, s.buy = dir, sell, buy
	s.openSeller()
	s.openBuyer()
	return s
}

func (s *sim) openSeller() {
	s.sellerL = openLedger(s.t, filepath.Join(s.dir, "seller.sqlite"))
	s.seller = newDesk(s.t, Config{Network: "regtest", Sell: s.sell, InvoiceTTL: time.Hour}, s.sellerL, s.bank.node(1), filepath.Join(s.dir, "seller.key"))
}

func (s *sim) openBuyer() {
	s.buyerL = openLedger(s.t, filepath.Join(s.dir, "buyer.sqlite"))
	s.buyer = newDesk(s.t, Config{Network: "regtest", Buy: s.buy}, s.buyerL, s.bank.node(2), filepath.Join(s.dir, "buyer.key"))
}

// crash ends everything without letting one side's books hear of it, and starts it again.
func (s *sim) crash(books **ledger.Ledger, reopen func()) {
	other := s.sellerL
	if books == &s.sellerL {
		other = s.buyerL
	}
	if err := (*books).Close(); err != nil {
		s.t.Fatal(err)
	}
	s.stop()
	s.wg.Wait()
	reopen()
	if other == s.sellerL { // an orderly restart of the other side, for simplicity's sake
		other.Close()
		s.openSeller()
	} else {
		other.Close()
		s.openBuyer()
	}
	s.start()
}

func openLedger(t *testing.T, path string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), path, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newDesk(t *testing.T, cfg Config, l *ledger.Ledger, rail Rail, keyFile string) *Desk {
	t.Helper()
	keys, err := LoadKeys(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(cfg, Deps{
		Ledger: l, Rail: rail, Keys: keys, Log: zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel)), Torrents: publicTorrents{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// publicTorrents is a client whose torrents are all flagged as public.
type publicTorrents struct{}

func (publicTorrents) Torrent(ih units.InfoHash) (client.Torrent, bool) {
	return client.Torrent{Hashes: []units.InfoHash{ih}, PrivateKnown: true}, true
}

// start runs both desks and connects them.
func (s *sim) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	for _, d := range []*Desk{s.seller, s.buyer} {
		s.wg.Go(func() {
			if err := d.Run(ctx); err != nil {
				s.t.Errorf("desk: %v", err)
			}
		})
	}
	s.connect(ctx)
}

// connect opens a session on both sides, as two proxies would.
func (s *sim) connect(ctx context.Context) {
	var sc, bc *conversation // a later connection must not change whom this one talks to
	s.sl = &simLink{s: s, remote: newPeerAddr, other: func() *conversation { return bc }}
	s.bl = &simLink{s: s, initiator: true, remote: netip.MustParseAddrPort("198.51.100.9:6881"), other: func() *conversation { return sc }}
	sc, bc = s.seller.open(s.sl), s.buyer.open(s.bl)
	s.sc, s.bc = sc, bc
	s.wg.Go(func() { sc.Run(ctx) })
	s.wg.Go(func() { bc.Run(ctx) })
	s.sc.Notify(proxy.Event{Kind: proxy.ClientHas, Complete: true})
	s.bc.Notify(proxy.Event{Kind: proxy.ClientHas})
	s.shakeHands()
	s.bc.Notify(proxy.Event{Kind: proxy.ClientInterested})
	s.sc.Notify(proxy.Event{Kind: proxy.RemoteInterested})
}

func (s *sim) shakeHands() {
	for _, p := range [][2]*conversation{{s.sc, s.bc}, {s.bc, s.sc}} {
		p[0].Notify(proxy.Event{Kind: proxy.Ready})
		p[0].Notify(proxy.Event{Kind: proxy.RemoteHello, Dialects: []bool{true}, Dicts: [][]byte{p[1].dict}})
	}
}

const simTick = 20 * time.Millisecond

// transfer moves blocks between the clients as the seller's valve allows, until size is reached or the time is up.
// The seller's client unchokes whoever is interested, after 50 ms.
func (s *sim) transfer(limit time.Duration) {
	unchokes := false
	for end := time.Now().Add(limit); time.Now().Before(end) && s.got < s.size; time.Sleep(simTick) {
		m, _, _ := s.sl.state()
		if wants := m != closed; wants != unchokes {
			unchokes = wants
			kind := proxy.ClientChoke
			if wants {
				kind = proxy.ClientUnchoke
			}
			s.sc.Notify(proxy.Event{Kind: kind})
		}
		if m == opened {
			s.move(s.rate * int64(simTick) / int64(time.Second))
		}
	}
}

// move lets n bytes through, block by block; the buyer's client always has 64 blocks asked for, and n bytes at least.
func (s *sim) move(n int64) {
	for want := max(64*int64(block), n) - s.bc.asked.Load(); want > 0; want -= block {
		s.bc.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block})
	}
	for ; n > 0 && s.got < s.size; n -= block {
		if !s.sc.Request(block) {
			s.stalls += simTick
			s.sl.mu.Lock()
			tell := !s.sl.starved
			s.sl.starved = true
			s.sl.mu.Unlock()
			if tell {
				s.sc.Notify(proxy.Event{Kind: proxy.Starved})
			}
			return
		}
		s.sc.Moved(block, true, true)
		s.bc.Moved(block, false, false)
		s.got += block
		s.done.Store(s.got)
	}
}

// close ends both sessions and desks and waits for them.
func (s *sim) close() {
	s.stop()
	s.wg.Wait()
	for _, l := range []*ledger.Ledger{s.sellerL, s.buyerL} {
		if err := l.Verify(context.Background()); err != nil {
			s.t.Errorf("books: %v", err)
		}
	}
}

func (s *sim) totals() (seller, buyer ledger.Totals) {
	s.t.Helper()
	seller, err := s.sellerL.Totals(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	buyer, err = s.buyerL.Totals(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return seller, buyer
}
