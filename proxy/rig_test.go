package proxy

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"paygate/proxy/wire"
	"paygate/units"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testHash = units.InfoHash{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}

// rig is a proxy between a fake client and fake remotes, on loopback.
type rig struct {
	t       *testing.T
	proxy   *Proxy
	client  *net.TCPListener
	desk    *fakeDesk
	log     *observer.ObservedLogs
	stop    context.CancelFunc
	stopped chan error
}

func newRig(t *testing.T, desk *fakeDesk, change func(*Config)) *rig {
	t.Helper()
	client, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.InfoLevel)
	cfg := Config{
		Peers: "127.0.0.1:0", SOCKS5: "127.0.0.1:0", Client: client.Addr().String(), PublicPort: 4242,
		HandshakeTimeout: 5 * time.Second, DrainTimeout: 2 * time.Second, PerAddress: 5000,
	}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg, Deps{Desk: desk, Log: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &rig{t: t, proxy: p, client: client, desk: desk, log: logs, stop: stop, stopped: make(chan error, 1)}
	go func() { r.stopped <- p.Run(ctx) }()
	t.Cleanup(r.close)
	return r
}

func (r *rig) close() {
	r.stop()
	r.client.Close()
	if err := <-r.stopped; err != nil {
		r.t.Errorf("Run: %v", err)
	}
	for _, e := range r.log.FilterLevelExact(zapcore.ErrorLevel).All() {
		r.t.Errorf("error line: %s %v", e.Message, e.ContextMap())
	}
}

// dial connects like a stranger.
func (r *rig) dial() *end { return r.dialFrom("127.0.0.1") }

func (r *rig) dialFrom(ip string) *end {
	r.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	conn, err := d.Dial("tcp", r.proxy.PeersAddr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	return newEnd(r.t, conn)
}

// accept takes the connection that the proxy makes to the client.
func (r *rig) accept() *end {
	r.t.Helper()
	if err := r.client.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	conn, err := r.client.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	return newEnd(r.t, conn)
}

// inbound makes a session that a stranger has opened, handshakes through.
func (r *rig) inbound() (remote, client *end) {
	r.t.Helper()
	remote = r.dial()
	remote.send(hand("remote", true, true))
	client = r.accept()
	client.expectLen(wire.HandshakeLen)
	client.send(hand("client", true, true))
	remote.expectLen(wire.HandshakeLen)
	return remote, client
}

// end is one end of a connection, with everything read under a deadline.
type end struct {
	t *testing.T
	*net.TCPConn
	rw io.ReadWriter // nil: bare
}

func (e *end) Read(b []byte) (int, error) {
	if e.rw != nil {
		return e.rw.Read(b)
	}
	return e.TCPConn.Read(b)
}

func (e *end) Write(b []byte) (int, error) {
	if e.rw != nil {
		return e.rw.Write(b)
	}
	return e.TCPConn.Write(b)
}

func newEnd(t *testing.T, c net.Conn) *end {
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &end{t: t, TCPConn: c.(*net.TCPConn)}
}

func (e *end) send(parts ...[]byte) {
	e.t.Helper()
	for _, b := range parts {
		if _, err := e.Write(b); err != nil {
			e.t.Fatal(err)
		}
	}
}

func (e *end) expectLen(n int) []byte {
	e.t.Helper()
	b := make([]byte, n)
	if got, err := io.ReadFull(e, b); err != nil {
		e.t.Fatalf("read %d of %d bytes: %v", got, n, err)
	}
	return b
}

func (e *end) expect(want []byte) {
	e.t.Helper()
	if got := e.expectLen(len(want)); string(got) != string(want) {
		e.t.Fatalf("read %x, want %x", got, want)
	}
}

// frame reads one message, without its length prefix.
func (e *end) frame() []byte {
	e.t.Helper()
	return e.expectLen(int(binary.BigEndian.Uint32(e.expectLen(4))))
}

// expectEnd wants the connection to end without another byte.
func (e *end) expectEnd() {
	e.t.Helper()
	if n, err := e.Read(make([]byte, 1)); n != 0 || err == nil || isTimeout(err) {
		e.t.Fatalf("read %d bytes and %v, want the end", n, err)
	}
}

// silent wants nothing to come for a moment.
func (e *end) silent() {
	e.t.Helper()
	if err := e.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		e.t.Fatal(err)
	}
	b := make([]byte, 64)
	if n, err := e.Read(b); n != 0 || !isTimeout(err) {
		e.t.Fatalf("read %x and %v, want silence", b[:n], err)
	}
	if err := e.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		e.t.Fatal(err)
	}
}

