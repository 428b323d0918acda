package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"paygate/proxy/mse"
	"paygate/proxy/wire"
)

// EncryptionMode says what is done about encrypted BitTorrent (MSE) on one side of paygate.
type EncryptionMode string

// The modes. The zero value is EncryptionAuto.
const (
	EncryptionAuto    EncryptionMode = "auto"    // what the other end does, or wants
	EncryptionRequire EncryptionMode = "require" // RC4 or nothing
	EncryptionPrefer  EncryptionMode = "prefer"  // RC4 where the other end can
	EncryptionOff     EncryptionMode = "off"     // never
)

// Encryption holds a mode for each side.
type Encryption struct {
	Remote EncryptionMode // towards the swarm
	Client EncryptionMode // towards the client
}

const (
	bareWay = mse.Method(0) // a way to reach the other end without encryption
	anyWay  = mse.Plaintext | mse.RC4

	habitKept = 10 * time.Minute // a client that closes while it starts must not be taken for good for one that requires encryption

	cipherBudget   = 128 << 20 // bytes that encrypted streams may hold for heavy traffic, in all
	strangersKept  = 4096
	strangersFor   = 10 * time.Minute
	callersKept    = 4096
	callsPerS      = 5 // encrypted handshakes of one caller, each of which costs a millisecond and more
	callsAtOnce    = 40
	retriesPerS    = 5
	retriesAtOnce  = 20
	wordlessReason = "it closed without a word"
)

var (
	// errEncrypted says that a connection whose torrent cannot be seen was closed, since it might have to be paid for.
	errEncrypted = errors.New("not a BitTorrent handshake, plain or encrypted, and a rule may charge")
	errUnseen    = errors.New("encrypted, and for a torrent that paygate does not know; let it see the client's torrents " +
		"(client.api, client.torrents or client.info_hashes)")
	errTwoTorrents = errors.New("encrypted for one torrent and shaking hands for another")
	errTooOften    = errors.New("too many encrypted handshakes from this address")
	errWordless    = errors.New(wordlessReason)
)

// habit is what the client takes, as far as it is known: strangers cannot make paygate call it twice again and again.
type habit uint32

const (
	habitUnknown habit = iota
	habitPlain
	habitEncrypted
)

// secrecy is what the proxy knows and wants of encryption.
type secrecy struct {
	modes     Encryption
	budget    *mse.Budget
	client    atomic.Uint32 // a habit
	learned   atomic.Int64  // when it was last found to be habitEncrypted, in ns since 1970
	retries   *rate.Limiter // of calls to a client of unknown habit
	strangers *lru.Cache[netip.Addr, time.Time]
	callers   *lru.Cache[netip.Addr, *rate.Limiter]
}

func newSecrecy(modes Encryption) *secrecy {
	strangers, err := lru.New[netip.Addr, time.Time](strangersKept)
	if err != nil {
		panic("proxy: lru refuses a constant size: " + err.Error())
	}
	callers, err := lru.New[netip.Addr, *rate.Limiter](callersKept)
	if err != nil {
		panic("proxy: lru refuses a constant size: " + err.Error())
	}
	return &secrecy{
		callers: callers, modes: modes, budget: mse.NewBudget(cipherBudget), retries: rate.NewLimiter(retriesPerS, retriesAtOnce), strangers: strangers,
	}
}

// toClient lists the ways in which the client is called, in order.
func (s *secrecy) toClient() []mse.Method {
	switch s.modes.Client {
	case EncryptionOff:
		return []mse.Method{bareWay}
	case EncryptionRequire:
		return []mse.Method{mse.RC4}
	case EncryptionPrefer:
		return []mse.Method{anyWay, bareWay}
	}
	switch h := habit(s.client.Load()); {
	case h == habitEncrypted && time.Since(time.Unix(0, s.learned.Load())) < habitKept:
		return []mse.Method{anyWay, bareWay}
	case h != habitPlain && s.retries.Allow():
		return []mse.Method{bareWay, anyWay}
	}
	return []mse.Method{bareWay}
}

// toRemote lists the ways in which a peer is called, in order, for a client that has provided these methods; none: its
// handshake was plain.
func (s *secrecy) toRemote(provided mse.Method) []mse.Method {
	switch s.modes.Remote {
	case EncryptionOff:
		return []mse.Method{bareWay}
	case EncryptionRequire:
		return []mse.Method{mse.RC4}
	case EncryptionPrefer:
		return []mse.Method{anyWay, bareWay}
	}
	switch {
	case provided == 0:
		return []mse.Method{bareWay}
	case provided&mse.Plaintext != 0:
		return []mse.Method{provided & anyWay, bareWay}
	}
	return []mse.Method{mse.RC4}
}

// asClient is what a client that was called, and not heard, counts as having provided.
func (s *secrecy) asClient(c *side) mse.Method {
	switch {
	case c.cipher == nil:
		return 0
	case s.modes.Client == EncryptionPrefer:
		return anyWay
	}
	return mse.RC4
}

