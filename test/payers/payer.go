package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"paygate/config"
	"paygate/lnclient"
	"paygate/policy"
	"paygate/proxy/wire"
	"paygate/units"
)

const (
	ours    = 1   // the extended id by which we want pg_pay
	window  = 64  // blocks asked for at once
	feeMost = 100 // sat
	patient = 30 * time.Second
	pausing = 100 * time.Millisecond // a gap between two blocks that is no pause yet
)

// wallet is the buyers' Lightning node.
type wallet struct {
	node    *lnclient.Client
	network string
	rules   config.Buy // those that paygate buys by
	buying  *policy.Buying
}

func newWallet(node *lnclient.Client, network string) *wallet {
	w := &wallet{node: node, network: network}
	w.rules = config.Buy{Min: 10 * units.Sat, Max: 1000 * units.Sat, FeeMax: feeMost * units.Sat, FeePercent: 1}
	w.buying = policy.NewBuying(w.rules)
	return w
}

// payer is one buyer.
type payer struct {
	wallet *wallet
	conn   net.Conn
	in     *bufio.Reader
	key    ed25519.PrivateKey
	rate   float64 // bytes a second
	dict   []byte  // our advert
	theirs []byte  // the paygate's
	id     byte    // by which it wants pg_pay
	first  func()  // told when the first payment has been made
	wg     sync.WaitGroup

	mu       sync.Mutex
	seller   units.PeerKey
	terms    wire.Terms
	asking   bool // a buy has no outcome yet
	since    time.Time
	unchoked bool
	next     uint32
	tokens   float64
	asked    int64 // bytes, ever
	received int64
	bought   units.Bytes
	paid     units.Msat
	payments int
	failed   int
	smallest units.Msat // payment
	last     units.Msat
	slow     time.Duration // of the last payment, from the buy on
	got      time.Time     // when the last block came
	pause    time.Duration // gaps between blocks beyond what is usual, after the first payment
	wrong    error
}

// home is the address of payer number i: each has a network (/24) of its own.
func home(i int) *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(127, byte(64+i/250), byte(1+i%250), 9)}
}

// join connects a payer, and has it begin to buy.
func join(ctx context.Context, to string, from *net.TCPAddr, w *wallet, rate units.Bytes, first func()) (*payer, error) {
	d := net.Dialer{Timeout: patient, LocalAddr: from}
	conn, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	advert := wire.Advert{V: 1, Methods: []string{"bolt11"}, Net: w.network}
	copy(advert.Nonce[:], key)
	p := &payer{wallet: w, conn: conn, in: bufio.NewReaderSize(conn, buffer), key: key, rate: float64(rate), dict: advert.Encode(), first: first}
	if err := p.greet(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *payer) greet() error {
	if err := p.conn.SetDeadline(time.Now().Add(patient)); err != nil {
		return err
	}
	head := wire.NewHead(torrent)
	hello := append(head[:], "-PA0001-payerspayers"...)
	hello = wire.AppendExtended(hello, 0, wire.NewExtHandshake(wire.Rewrite{
		Names: []wire.Name{{Name: "pg_pay", ID: ours, Dict: p.dict}},
	}))
	if _, err := p.conn.Write(append(hello, wire.FrameInterested()...)); err != nil {
		return err
	}
	if _, err := io.ReadFull(p.in, make([]byte, wire.HandshakeLen)); err != nil {
		return err
	}
	return p.conn.SetDeadline(time.Time{})
}

// run listens until the connection ends.
func (p *payer) run(ctx context.Context) {
	defer p.wg.Wait()
	for {
		head, err := p.in.Peek(5)
		if err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(head))
		if n > 9 && head[4] == 7 {
			if _, err := p.in.Discard(4 + n); err != nil {
				return
			}
			p.receive(n - 9)
			continue
		}
		id, body, err := readMessage(p.in)
		if err != nil {
			return
		}
		if err := p.hear(ctx, id, body); err != nil {
			p.mu.Lock()
			p.wrong = err
			p.mu.Unlock()
			return
		}
	}
}

func (p *payer) hear(ctx context.Context, id byte, body []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case id == 0:
		p.unchoked, p.asked = false, p.received
	case id == 1:
		p.unchoked = true
	case id == 20 && len(body) > 1 && body[0] == 0:
		h, err := wire.ParseExtHandshake(body[1:])
		if err != nil {
			return err
		}
		dict, ok := h.Dict("pg_pay")
		if p.id, _ = h.ID("pg_pay"); !ok || p.id == 0 {
			return errors.New("the paygate offers no pg_pay")
		}
		p.theirs = append([]byte(nil), dict...)
	case id == 20 && len(body) > 1 && body[0] == ours:
		m, err := wire.ParseMessage(body[1:])
		if err != nil {
			return err
		}
		return p.talk(ctx, m)
	}
	return nil
}

