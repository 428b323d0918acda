package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"paygate/proxy/announce"
)

const (
	keepClientHTTP  = time.Minute // between two requests of one connection
	answerWithin    = time.Minute // how long a web server may be silent
	maxAnswer       = 1 << 20     // of a tracker that is read
	maxInformations = 8           // answers 1xx before the true one
)

// refusalHTTP is a request that is answered by us.
type refusalHTTP struct {
	status int
	err    error
}

func (e *refusalHTTP) Error() string { return "HTTP proxy: " + e.err.Error() }
func (e *refusalHTTP) Unwrap() error { return e.err }

// visitor is a connection of the client to the HTTP listener.
type visitor struct {
	p      *Proxy
	conn   *net.TCPConn
	r      *bufio.Reader
	origin *origin // of the last request, while it stays open
	head   []byte  // the last head that was sent on
}

// origin is a connection to a web server.
type origin struct {
	host string
	conn *net.TCPConn
	r    *bufio.Reader
}

// serveHTTP serves an HTTP proxy connection of the client. It owns conn.
func (p *Proxy) serveHTTP(ctx context.Context, conn *net.TCPConn) {
	var d dues
	defer d.pay()
	d.owe(func() { conn.Close() })
	if err := p.http(ctx, conn, &d); err != nil {
		p.refused(addrPort(conn.RemoteAddr()), err)
	}
}

func (p *Proxy) http(ctx context.Context, conn *net.TCPConn, d *dues) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	v := &visitor{p: p, conn: conn, r: bufio.NewReaderSize(conn, maxHead)}
	defer v.leave()
	wait := p.cfg.HandshakeTimeout
	req, head, err := v.next(wait)
	if err != nil {
		return v.refuse(err)
	}
	slot, err := p.limits.outbound()
	if err != nil {
		return v.refuse(&refusalHTTP{http.StatusServiceUnavailable, err})
	}
	d.owe(slot.free)
	for {
		if req.Method == http.MethodConnect {
			return p.connect(ctx, v, req, len(head), stop, d)
		}
		if again, err := v.relay(ctx, req, head); err != nil || !again {
			return v.refuse(err)
		}
		if req, head, err = v.next(keepClientHTTP); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return v.refuse(err)
		}
	}
}

func (v *visitor) leave() {
	if v.origin != nil {
		v.origin.conn.Close()
	}
}

// next waits for the head of a request that this visitor may make. The head stays in v.r.
func (v *visitor) next(within time.Duration) (*http.Request, []byte, error) {
	if err := v.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, nil, err
	}
	head, err := peekHead(v.r)
	if errors.Is(err, errNotHTTP) {
		return nil, nil, &refusalHTTP{http.StatusBadRequest, err}
	}
	if err != nil {
		return nil, nil, err
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bracketed(head))))
	if err != nil {
		return nil, nil, &refusalHTTP{http.StatusBadRequest, err}
	}
	if !v.p.knows(req.Header.Get("Proxy-Authorization")) {
		return nil, nil, &refusalHTTP{http.StatusProxyAuthRequired, errors.New("wrong user or password, or none")}
	}
	return req, head, nil
}

// bracketed puts an IPv6 address after CONNECT into the brackets that rtorrent leaves away; what follows the last colon is
// the port. Any other head is returned as it is.
func bracketed(head []byte) []byte {
	rest, found := bytes.CutPrefix(head, []byte("CONNECT "))
	to, rest, spaced := bytes.Cut(rest, []byte(" "))
	colon := bytes.LastIndexByte(to, ':')
	if !found || !spaced || colon < 0 || to[0] == '[' || bytes.Count(to, []byte(":")) < 3 {
		return head
	}
	return fmt.Appendf(nil, "CONNECT [%s]%s %s", to[:colon], to[colon:], rest)
}

// knows checks Basic credentials (RFC 7617), if any are wanted: those of the SOCKS5 listener.
func (p *Proxy) knows(authorization string) bool {
	if p.cfg.SOCKS5User == "" {
		return true
	}
	scheme, encoded, _ := strings.Cut(authorization, " ")
	given, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil || !strings.EqualFold(scheme, "Basic") {
		return false
	}
	wanted := p.cfg.SOCKS5User + ":" + p.cfg.SOCKS5Password.Reveal()
	return subtle.ConstantTimeCompare(given, []byte(wanted)) == 1
}

