package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"paygate/client"
	"paygate/config"
	"paygate/proxy/wire"
	"paygate/units"
)

const (
	clientPatience = 3 * time.Second        // for the client's answer
	bypassPatience = 300 * time.Millisecond // for each of the machine's own addresses
	maxOwn         = 8                      // addresses looked at
)

// reach connects to the client as paygate will, from a loopback address of its own, and shakes hands.
func reach(ctx context.Context, c *config.Config) Finding {
	ih, known := anyTorrent(c)
	ap, notIP := netip.ParseAddrPort(c.Client.Address)
	elsewhere := notIP == nil && !ap.Addr().IsLoopback()
	from := source(c.Client.Aliases)
	if elsewhere {
		from = netip.Addr{} // nobody out there could answer an alias
	}
	reply, err := shakeHands(ctx, c.Client.Address, from, ih)
	f := judgeClient(c.Client.Address, ih, known, reply, err)
	if f.Verdict == Pass && elsewhere && c.Client.Source != "peer" {
		return warn(CheckClient, "bind the client to 127.0.0.1", "%s, and its address is not a loopback one: peers can walk around paygate", f.Text)
	}
	return f
}

// anyTorrent picks a torrent that the client should have, or makes one up that it cannot have.
func anyTorrent(c *config.Config) (ih units.InfoHash, known bool) {
	for _, r := range c.Sell.Rules {
		if len(r.InfoHash) > 0 {
			return r.InfoHash[0], true
		}
	}
	for _, d := range c.Client.Dial {
		return d.InfoHash, true
	}
	rand.Read(ih[:]) //nolint:errcheck // it never fails
	return ih, false
}

// source is an address of the range that paygate gives to peers last.
func source(aliases netip.Prefix) netip.Addr {
	if !aliases.IsValid() {
		return netip.Addr{}
	}
	a := aliases.Masked().Addr().As4()
	n := binary.BigEndian.Uint32(a[:]) | (1<<(32-aliases.Bits()) - 1)
	binary.BigEndian.PutUint32(a[:], n-1)
	return netip.AddrFrom4(a)
}

// shakeHands sends a handshake and returns what comes back, at most as much as a handshake has. An error of dialling
// is a *net.OpError with Op "dial"; the end of the connection is none.
func shakeHands(ctx context.Context, address string, from netip.Addr, ih units.InfoHash) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, clientPatience)
	defer cancel()
	d := net.Dialer{}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })() //nolint:errcheck // a closed connection needs none
	head := wire.NewHead(ih)
	hello := append(head[:], "-PG0000-"...)
	hello = append(hello, rand.Text()[:wire.PeerIDLen-8]...)
	if _, err := conn.Write(hello); err != nil {
		return nil, nil //nolint:nilerr // it took the connection and then closed it, which is an answer too
	}
	reply := make([]byte, wire.HandshakeLen)
	n, _ := io.ReadFull(conn, reply)
	return reply[:n], nil
}

// judgeClient tells what an answer means. Clients close connections that are about torrents they do not have.
func judgeClient(address string, ih units.InfoHash, known bool, reply []byte, err error) Finding {
	const remedy = "start the client, and set client.address to the port that it listens on for peers"
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fail(CheckClient, remedy, "nothing listens on %s", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fail(CheckClient, "give the loopback interface the addresses of client.aliases, or choose a range that it has", "this machine has no address of client.aliases to connect from")
	case err != nil && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)):
		return fail(CheckClient, remedy+"; see that no firewall drops connections from client.aliases", "%s does not answer", address)
	case errors.As(err, &op):
		return fail(CheckClient, remedy, "cannot connect to %s: %v", address, op.Err)
	case err != nil:
		return fail(CheckClient, remedy, "cannot connect to %s: %v", address, err)
	}
	_, badHead := wire.ParseHead(padded(reply))
	switch {
	case len(reply) >= wire.HeadLen && badHead == nil:
		return pass(CheckClient, "%s answers a BitTorrent handshake", address)
	case len(reply) > 0 && !wire.LooksLikeBitTorrent(reply[:min(len(reply), magicLen)]):
		return fail(CheckClient, remedy+", not its web interface", "what listens on %s does not speak BitTorrent", address)
	case known:
		return warn(CheckClient, "add the torrent to the client; if the client requires encryption, this check cannot see it, and nothing is wrong",
			"%s takes connections, but does not answer for %s", address, ih)
	}
	return pass(CheckClient, "%s takes connections", address)
}