// talk answers a message about money. The lock is held.
func (p *payer) talk(ctx context.Context, m wire.Message) error {
	switch m := m.(type) {
	case wire.Hello:
		p.seller = m.PK
	case wire.Terms:
		fresh := p.terms.Price.Free()
		if p.terms = m; fresh {
			return errors.Join(p.introduce(), p.order())
		}
	case wire.Invoice:
		return p.pay(ctx, m)
	case wire.No:
		p.asking, p.failed = false, p.failed+1
	}
	return nil
}

func (p *payer) say(m wire.Message) error {
	text, err := wire.EncodeMessage(m)
	if err != nil {
		return err
	}
	_, err = p.conn.Write(wire.AppendExtended(nil, p.id, text))
	return err
}

func (p *payer) introduce() error {
	pk := units.PeerKey(p.key.Public().(ed25519.PublicKey))
	text := wire.HelloText(p.dict, p.theirs, torrent, pk, p.seller, wire.RoleBuyer, units.NodeKey{})
	return p.say(wire.Hello{PK: pk, Sig: [64]byte(ed25519.Sign(p.key, text))})
}

// order buys, if it is time to.
func (p *payer) order() error {
	if p.asking || p.terms.Price.Free() {
		return nil
	}
	delivered := p.terms.Price.Charge(units.Bytes(p.received) + block)
	rules := p.wallet.rules
	amt, yes, _ := p.wallet.buying.Purchase(policy.Want{
		Credit: p.bought - units.Bytes(p.received), Outstanding: units.Bytes(p.asked - p.received),
		Rate: int64(p.rate), T90: p.slow, Last: p.last, Proven: p.payments > 0 && delivered >= p.smallest, Price: p.terms.Price,
		Min: rules.Min, Max: rules.Max, Room: units.MaxMsat, SellerMin: p.terms.Min, SellerMax: p.terms.Max, Left: -1,
	})
	if !yes {
		return nil
	}
	p.asking, p.since = true, time.Now()
	return p.say(wire.Buy{Amt: amt, For: wire.ForBytes, Left: -1})
}

// pay pays an invoice. The lock is held, but not while it pays.
func (p *payer) pay(ctx context.Context, m wire.Invoice) error {
	d, err := lnclient.Decode(m.Request, p.wallet.network)
	if err != nil {
		return err
	}
	p.wg.Go(func() {
		out, err := p.wallet.node.Pay(ctx, lnclient.Payment{Request: m.Request, Hash: d.Hash, FeeLimit: feeMost * units.Sat})
		p.mu.Lock()
		defer p.mu.Unlock()
		p.asking = false
		if err != nil || out.State != lnclient.Succeeded {
			p.failed++
			return
		}
		if p.payments++; p.payments == 1 {
			p.smallest = d.Msat
			p.first()
		}
		p.bought += m.Buys
		p.paid += d.Msat
		p.last, p.slow = d.Msat, time.Since(p.since)
	})
	return nil
}

// receive counts a block.
func (p *payer) receive(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if gap := now.Sub(p.got); !p.got.IsZero() && gap > pausing {
		p.pause += gap - pausing
	}
	p.got = now
	p.received += int64(n)
	if cost := p.terms.Price.Charge(units.Bytes(p.received)); cost > p.paid && p.wrong == nil && !p.asking {
		p.wrong = fmt.Errorf("%v was served for %v", cost, p.paid)
	}
}

// ask buys if it is time to, and requests what the rate allows after dt more.
func (p *payer) ask(dt time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wrong == nil && p.payments > 0 {
		p.wrong = p.order()
	}
	if !p.unchoked {
		return
	}
	p.tokens = min(p.tokens+p.rate*dt.Seconds(), p.rate/4+block)
	var b []byte
	for p.tokens >= block && p.asked-p.received < window*block {
		n := p.next
		b = wire.AppendRequest(b, wire.Block{Index: n / inside % pieces, Begin: n % inside * block, Length: block})
		p.next++
		p.tokens -= block
		p.asked += block
	}
	if b != nil {
		_, _ = p.conn.Write(b) // run sees the end of the connection
	}
}