// refuse tells the client why, if err has a word for it, and returns err.
func (v *visitor) refuse(err error) error {
	var e *refusalHTTP
	if !errors.As(err, &e) {
		return err
	}
	if e := v.conn.SetWriteDeadline(time.Now().Add(v.p.cfg.HandshakeTimeout)); e != nil {
		return errors.Join(err, e)
	}
	more := ""
	if e.status == http.StatusProxyAuthRequired {
		more = "Proxy-Authenticate: Basic realm=\"paygate\"\r\n"
	}
	text := "paygate: " + e.err.Error() + "\n"
	_, failed := fmt.Fprintf(v.conn, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n%sContent-Length: %d\r\n\r\n%s",
		e.status, http.StatusText(e.status), more, len(text), text)
	return errors.Join(err, failed)
}

// connect serves a CONNECT, which is what SOCKS5 does with another greeting.
func (p *Proxy) connect(ctx context.Context, v *visitor, req *http.Request, head int, stop func() bool, d *dues) error {
	conn := v.conn
	if v.r.Buffered() > head {
		return v.refuse(&refusalHTTP{http.StatusBadRequest, errors.New("something was said before CONNECT was answered")})
	}
	remote, err := p.dialRemote(ctx, req.RequestURI)
	if err != nil {
		return v.refuse(&refusalHTTP{http.StatusBadGateway, err})
	}
	d.owe(func() { remote.Close() })
	if !stop() {
		return ctx.Err()
	}
	stopBoth := context.AfterFunc(ctx, func() { conn.Close(); remote.Close() })
	defer stopBoth()
	if err := conn.SetDeadline(time.Now().Add(p.cfg.HandshakeTimeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "HTTP/1.%d 200 Connection established\r\n\r\n", min(req.ProtoMinor, 1)); err != nil {
		return fmt.Errorf("answer CONNECT: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	return p.carry(ctx, conn, remote, stopBoth, d)
}

// relay passes on one request, whose head still is in v.r, and its answer. It reports whether another may follow.
func (v *visitor) relay(ctx context.Context, req *http.Request, head []byte) (again bool, err error) {
	host, err := originOf(req)
	if err != nil {
		return false, &refusalHTTP{http.StatusBadRequest, err}
	}
	if len(req.TransferEncoding) > 0 {
		return false, &refusalHTTP{http.StatusLengthRequired, errors.New("requests of unknown length are not taken")}
	}
	v.head = originHead(v.head[:0], head, req.Header)
	out, asked, announces := v.p.overhear(nil, v.head)
	if announces {
		v.head = out
	}
	if announces && v.p.swarms != nil {
		v.head = onlyGzip(v.head)
	}
	if _, err := v.r.Discard(len(head)); err != nil {
		return false, err
	}
	resp, err := v.ask(ctx, host, req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	return v.answer(req, resp, asked, announces)
}

// ask sends v.head and the body that follows it to a web server, and reads the head of its answer. A connection that was left from an
// earlier request may have ended meanwhile; then a request without a body is sent again over a new one.
func (v *visitor) ask(ctx context.Context, host string, req *http.Request) (*http.Response, error) {
	old := v.origin != nil && v.origin.host == host
	if !old {
		if err := v.visit(ctx, host); err != nil {
			return nil, err
		}
	}
	resp, err := v.exchange(ctx, req)
	if err != nil && old && req.ContentLength == 0 {
		if err := v.visit(ctx, host); err != nil {
			return nil, err
		}
		resp, err = v.exchange(ctx, req)
	}
	if err != nil {
		return nil, &refusalHTTP{http.StatusBadGateway, err}
	}
	return resp, nil
}

// visit opens a connection to a web server in place of the last one.
func (v *visitor) visit(ctx context.Context, host string) error {
	v.leave()
	v.origin = nil
	conn, err := v.p.dialRemote(ctx, host)
	if err != nil {
		return &refusalHTTP{http.StatusBadGateway, err}
	}
	v.origin = &origin{host, conn, bufio.NewReader(timely{conn, answerWithin})}
	return nil
}

// exchange is one request and the head of its answer.
func (v *visitor) exchange(ctx context.Context, req *http.Request) (*http.Response, error) {
	o := v.origin
	defer context.AfterFunc(ctx, func() { o.conn.Close() })()
	to := timely{o.conn, answerWithin}
	if _, err := to.Write(v.head); err != nil {
		return nil, err
	}
	if req.ContentLength > 0 {
		if err := v.sendBody(to, req); err != nil {
			return nil, err
		}
	}
	for range maxInformations {
		resp, err := http.ReadResponse(o.r, req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 {
			return resp, nil
		}
		resp.Body.Close()
	}
	return nil, errors.New("the server does not come to an answer")
}

func (v *visitor) sendBody(to io.Writer, req *http.Request) error {
	if strings.EqualFold(req.Header.Get("Expect"), "100-continue") {
		if _, err := io.WriteString(timely{v.conn, answerWithin}, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return err
		}
	}
	if err := v.conn.SetReadDeadline(time.Now().Add(v.p.cfg.TunnelIdle)); err != nil {
		return err
	}
	_, err := io.CopyN(to, v.r, req.ContentLength)
	return err
}

// answer passes on an answer. It reports whether the client may ask again on this connection.
func (v *visitor) answer(req *http.Request, resp *http.Response, asked announce.Request, announces bool) (again bool, err error) {
	over := resp.Close // then the server ends the connection
	dropHops(resp.Header)
	resp.Header.Del("Proxy-Authenticate")
	if announces {
		if err := v.p.hearTracker(addrPort(v.origin.conn.RemoteAddr()).Addr(), asked, resp); err != nil {
			return false, &refusalHTTP{http.StatusBadGateway, err}
		}
	}
	resp.Close = req.Close || resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
	if !req.ProtoAtLeast(1, 1) && resp.ContentLength < 0 {
		resp.TransferEncoding, resp.Close = nil, true
	}
	if err := resp.Write(timely{v.conn, answerWithin}); err != nil {
		return false, err
	}
	if over {
		v.leave()
		v.origin = nil
	}
	return !resp.Close, nil
}

// originOf is the host:port that a request in absolute form (RFC 9112, section 3.2.2) goes to.
func originOf(req *http.Request) (string, error) {
	switch {
	case req.URL.Host == "":
		return "", errors.New("this is a proxy: set it as the HTTP proxy of the BitTorrent client")
	case req.URL.Scheme != "http":
		return "", errors.New("only http:// is fetched; https:// goes through CONNECT")
	}
	port := req.URL.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(req.URL.Hostname(), port), nil
}

// originHead appends the head of a request as its origin is to see it: the target in origin form, and the headers as they stand,
// but for those that are meant for us alone (RFC 9110, section 7.6.1).
func originHead(dst, head []byte, header http.Header) []byte {
	drop := hops(header)
	line, rest, _ := bytes.Cut(head, []byte("\n"))
	dst = append(appendOriginLine(dst, line), '\n')
	skip := false
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		name, _, _ := bytes.Cut(line, []byte(":"))
		if folded := len(line) > 0 && (line[0] == ' ' || line[0] == '\t'); !folded { // a folded line goes with the one before
			skip = drop[strings.ToLower(string(bytes.TrimSpace(name)))]
		}
		if !skip {
			dst = append(append(dst, line...), '\n')
		}
		rest = after
	}
	return dst
}

// appendOriginLine appends a request line without the http://host of its target.
func appendOriginLine(dst, line []byte) []byte {
	method, after, _ := bytes.Cut(line, []byte(" "))
	dst = append(append(dst, method...), ' ')
	_, after, _ = bytes.Cut(after, []byte("://"))
	if n := bytes.IndexAny(after, "/? "); n >= 0 {
		after = after[n:]
	}
	if len(after) == 0 || after[0] != '/' {
		dst = append(dst, '/')
	}
	return append(dst, after...)
}

// hops are the names, in small letters, of the headers that are not passed on. A Connection header that says no more than close or
// keep-alive passes: it is true for the next connection, too.
func hops(header http.Header) map[string]bool {
	drop := map[string]bool{
		"proxy-connection": true, "proxy-authorization": true, "keep-alive": true, "te": true, "trailer": true, "upgrade": true, "expect": true,
	}
	for _, value := range header.Values("Connection") {
		for token := range strings.SplitSeq(value, ",") {
			token = strings.ToLower(strings.TrimSpace(token))
			if token != "close" && token != "keep-alive" && token != "" && token != "host" {
				drop["connection"], drop[token] = true, true
			}
		}
	}
	return drop
}

// dropHops takes out of an answer what was meant for us.
func dropHops(header http.Header) {
	for name := range hops(header) {
		header.Del(name)
	}
	header.Del("Connection")
}

// timely reads and writes with a limit for each step.
type timely struct {
	conn   *net.TCPConn
	within time.Duration
}

func (t timely) Read(b []byte) (int, error) {
	if err := t.conn.SetReadDeadline(time.Now().Add(t.within)); err != nil {
		return 0, err
	}
	return t.conn.Read(b)
}

func (t timely) Write(b []byte) (int, error) {
	if err := t.conn.SetWriteDeadline(time.Now().Add(t.within)); err != nil {
		return 0, err
	}
	return t.conn.Write(b)
}
