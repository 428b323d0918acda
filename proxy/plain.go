package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
)

const (
	maxHead        = 16 << 10 // of an HTTP request
	maxUnreadHosts = 256      // of which we remember that a line was written
)

// carryPlain serves a connection of the client that is not BitTorrent: HTTP, in which announces get paygate's port, or
// anything else, which passes unread. first is what the client has said, which is still to be read; it may be empty.
func (p *Proxy) carryPlain(conn, remote *net.TCPConn, first []byte) error {
	q := p.newPassage()
	there := func() error { return q.copy(remote, conn) }
	switch {
	case len(first) == 0 || first[0] < 0x16 || p.cfg.PublicPort == 0 && first[0] != 'G': // no announce
	case first[0] == 0x16:
		p.noteUnread(conn, remote)
	default:
		there = func() error { return q.requests(remote, conn, p) }
	}
	return p.tunnels.run(conn, remote, func() error { return q.both(conn, remote, there) })
}

// requests copies HTTP/1 requests with the port of announces replaced, until src ends, which is io.EOF. From the first thing on that is
// not such a request, it copies whatever comes.
func (q *passage) requests(dst, src *net.TCPConn, p *Proxy) error {
	r := bufio.NewReaderSize(patient{q, src}, maxHead)
	var out []byte
	for {
		head, err := peekHead(r)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errNotHTTP):
			return q.rest(dst, src, r)
		case err != nil:
			return err
		}
		body, framed := bodyLen(head)
		out, _, _ = p.overhear(out[:0], head)
		if _, err := dst.Write(out); err != nil {
			return err
		}
		if _, err := r.Discard(len(head)); err != nil {
			return err
		}
		if !framed {
			return q.rest(dst, src, r)
		}
		if _, err := io.CopyN(dst, r, body); err != nil {
			return err
		}
	}
}

// rest passes on what was read already, then everything else.
func (q *passage) rest(dst, src *net.TCPConn, r *bufio.Reader) error {
	b, _ := r.Peek(r.Buffered())
	if _, err := dst.Write(b); err != nil {
		return err
	}
	return q.copy(dst, src)
}

// patient reads from one side of a passage.
type patient struct {
	q    *passage
	conn *net.TCPConn
}

func (p patient) Read(b []byte) (int, error) {
	for {
		if err := p.q.wait(p.conn); err != nil {
			return 0, err
		}
		n, err := p.conn.Read(b)
		if n > 0 {
			p.q.moved()
			return n, nil
		}
		if err = p.q.patience(err); err != nil {
			return 0, err
		}
	}
}

// errNotHTTP says that no head of an HTTP/1 request comes, or none that is short enough.
var errNotHTTP = errors.New("not an HTTP/1 request")

// peekHead waits for the whole head of a request, which stays in r.
func peekHead(r *bufio.Reader) ([]byte, error) {
	for {
		b, err := r.Peek(r.Buffered())
		if err != nil {
			return nil, err
		}
		if line, _, whole := bytes.Cut(b, []byte("\n")); whole && !bytes.Contains(line, []byte(" HTTP/1.")) {
			return nil, errNotHTTP
		}
		if n := headLen(b); n > 0 {
			return b[:n], nil
		}
		if len(b) == r.Size() {
			return nil, errNotHTTP
		}
		if _, err := r.Peek(len(b) + 1); err != nil {
			return nil, err
		}
	}
}

// headLen is the length of a head that is there as a whole, with the empty line at its end; 0 if it is not.
func headLen(b []byte) int {
	for at := 0; ; {
		n := bytes.IndexByte(b[at:], '\n')
		if n < 0 {
			return 0
		}
		line := bytes.TrimSuffix(b[at:at+n], []byte("\r"))
		at += n + 1
		if len(line) == 0 {
			return at
		}
	}
}

// bodyLen is how many bytes follow a head. It reports false if something else than another request may come after those, or if
// their number is not known beforehand.
func bodyLen(head []byte) (int64, bool) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil || req.ContentLength < 0 || len(req.TransferEncoding) > 0 || req.Method == http.MethodConnect {
		return 0, false
	}
	for _, v := range req.Header["Connection"] {
		if strings.Contains(strings.ToLower(v), "upgrade") {
			return 0, false
		}
	}
	return req.ContentLength, true
}

// unread remembers the hosts with which the client speaks over TLS.
type unread struct {
	mu    sync.Mutex
	hosts map[string]bool
}

// first reports whether a host is new. When too many are known none is.
func (u *unread) first(host string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.hosts[host] || len(u.hosts) >= maxUnreadHosts {
		return false
	}
	if u.hosts == nil {
		u.hosts = map[string]bool{}
	}
	u.hosts[host] = true
	return true
}

// noteUnread says once for each host that announces to it would tell the client's own port, if that is not paygate's.
func (p *Proxy) noteUnread(conn, remote *net.TCPConn) {
	if p.cfg.PublicPort == 0 || p.client != nil && p.client.Port == int(p.cfg.PublicPort) {
		return
	}
	host := serverName(conn)
	if host == "" {
		host = remote.RemoteAddr().String()
	}
	if p.unread.first(host) {
		p.log.Info("a TLS connection passes unread; announces in it keep the client's own port",
			zap.String("host", host), zap.Uint16("public_port", p.cfg.PublicPort),
			zap.String("remedy", "if this is a tracker: set public_port as the client's announce port, or let the client listen on that port number on 127.0.0.1"))
	}
}

// serverName is the host that a TLS client asks for (SNI), as far as its first message has come. Nothing is taken from conn.
func serverName(conn *net.TCPConn) (name string) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return ""
	}
	hello := make([]byte, 4096)
	n := 0
	err = raw.Control(func(fd uintptr) {
		n, _, _ = syscall.Recvfrom(int(fd), hello, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	if err != nil || n <= 0 {
		return ""
	}
	_ = tls.Server(deaf{bytes.NewReader(hello[:n])}, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			name = h.ServerName
			return nil, errHeard
		},
	}).Handshake() // always fails: we only wanted to listen
	return name
}

var errHeard = errors.New("heard enough")

// deaf is a connection that holds what was said, and on which nothing can be answered.
type deaf struct{ *bytes.Reader }

func (deaf) Write(b []byte) (int, error)      { return len(b), nil }
func (deaf) Close() error                     { return nil }
func (deaf) LocalAddr() net.Addr              { return nil }
func (deaf) RemoteAddr() net.Addr             { return nil }
func (deaf) SetDeadline(time.Time) error      { return nil }
func (deaf) SetReadDeadline(time.Time) error  { return nil }
func (deaf) SetWriteDeadline(time.Time) error { return nil }
