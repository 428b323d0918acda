package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"paygate/proxy/wire"
	"paygate/units"
)

var (
	// ErrNoDialect says that the remote has not announced the extension, or that ours has not been announced to it yet.
	ErrNoDialect = errors.New("the remote does not speak this dialect")
	// ErrEnded says that nothing can be sent any more: the session has ended, or was released.
	ErrEnded = errors.New("the session has ended")
)

// Session is one pair of connections, remote peer and client. Its methods may be called from any goroutine and do
// not block, but none may be called with a lock held that the session's Gate takes: some ask the Gate.
//
// The session owns both connections. What it does between them is in relay.go, judge.go and hello.go.
type Session struct {
	id        uint64
	remote    side // mu while another goroutine may look
	client    side // mu while another goroutine may look
	addr      netip.AddrPort
	hash      units.InfoHash
	initiator bool
	treatment Treatment
	port      uint16 // told to the remote, 0 = what the client says
	since     time.Time
	buffers   *buffers
	parker    *parker // nil only in a session that is not launched
	of        *Proxy

	conv    Conversation // nil: blind
	adverts []Advert
	gate    *turnstile // nil: not gated
	in, out flow
	toRemote,
	toClient sender

	aliases     *aliases                  // nil: the client sees true addresses
	self        netip.AddrPort            // where the remote reaches us
	translates  bool                      // what the two say of other peers is looked at
	quiet       bool                      // the client is kept from saying anything of them
	hush        func()                    // nil, or called once no more will be said of them, perhaps more than once
	listens     atomic.Uint32             // port on which the remote says it listens; 0 = unknown
	remoteNames atomic.Pointer[[]chatter] // nil: no extended handshake yet
	clientNames atomic.Pointer[[]chatter]

	introduced     atomic.Bool   // the remote's whole peer id has come, which the in flow keeps
	up             atomic.Bool   // both handshakes are through
	mute           atomic.Bool   // the client lacks BEP 10, and paygate speaks for it
	clientExtended atomic.Bool   // the client has it
	remoteExtended atomic.Bool   // the remote has it
	released       atomic.Bool   //
	ids            atomic.Uint64 // our extended ids, one byte for each dialect; 0 = none yet
	has            bool          // out flow: ClientHas was told
	bitfield       wire.BitfieldCheck
	wanted         wanted
	taken          taken
	lookouts       atomic.Pointer[[]*Lookout] // nil: none

	mu        sync.Mutex
	remoteIDs [maxDialects]byte // mu: the remote's ids for our dialects
	claimed   [4]uint64
	heard     bool // mu: RemoteHello was told
	ready     bool // mu: Ready was told
	shaken    int8 // mu: directions whose handshake is through
	reason    string
	cause     error
	ended     bool           // mu: no new goroutines
	lingers   bool           // mu: one direction has ended, and the other has a deadline
	legsLeft  atomic.Int32   // directions that have not ended
	settled   func()         // mu: nil once the handshake is through, or has failed
	patience  *time.Timer    // mu: for the handshake; nil: there is no limit any more
	wg        sync.WaitGroup // everything but the two flows
	over      func()         // gives back what the session had of others
	legs      [2]leg         // the sweeper's
}

// maxDialects is how many names a conversation may offer.
const maxDialects = 8

// ID is unique in this process.
func (s *Session) ID() uint64 { return s.id }

// Front tells the proxy, and so the client, that the session belongs to from others with the same Common.
func (s *Session) Front() uint64 { return s.of.id }

// Remote is the remote peer's true address.
func (s *Session) Remote() netip.AddrPort { return s.addr }

// InfoHash is what the initiator's handshake named.
func (s *Session) InfoHash() units.InfoHash { return s.hash }

// Initiator reports whether our side opened the connection to the remote.
func (s *Session) Initiator() bool { return s.initiator }

// RemoteID is the remote's peer id (BEP 3); "" until it has said all of it.
func (s *Session) RemoteID() string {
	if !s.introduced.Load() {
		return ""
	}
	return string(s.in.id[:])
}

// Treatment is what the desk made of the session.
func (s *Session) Treatment() Treatment { return s.treatment }