// mayCall reports whether a remote may make us go through another key exchange now. This machine always may.
func (s *secrecy) mayCall(remote netip.Addr, now time.Time) bool {
	if remote.IsLoopback() {
		return true
	}
	remote = subscriber(remote)
	calls, known := s.callers.Get(remote)
	if !known {
		calls = rate.NewLimiter(callsPerS, callsAtOnce)
		if other, found, _ := s.callers.PeekOrAdd(remote, calls); found {
			calls = other
		}
	}
	return calls.AllowN(now, 1)
}

// learn remembers in which way the client has answered.
func (s *secrecy) learn(way mse.Method) {
	h := habitPlain
	if way != bareWay {
		h = habitEncrypted
		s.learned.Store(time.Now().UnixNano())
	}
	s.client.Store(uint32(h))
}

// doubt forgets that the client takes plain handshakes, since it has closed after one.
func (s *secrecy) doubt() { s.client.CompareAndSwap(uint32(habitPlain), uint32(habitUnknown)) }

// choose takes one of the methods that the initiator on a side of this mode provides.
func (m EncryptionMode) choose(hide bool) func(mse.Method) mse.Method {
	return func(provided mse.Method) mse.Method {
		switch {
		case m == EncryptionRequire, provided&mse.Plaintext == 0:
			return mse.RC4
		case (m == EncryptionPrefer || hide) && provided&mse.RC4 != 0:
			return mse.RC4
		}
		return mse.Plaintext
	}
}

// hail is what a caller's first words have come to.
type hail struct {
	head     wire.Head
	provided mse.Method // of an encrypted one
	unseen   []byte     // not nil: what is to be passed on without understanding it
}

// hear reads who is wanted from the side that has called, and takes off its encryption. It is the client that has called, or a remote
// peer at addr.
func (p *Proxy) hear(ctx context.Context, c *side, client bool, addr netip.Addr) (hail, error) {
	until := time.Now().Add(p.cfg.HandshakeTimeout)
	mode, name, other := p.secrecy.modes.Remote, "peers", p.secrecy.modes.Client
	if client {
		mode, name, other = other, "client", mode
	}
	head, first, err := readHead(c, until)
	switch {
	case err == nil && mode == EncryptionRequire:
		return hail{}, fmt.Errorf("not encrypted, which `encryption.%s: require` refuses", name)
	case err == nil:
		return hail{head: head}, nil
	case !errors.Is(err, wire.ErrNotBitTorrent):
		return hail{}, err
	case mode == EncryptionOff:
		return hail{}, fmt.Errorf("encrypted, which `encryption.%s: off` refuses", name)
	}
	lists, any := p.known.torrents()
	if other != EncryptionOff && p.letUnseen(addr, any) {
		return hail{unseen: first}, c.conn.SetReadDeadline(time.Time{})
	}
	switch {
	case classify(first) == plain: // HTTP or TLS, which would only wait for an answer
		return hail{}, errEncrypted
	case !any:
		return hail{}, errUnseen
	case !client && !p.secrecy.mayCall(addr, time.Now()):
		return hail{}, errTooOften
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	hide := !client && (other == EncryptionRequire || habit(p.secrecy.client.Load()) == habitEncrypted)
	r, err := mse.Receive(ctx, c.conn, mse.Reception{
		First: first, Torrents: lists, Choose: mode.choose(hide), Budget: p.secrecy.budget,
	})
	if err != nil {
		return hail{}, p.notHeard(addr, err)
	}
	*c = seated(c.conn, r)
	head, _, err = readHead(c, until)
	if err == nil && head.InfoHash() != r.InfoHash {
		err = errTwoTorrents
	}
	return hail{head: head, provided: r.Provided}, err
}

// letUnseen decides, before a word is answered, whether an encrypted connection is passed on as it is. That may be while
// nothing could be charged for, and nothing bought or nothing found out.
func (p *Proxy) letUnseen(addr netip.Addr, any bool) bool {
	if p.desk.MayCharge() {
		return false
	}
	if !any || !p.desk.MayTalk() {
		return true
	}
	at, known := p.secrecy.strangers.Get(addr)
	return known && time.Since(at) < strangersFor
}

// notHeard says why an encrypted handshake has failed. If nothing could be charged for, the next one of the same address is
// passed on unseen.
func (p *Proxy) notHeard(addr netip.Addr, err error) error {
	unknown, broken := errors.Is(err, mse.ErrUnknownTorrent), errors.Is(err, mse.ErrNotEncrypted)
	if (unknown || broken) && !p.desk.MayCharge() {
		p.secrecy.strangers.Add(addr, time.Now())
	}
	switch {
	case unknown:
		return errUnseen
	case broken:
		return errEncrypted
	}
	return err
}