// hand is a whole handshake.
func hand(peer string, extended, fast bool) []byte {
	h := wire.NewHead(testHash)
	if !extended {
		clear(h[20:28])
	}
	if fast {
		h[27] |= 4
	}
	id := make([]byte, wire.PeerIDLen)
	copy(id, peer)
	return append(h[:], id...)
}

func msg(id byte, payload ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)+1))
	return append(append(b, id), payload...)
}

func ext(id byte, payload string) []byte { return wire.AppendExtended(nil, id, []byte(payload)) }

func request(index, begin, length uint32) []byte {
	return wire.AppendRequest(nil, wire.Block{Index: index, Begin: begin, Length: length})
}

func cancelOf(index, begin, length uint32) []byte {
	b := request(index, begin, length)
	b[4] = 8
	return b
}

func piece(index, begin uint32, n int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(9+n))
	b = append(b, 7)
	b = binary.BigEndian.AppendUint32(b, index)
	b = binary.BigEndian.AppendUint32(b, begin)
	payload := make([]byte, n)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	return append(b, payload...)
}

// fakeDesk makes fakeConvs.
type fakeDesk struct {
	treat  Treatment
	charge bool
	convs  chan *fakeConv
	credit int64
	silent bool // conversations keep no events
	denies atomic.Pointer[units.InfoHash]
	opened func() // called by Open
}

func newDesk(t Treatment, credit int64) *fakeDesk {
	return &fakeDesk{treat: t, convs: make(chan *fakeConv, 5000), credit: credit, charge: t == Gated}
}

func (d *fakeDesk) MayCharge() bool { return d.charge }
func (d *fakeDesk) MayTalk() bool   { return d.treat != Free }

func (d *fakeDesk) Admit(a Arrival) Treatment {
	if denied := d.denies.Load(); denied != nil && *denied == a.InfoHash {
		return Denied
	}
	return d.treat
}

func (d *fakeDesk) Open(s *Session) Conversation {
	c := &fakeConv{s: s, silent: d.silent}
	if !d.silent {
		c.events, c.messages = make(chan Event, 10000), make(chan string, 1000)
	}
	c.credit.Store(d.credit)
	d.convs <- c
	if d.opened != nil {
		d.opened()
	}
	return c
}

// fakeConv grants credit and keeps what it is told.
type fakeConv struct {
	s                    *Session
	silent               bool
	events               chan Event
	messages             chan string
	credit               atomic.Int64
	reserved             atomic.Int64
	out, unreserved, got atomic.Int64
	began, ran           atomic.Int32
}

func (c *fakeConv) Request(n int) bool {
	if c.credit.Add(-int64(n)) < 0 {
		c.credit.Add(int64(n))
		return false
	}
	c.reserved.Add(int64(n))
	return true
}

func (c *fakeConv) Release(n int) {
	c.reserved.Add(-int64(n))
	c.credit.Add(int64(n))
}

func (c *fakeConv) Moved(n int, out, reserved bool) {
	switch {
	case out && reserved:
		c.reserved.Add(-int64(n))
		c.out.Add(int64(n))
	case out:
		c.unreserved.Add(int64(n))
	default:
		c.got.Add(int64(n))
	}
}

func (c *fakeConv) Adverts() []Advert {
	return []Advert{{Name: "pg_pay", Dict: []byte("d1:vi1ee")}, {Name: "tr_payments"}}
}

func (c *fakeConv) Notify(e Event) {
	if !c.silent {
		c.events <- e
	}
}

func (c *fakeConv) Message(dialect int, payload []byte) {
	if !c.silent {
		c.messages <- string(rune('0'+dialect)) + string(payload)
	}
}

func (c *fakeConv) Begin() { c.began.Add(1) }

func (c *fakeConv) End() { c.ran.Add(1) }

// await skips events until one of this kind.
func (c *fakeConv) await(t *testing.T, k EventKind) Event {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case e := <-c.events:
			if e.Kind == k {
				return e
			}
		case <-late:
			t.Fatalf("no event %d", k)
		}
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("never: %s", what)
		}
	}
}

func loopback(s string) netip.Addr { return netip.MustParseAddr(s) }