// Send injects an extended message (BEP 10) for the remote at a frame boundary, addressed by the id that the remote gave
// to our name number dialect. The payload is copied. The error is ErrNoDialect or ErrEnded, or says that too much waits.
func (s *Session) Send(dialect int, payload []byte) error {
	s.mu.Lock()
	var id byte
	if s.ready && dialect >= 0 && dialect < len(s.remoteIDs) {
		id = s.remoteIDs[dialect]
	}
	s.mu.Unlock()
	if id == 0 {
		return ErrNoDialect
	}
	err := s.toRemote.put(wire.AppendExtended(nil, id, payload))
	if errors.Is(err, errSenderEnd) {
		return ErrEnded
	}
	s.toRemote.kick()
	return err
}

// Offer passes the remote's interest on to the client, while the client's unchoke stays hidden: closed → offered. It also
// turns back a Shut that is under way. This and the next five do nothing on a session that is not Gated.
func (s *Session) Offer() { s.take(doOffer) }

// Withdraw takes an Offer back at once: offered → closed.
func (s *Session) Withdraw() { s.take(doWithdraw) }

// Shut stops passing requests, waits until the client has served what it was asked for (20 s at most), then chokes the remote,
// drops held requests and tells the client that the remote is not interested: open → closed. Open and Offer turn it back.
func (s *Session) Shut() { s.take(doShut) }

func (s *Session) take(in input) {
	if s.gate != nil {
		s.gate.take(in)
	}
}

// Open passes interest, lets the client's unchoke through and passes requests as Gate.Request allows.
func (s *Session) Open() {
	if s.gate != nil {
		s.gate.open()
	}
}

// Resume tries held requests again.
func (s *Session) Resume() {
	if s.gate != nil {
		s.gate.resume()
	}
}

// Release ends the gate, for good: what is held goes to the client, reservations are given back, and the Gate is not asked
// again. From the next flush on bytes are copied blindly, except from a remote that shares a dialect (its messages must not reach
// the client). Send fails soon after.
func (s *Session) Release() {
	s.take(doRelease)
	s.released.Store(true)
}

// Outstanding is the number of requests that the client was passed and has not answered.
func (s *Session) Outstanding() int {
	if s.gate == nil {
		return 0
	}
	_, n := s.gate.snapshot()
	return n
}

// Close ends the session; reason is logged. Only the first call counts.
func (s *Session) Close(reason string) { s.stop(reason, nil) }

func (s *Session) fail(err error) { s.stop("failed", err) }

func (s *Session) stop(reason string, cause error) {
	s.mu.Lock()
	if s.reason == "" {
		s.reason, s.cause = reason, cause
	}
	remote, client := s.remote.conn, s.client.conn
	s.mu.Unlock()
	remote.Close()
	client.Close()
	s.in.wake()
	s.out.wake()
}

// spawn runs do in a goroutine that the session waits for, unless it is over.
func (s *Session) spawn(do func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.wg.Go(do)
	return true
}

// launch says the first words, by start, and begins to relay; it does not wait for the end. settled is called when the
// handshake is through, which must be in time, or has failed; over when nothing of the session is left.
func (s *Session) launch(start func() error, handshake time.Duration, settled, over func()) {
	s.over = over
	if s.conv == nil || s.treatment == Free {
		settled()
	} else {
		s.await(handshake, settled)
	}
	err := start()
	if err == nil && s.conv == nil {
		err = s.goUnseen()
	}
	if err != nil {
		s.left(!s.initiator && !errors.Is(err, errCaller) && !isTimeout(err), err)
		s.stop("connection lost", err)
	}
	s.legsLeft.Store(2)
	for _, f := range []*flow{&s.in, &s.out} {
		s.parker.running.Go(f.live)
	}
}

// goUnseen leaves a session of which nothing can be read to the kernel.
func (s *Session) goUnseen() error {
	for _, f := range []*flow{&s.in, &s.out} {
		f.stage, f.blind = atFrames, true
		if err := f.lay(); err != nil {
			return err
		}
	}
	return nil
}

// legOver ends the session when both directions have ended.
func (s *Session) legOver() {
	if s.legsLeft.Add(-1) > 0 {
		return
	}
	s.close()
	if s.gate != nil {
		s.gate.end()
	}
	s.begun()
	if s.conv != nil {
		s.conv.End()
	}
	s.wg.Wait()
	if s.hush != nil {
		s.hush()
	}
	s.finish()
	s.over()
}