// magicLen is the length of what every BitTorrent handshake begins with.
const magicLen = 20

func padded(reply []byte) []byte {
	return append(bytes.Clone(reply), make([]byte, wire.HeadLen)...)[:wire.HeadLen]
}

// bypass looks for other addresses of this machine on which the client takes peers, who then do not pass paygate. What
// shakes hands there, or is known to listen everywhere, is the client; anything else may be another program.
func bypass(ctx context.Context, c *config.Config, s client.Settings, own []netip.Addr, running *Running) Finding {
	target, err := net.ResolveTCPAddr("tcp", c.Client.Address)
	if err != nil {
		return skip(CheckBypass, "the client's address cannot be resolved: %v", err)
	}
	ih, _ := anyTorrent(c)
	looked := 0
	for _, a := range addresses(target.AddrPort().Addr().Unmap(), own)[1:] {
		at := netip.AddrPortFrom(a, uint16(target.Port))
		if running != nil && paygates(c, at) || a == netip.IPv6Loopback() { // where nobody else gets
			continue
		}
		looked++
		if !accepts(ctx, at) {
			continue
		}
		if s.BindKnown && s.BindAddress == "" || isClient(ctx, at, ih) {
			return fail(CheckBypass, setBind(s), "the client takes connections on %s too: peers can walk around paygate", at)
		}
		return warn(CheckBypass, setBind(s), "something takes connections on %s too: if it is the client, peers can walk around paygate", at)
	}
	return pass(CheckBypass, "the client is not reached at this machine's other addresses (%d)", looked)
}

// isClient reports whether somebody answers a BitTorrent handshake.
func isClient(ctx context.Context, at netip.AddrPort, ih units.InfoHash) bool {
	reply, err := shakeHands(ctx, at.String(), netip.Addr{}, ih)
	_, bad := wire.ParseHead(padded(reply))
	return err == nil && len(reply) >= wire.HeadLen && bad == nil
}

// paygates reports whether paygate itself answers at an address.
func paygates(c *config.Config, at netip.AddrPort) bool {
	return slices.ContainsFunc(c.Listen.Addresses(), func(l string) bool { return covers(l, at) })
}

// ownPeers looks for connections that the client has made by itself.
func ownPeers(c *config.Config, s client.Settings) Finding {
	out, known := direct(c.Client.Address)
	switch {
	case !known:
		return skip(CheckConnections, "the client's connections cannot be seen: only its own user, or root, may look")
	case len(out) > 0:
		return fail(CheckConnections, outgoingRemedy(s, c.Listen.SOCKS5),
			"the client has %s with other machines that do not pass paygate, such as %s", count(len(out), "connection"), out[0])
	}
	return pass(CheckConnections, "the client has no connection of its own with other machines")
}

// covers reports whether a listener of paygate's own would answer at an address.
func covers(listener string, at netip.AddrPort) bool {
	if listener == "" {
		return false
	}
	l, err := net.ResolveTCPAddr("tcp", listener)
	if err != nil || l.Port != int(at.Port()) {
		return false
	}
	ip := l.AddrPort().Addr().Unmap()
	return !ip.IsValid() || ip.IsUnspecified() || ip == at.Addr()
}

func accepts(ctx context.Context, at netip.AddrPort) bool {
	d := net.Dialer{Timeout: bypassPatience}
	conn, err := d.DialContext(ctx, "tcp", at.String())
	if err == nil {
		conn.Close()
	}
	return err == nil
}
