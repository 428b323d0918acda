package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"paygate/proxy/wire"
)

// speech is what the first bytes of a connection look like.
type speech uint8

const (
	unclear speech = iota // too few bytes yet
	bitTorrent
	plain  // HTTP, TLS, DNS, or text after a server's greeting
	hidden // anything else: perhaps encrypted BitTorrent
)

var methodWords = []string{
	"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "TRACE ", "PRI ",
}

// classify says what a connection's initiator speaks.
func classify(b []byte) speech {
	switch {
	case len(b) == 0:
		return unclear
	case wire.LooksLikeBitTorrent(b):
		return bitTorrent
	case b[0] == 0x16:
		return classifyTLS(b)
	}
	for _, word := range methodWords {
		if n := min(len(b), len(word)); string(b[:n]) == word[:n] {
			return map[bool]speech{true: plain, false: unclear}[n == len(word)]
		}
	}
	return classifyDNS(b)
}

// classifyDNS looks for a query over TCP (RFC 7766), which a client behind a gateway sends for want of UDP: a length
// below 512, an id, the flags of a standard query, one question, no answers, and at most one additional record.
func classifyDNS(b []byte) speech {
	const known = "\x01\xff\xff\xff\x01\x30\x00\x01\x00\x00\x00\x00\x00\x01" // bits that may be set
	for i, c := range b[:min(len(b), len(known))] {
		if c&^known[i] != 0 {
			return hidden
		}
	}
	switch {
	case len(b) < len(known):
		return unclear
	case b[7] != 1 || b[0] == 0 && b[1] < 17:
		return hidden
	}
	return plain
}

// classifyTLS looks for a ClientHello (RFC 8446): record type 22, version 3.x, a length, handshake type 1.
func classifyTLS(b []byte) speech {
	if len(b) < 6 {
		if len(b) > 1 && b[1] != 3 {
			return hidden
		}
		return unclear
	}
	if b[1] == 3 && b[2] <= 4 && b[3] <= 0x40 && b[5] == 1 {
		return plain
	}
	return hidden
}

// classifyReply is classify for a client that has been greeted by the other side. Text is plain then; a BitTorrent handshake is
// not what a client says to somebody who has said something else, so it is not trusted.
func classifyReply(b []byte) speech {
	switch kind := classify(b); {
	case kind == bitTorrent:
		return hidden
	case kind != hidden:
		return kind
	}
	if bytes.ContainsFunc(b, func(r rune) bool { return (r < ' ' || r > '~') && r != '\r' && r != '\n' && r != '\t' }) {
		return hidden
	}
	return plain
}

// carry finds out what is spoken on a connection that the client opened through us, and serves it. stop ends the
// watch that closes conn when ctx ends; a session is drained instead, and takes the dues over.
func (p *Proxy) carry(ctx context.Context, conn, remote *net.TCPConn, stop func() bool, d *dues) error {
	first, greeted, err := eitherSpeaks(conn, remote, p.cfg.Silence)
	if err != nil {
		return err
	}
	if !stop() {
		return ctx.Err()
	}
	if greeted {
		return p.carryGreeted(conn, remote)
	}
	l := legs{remote: side{conn: remote}, client: side{conn: conn}, addr: addrPort(remote.RemoteAddr()), initiator: true}
	if len(first) == 0 || classify(first) == plain { // without a word it can only listen
		return p.carryPlain(conn, remote, first)
	}
	hail, err := p.hear(ctx, &l.client, true, l.addr.Addr())
	switch {
	case err != nil:
		return fmt.Errorf("to %s: %w", l.addr, err)
	case hail.unseen != nil:
		return p.serveHidden(l, hail.unseen, func() {}, d)
	}
	return p.serveHead(ctx, l, hail, func() {}, d)
}

// carryGreeted passes on what the remote says, and looks at what the client answers before passing that.
func (p *Proxy) carryGreeted(conn, remote *net.TCPConn) error {
	return p.tunnels.run(conn, remote, func() error {
		q := p.newPassage()
		back := make(chan error, 1)
		go q.backwards(conn, remote, back)
		if first, err := peek(conn, classifyReply); err == nil && classifyReply(first) == hidden && p.desk.MayCharge() {
			conn.Close()
			remote.Close()
			<-back // it ends because of that
			return errEncrypted
		}
		return errors.Join(q.end(remote, conn, q.copy(remote, conn)), <-back)
	})
}

// eitherSpeaks waits until the client or the remote says something or ends. It returns what the client has said, which stays
// unread, or that the remote was first. It is an error if neither says anything for silence. A remote whose first bytes are a BitTorrent handshake does not count: its
// client must still name the torrent.
func eitherSpeaks(client, remote *net.TCPConn, silence time.Duration) (first []byte, greeted bool, err error) {
	if err := client.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return nil, false, err
	}
	var watch sync.WaitGroup
	spoke := false
	watch.Go(func() {
		said, err := peek(remote, classify)
		if err == nil && len(said) > 0 && wire.LooksLikeBitTorrent(said) || errors.Is(err, errInterrupted) {
			return
		}
		spoke = true
		_ = client.SetReadDeadline(past)
	})
	first, err = peek(client, classify)
	_ = remote.SetReadDeadline(past)
	watch.Wait()
	if e := errors.Join(client.SetReadDeadline(time.Time{}), remote.SetReadDeadline(time.Time{})); e != nil {
		return nil, false, e
	}
	if errors.Is(err, errInterrupted) {
		if !spoke {
			return nil, false, fmt.Errorf("nothing said for %s: %w", silence, os.ErrDeadlineExceeded)
		}
		return nil, true, nil
	}
	return first, false, err
}

var (
	past           = time.Unix(1, 0)
	errInterrupted = errors.New("interrupted")
)

// peek waits for a connection's first bytes until they are clear, without taking them. None mean that it has ended.
func peek(conn *net.TCPConn, how func([]byte) speech) ([]byte, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 512)
	n, last := 0, -1
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, _, failed = syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK)
		switch {
		case failed == syscall.EAGAIN || failed == syscall.EINTR:
			return false
		case failed != nil || n == 0 || n == last && ended(int(fd)) || how(b[:n]) != unclear:
			return true
		}
		last = n
		return false
	})
	if isTimeout(err) {
		return nil, errInterrupted
	}
	return b[:max(n, 0)], errors.Join(err, failed)
}