// close closes both connections for good.
func (s *Session) close() {
	s.stop("closed", nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// await ends the session if its handshake takes longer than limit. begun ends the wait, and calls settled.
func (s *Session) await(limit time.Duration, settled func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = settled
	s.patience = time.AfterFunc(limit, func() { s.Close("handshake timeout") })
}

// begun is called when the handshake is through, and when it has failed.
func (s *Session) begun() {
	s.mu.Lock()
	settled := s.settled
	if s.patience != nil {
		s.patience.Stop()
	}
	s.settled, s.patience = nil, nil
	s.mu.Unlock()
	if settled != nil {
		settled()
	}
}

// other is the direction that f is not.
func (s *Session) other(f *flow) *flow {
	if f == &s.in {
		return &s.out
	}
	return &s.in
}

// legEnded deals with the end of one direction: an orderly one is passed on, and the other may go on for a while.
func (s *Session) legEnded(f *flow, err error) {
	s.left(!f.blind && f.out == f.dry, err)
	side := "remote"
	if f.out {
		side = "client"
	}
	switch {
	case errors.Is(err, io.EOF) && f.stage == atFrames:
		s.note(side + " closed")
		if err := errors.Join(f.dst.closeWrite(), s.hurry(s.other(f))); err != nil {
			s.stop("connection lost", err)
		}
	case errors.Is(err, io.EOF):
		s.stop(side+" closed in the handshake", nil)
	case isForeign(err):
		s.stop(side+" broke the protocol", err)
	case isNoise(err):
		s.stop("connection lost", nil)
	default:
		s.stop("failed", fmt.Errorf("relay from %s: %w", side, err))
	}
}

// note remembers why the session ends, if nobody has said so.
func (s *Session) note(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason == "" {
		s.reason = reason
	}
}

// left tells the conversation if it was the client that has hung up, and nothing had ended the session before.
func (s *Session) left(byClient bool, err error) {
	s.mu.Lock()
	first := s.reason == ""
	s.mu.Unlock()
	if byClient && first && s.conv != nil && isNoise(err) {
		s.conv.Notify(Event{Kind: ClientLeft})
	}
}

// finish writes the session's one line, unless a stranger has just had one.
func (s *Session) finish() {
	s.mu.Lock()
	reason, cause := s.reason, s.cause
	s.mu.Unlock()
	s.confirm()
	s.remote.release()
	s.client.release()
	fields := []zap.Field{
		zap.Uint64("session", s.id), zap.Stringer("peer", s.addr), zap.Stringer("info_hash", s.hash),
		zap.Stringer("treatment", s.treatment), zap.Bool("initiator", s.initiator),
		zap.Int64("bytes_in", s.in.read.Load()), zap.Int64("bytes_out", s.toRemote.sent.Load()),
		zap.Duration("lasted", time.Since(s.since)), zap.String("reason", reason),
	}
	if e := s.encryption(); e != "" {
		fields = append(fields, zap.String("encrypted", e))
	}
	if cause != nil && !isNoise(cause) {
		fields = append(fields, zap.Error(cause))
	}
	if s.initiator {
		s.of.log.Info("session ended", fields...)
		return
	}
	hushed, ok := s.of.endings.allow(s.addr.Addr(), time.Now())
	if !ok {
		s.of.log.Debug("session ended", fields...)
		return
	}
	if hushed > 0 {
		fields = append(fields, zap.Int("not_logged_before", hushed))
	}
	s.of.log.Info("session ended", fields...)
}

// encryption says on which sides paygate encrypts.
func (s *Session) encryption() string {
	switch {
	case s.remote.cipher != nil && s.client.cipher != nil:
		return "both"
	case s.remote.cipher != nil:
		return "remote"
	case s.client.cipher != nil:
		return "client"
	}
	return ""
}

// info is a snapshot for status.
func (s *Session) info() SessionInfo {
	i := SessionInfo{
		ID: s.id, Remote: s.addr, InfoHash: s.hash, Initiator: s.initiator, Treatment: s.treatment,
		In: units.Bytes(s.in.read.Load()), Out: units.Bytes(s.toRemote.sent.Load()), Since: s.since,
	}
	s.mu.Lock()
	i.RemoteEncrypted, i.ClientEncrypted = s.remote.cipher != nil, s.client.cipher != nil
	s.mu.Unlock()
	if s.gate != nil {
		m, _ := s.gate.snapshot()
		i.Valve = m.String()
	}
	return i
}
