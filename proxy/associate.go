package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"paygate/proxy/announce"
)

const (
	maxDatagram = 16 << 10 // longer ones are dropped; BitTorrent's stay below 1500 bytes
	replyHead   = 22       // the longest header of a datagram to the client
	maxNames    = 64       // host names remembered in one association, and datagrams that wait for one
	nameFor     = 5 * time.Minute
)

// outlets is what paygate remembers of its client's own ways out.
type outlets struct {
	unread       unread
	dropped      atomic.Int64  // datagrams
	associations chan struct{} // one element each
	swarms       *swarms       // nil: the client dials for itself
}

func newOutlets(cfg Config) outlets {
	return outlets{associations: make(chan struct{}, cfg.Associations)}
}

// association is one SOCKS5 UDP relay (RFC 1928, section 7). It lives as long as the connection that asked for it, and takes
// datagrams from that connection's address alone: from the port that the first one came from. Announces in it tell the
// public port. What could be a peer connection does not pass while a rule may charge.
type association struct {
	p      *Proxy
	relay  *net.UDPConn // towards the client
	world  *net.UDPConn
	owner  netip.Addr
	client atomic.Pointer[netip.AddrPort]
	last   atomic.Int64 // when a datagram was last passed on, in nanoseconds since 1970

	names   chan unresolved
	mu      sync.Mutex
	known   map[string]resolved
	scratch []byte
}

// unresolved is a datagram that waits for the address of a name.
type unresolved struct {
	target string
	data   []byte
}

type resolved struct {
	addr  netip.AddrPort
	until time.Time
}

// associate serves a UDP ASSOCIATE until conn or ctx ends; the caller closes conn when ctx does.
func (p *Proxy) associate(ctx context.Context, conn *net.TCPConn) error {
	select {
	case p.associations <- struct{}{}:
		defer func() { <-p.associations }()
	default:
		return errors.Join(errRelays, refuseSOCKS5(conn, errRelays))
	}
	a, err := p.newAssociation(ctx, conn)
	if err != nil {
		err = &socksError{replyFailure, err}
		return errors.Join(err, refuseSOCKS5(conn, err))
	}
	defer a.close()
	bound := a.relay.LocalAddr().(*net.UDPAddr).AddrPort()
	if err := reply(conn, replyOK, netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port())); err != nil {
		return fmt.Errorf("SOCKS5 reply: %w", err)
	}
	return a.run(ctx, conn)
}

// newAssociation opens its two sockets, the client's at the address where the client has reached us.
func (p *Proxy) newAssociation(ctx context.Context, conn *net.TCPConn) (*association, error) {
	local := conn.LocalAddr().(*net.TCPAddr)
	relay, err := net.ListenUDP("udp", &net.UDPAddr{IP: local.IP, Zone: local.Zone})
	if err != nil {
		return nil, err
	}
	world, err := (&net.ListenConfig{Control: p.mark}).ListenPacket(ctx, "udp", ":0")
	if err != nil {
		relay.Close()
		return nil, err
	}
	a := &association{
		p: p, relay: relay, world: world.(*net.UDPConn), owner: addrPort(conn.RemoteAddr()).Addr().WithZone(""),
		names: make(chan unresolved, maxNames), known: map[string]resolved{},
	}
	a.passed()
	return a, nil
}

func (a *association) close() {
	a.relay.Close()
	a.world.Close()
}

func (a *association) passed() { a.last.Store(time.Now().UnixNano()) }

// run relays until conn ends or nothing has passed for long enough.
func (a *association) run(ctx context.Context, conn *net.TCPConn) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(a.outwards)
	wg.Go(a.inwards)
	wg.Go(func() { a.resolveNames(ctx) })
	err := a.watch(conn)
	cancel()
	a.close()
	wg.Wait()
	return err
}

// watch waits for the end of conn, on which nothing more is said, or of the association's patience.
func (a *association) watch(conn *net.TCPConn) error {
	var b [64]byte
	for {
		left := a.p.cfg.AssociationIdle - time.Since(time.Unix(0, a.last.Load()))
		if left <= 0 {
			return fmt.Errorf("nothing passed for %s: %w", a.p.cfg.AssociationIdle, os.ErrDeadlineExceeded)
		}
		if err := conn.SetReadDeadline(time.Now().Add(left)); err != nil {
			return err
		}
		if _, err := conn.Read(b[:]); err != nil && !isTimeout(err) {
			return err
		}
	}
}

// outwards passes on what the client sends. It ends with the socket.
func (a *association) outwards() {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := a.relay.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if n == len(buf) || !a.isOwner(netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())) {
			continue
		}
		if target, data, ok := parseDatagram(buf[:n]); ok {
			a.send(target, data)
		}
	}
}

// isOwner reports whether a datagram is the client's. The first one from its address settles the port.
func (a *association) isOwner(from netip.AddrPort) bool {
	if c := a.client.Load(); c != nil {
		return *c == from
	}
	if from.Addr() != a.owner {
		return false
	}
	a.client.Store(&from)
	return true
}

// datagramTarget is where a datagram is to go: an address, or else a host:port to look up.
type datagramTarget struct {
	addr netip.AddrPort
	name string
}

// parseDatagram reads the header of a client's datagram (RFC 1928, section 7). Fragments are not taken.
func parseDatagram(b []byte) (to datagramTarget, data []byte, ok bool) {
	if len(b) < 5 || b[2] != 0 {
		return to, nil, false
	}
	n, at := 0, 4
	switch b[3] {
	case addrIPv4:
		n = 4
	case addrIPv6:
		n = 16
	case addrDomain:
		n, at = int(b[4]), 5
	}
	if n == 0 || len(b) < at+n+2 {
		return to, nil, false
	}
	host, port := b[at:at+n], binary.BigEndian.Uint16(b[at+n:])
	if port == 0 {
		return to, nil, false
	}
	if b[3] == addrDomain {
		to.name = net.JoinHostPort(string(host), strconv.Itoa(int(port)))
	} else {
		ip, _ := netip.AddrFromSlice(host)
		to.addr = netip.AddrPortFrom(ip.Unmap(), port)
	}
	return to, b[at+n+2:], true
}

// send passes one datagram on, with paygate's port in announces, unless it may not leave.
func (a *association) send(to datagramTarget, data []byte) {
	kind := announce.Classify(data)
	if !a.p.mayPass(kind) {
		return
	}
	data = a.rewrite(kind, data)
	a.passed()
	if to.name == "" {
		a.write(data, to.addr)
		return
	}
	if addr, ok := a.lookup(to.name); ok {
		a.write(data, addr)
		return
	}
	select {
	case a.names <- unresolved{to.name, append([]byte(nil), data...)}:
	default: // as a network drops what is too much
	}
}

// write sends to the world. What cannot be sent is lost, as datagrams are.
func (a *association) write(data []byte, to netip.AddrPort) {
	_, _ = a.world.WriteToUDPAddrPort(data, to)
}

// rewrite puts the public port into an announce, and remembers what is announced. data may be written to.
func (a *association) rewrite(kind announce.Kind, data []byte) []byte {
	port := a.p.cfg.PublicPort
	if kind == announce.Tracker {
		if hash, ok := announce.UDPInfoHash(data); ok {
			a.p.known.add(hash)
		}
	}
	switch {
	case port == 0:
	case kind == announce.Tracker:
		announce.RewriteUDP(data, port)
	case kind == announce.DHT:
		if out, ok := announce.RewriteDHT(a.scratch[:0], data, port); ok {
			a.scratch = out
			return out
		}
	}
	return data
}

// inwards passes to the client what comes back. It ends with the socket.
func (a *association) inwards() {
	buf := make([]byte, replyHead+maxDatagram)
	for {
		n, from, err := a.world.ReadFromUDPAddrPort(buf[replyHead:])
		if err != nil {
			return
		}
		client := a.client.Load()
		if client == nil || n == maxDatagram || !a.p.mayPass(announce.ClassifyReply(buf[replyHead:replyHead+n])) {
			continue
		}
		a.passed()
		head := datagramHead(buf[:0:replyHead], netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port()))
		start := replyHead - len(head)
		copy(buf[start:], head)
		_, _ = a.relay.WriteToUDPAddrPort(buf[start:replyHead+n], *client) // lost, as datagrams are
	}
}

// datagramHead appends the header of a datagram from an address.
func datagramHead(dst []byte, from netip.AddrPort) []byte {
	kind := byte(addrIPv4)
	if from.Addr().Is6() {
		kind = addrIPv6
	}
	dst = append(append(dst, 0, 0, 0, kind), from.Addr().AsSlice()...)
	return binary.BigEndian.AppendUint16(dst, from.Port())
}

func (a *association) lookup(name string) (netip.AddrPort, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r, ok := a.known[name]
	return r.addr, ok && time.Now().Before(r.until)
}

func (a *association) remember(name string, addr netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxNames {
		clear(a.known)
	}
	a.known[name] = resolved{addr, time.Now().Add(nameFor)}
}

// resolveNames sends the datagrams that wait for a name, one name after the other, until ctx ends.
func (a *association) resolveNames(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case u := <-a.names:
			a.sendByName(ctx, u)
		}
	}
}

func (a *association) sendByName(ctx context.Context, u unresolved) {
	addr, ok := a.lookup(u.target)
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, a.p.cfg.HandshakeTimeout)
		defer cancel()
		var err error
		if addr, err = resolve(ctx, u.target); err != nil {
			a.p.refused(a.owned(), fmt.Errorf("datagram to %s: %w", u.target, err))
			return
		}
		a.remember(u.target, addr)
	}
	a.write(u.data, addr)
}

func (a *association) owned() netip.AddrPort {
	if c := a.client.Load(); c != nil {
		return *c
	}
	return netip.AddrPort{}
}

// mayPass reports whether a datagram may pass: always, but for what could be a peer connection while a rule may charge.
func (p *Proxy) mayPass(kind announce.Kind) bool {
	if kind == announce.Tracker || kind == announce.DHT || !p.desk.MayCharge() {
		return true
	}
	if p.dropped.Add(1) == 1 {
		p.log.Warn("datagrams dropped that are neither for trackers nor for the DHT: uTP would walk around the gate",
			zap.Stringer("kind", kind), zap.String("remedy", "switch uTP off in the client (qBittorrent: Peer connection protocol TCP)"))
	}
	return false
}
