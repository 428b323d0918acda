package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"paygate/proxy/wire"
)

func newWebRig(t *testing.T, desk *fakeDesk, change func(*Config)) *rig {
	t.Helper()
	return newRig(t, desk, func(c *Config) {
		c.HTTP = "127.0.0.1:0"
		if change != nil {
			change(c)
		}
	})
}

func (r *rig) web() *end {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.proxy.HTTPAddr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	return newEnd(r.t, conn)
}

// rawServer is a web server that keeps what it is asked, byte for byte, and answers with what it is told.
type rawServer struct {
	t *testing.T
	l *net.TCPListener
}

func newRawServer(t *testing.T) *rawServer {
	t.Helper()
	l, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &rawServer{t, l}
}

func (s *rawServer) url() string { return "http://" + s.l.Addr().String() }

func (s *rawServer) accept() *end {
	s.t.Helper()
	if err := s.l.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	conn, err := s.l.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	return newEnd(s.t, conn)
}

// TestHTTPAnnounce sends announces as curl does, and looks at each byte that the tracker gets.
func TestHTTPAnnounce(t *testing.T) {
	r := newWebRig(t, newDesk(Gated, 0), nil)
	server := newRawServer(t)
	client := r.web()
	path := "/announce?" + whoAnnounces + "&port=51413&key=%2fA"
	rest := "Host: t\r\nuser-agent:  Transmission/3.00\r\nAccept: */*\r\naccept-encoding: deflate, gzip\r\n"
	client.send([]byte("GET " + server.url() + path + " HTTP/1.1\r\n" + rest + "Proxy-Connection: Keep-Alive\r\n\r\n"))
	tracker := server.accept()
	tracker.expect([]byte("GET " + public(path) + " HTTP/1.1\r\n" + rest + "\r\n"))
	tracker.send([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\nConnection: keep-alive\r\n\r\nde"))
	client.expect([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nde"))
	// On the same connections, with a body of unknown length.
	client.send([]byte("GET " + server.url() + "?x=1 HTTP/1.1\r\nHost: t\r\n\r\n"))
	tracker.expect([]byte("GET /?x=1 HTTP/1.1\r\nHost: t\r\n\r\n"))
	tracker.send([]byte("HTTP/1.1 200 OK\r\n\r\nto the end"))
	tracker.Close()
	client.expect([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end"))
	client.expectEnd()
}

func TestOriginHead(t *testing.T) {
	for name, c := range map[string][2]string{
		"plain":          {"GET http://h/p?q=http://x HTTP/1.1\r\nhost: h\r\nX: 1\r\n\r\n", "GET /p?q=http://x HTTP/1.1\r\nhost: h\r\nX: 1\r\n\r\n"},
		"no path":        {"GET http://h HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"},
		"query alone":    {"GET http://u@h:1?q HTTP/1.1\r\n\r\n", "GET /?q HTTP/1.1\r\n\r\n"},
		"escapes":        {"GET HTTP://h/%41%zz#f HTTP/1.1\n\n", "GET /%41%zz#f HTTP/1.1\n\n"},
		"for us":         {"GET http://h/ HTTP/1.1\r\nPROXY-connection: close\r\nA: b\r\nProxy-Authorization: Basic x\r\nTE: gzip\r\nKeep-Alive: 1\r\nUpgrade: h2c\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n\r\n"},
		"close stays":    {"GET http://h/ HTTP/1.1\r\nconnection: Close\r\n\r\n", "GET / HTTP/1.1\r\nconnection: Close\r\n\r\n"},
		"named":          {"GET http://h/ HTTP/1.1\r\nX-Hop: 1\r\n and more\r\nY: 2\r\nConnection: close, x-hop\r\n\r\n", "GET / HTTP/1.1\r\nY: 2\r\n\r\n"},
		"host is needed": {"GET http://h/ HTTP/1.1\r\nHost: h\r\nConnection: host\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nConnection: host\r\n\r\n"},
	} {
		header := http.Header{}
		for _, line := range strings.Split(c[0], "\r\n")[1:] {
			if key, value, ok := strings.Cut(line, ": "); ok {
				header.Add(key, value)
			}
		}
		if got := originHead(nil, []byte(c[0]), header); string(got) != c[1] {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestHTTPRefusals(t *testing.T) {
	dead := newRawServer(t)
	dead.l.Close()
	for name, c := range map[string]struct {
		say    string
		status int
	}{
		"not HTTP":       {"HELO you\r\n", 400},
		"bad header":     {"GET http://h/ HTTP/1.1\r\nbad header\r\n\r\n", 400},
		"origin form":    {"GET /announce HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		"https":          {"GET https://h/ HTTP/1.1\r\n\r\n", 400},
		"too long":       {"GET http://h/ HTTP/1.1\r\nX: " + strings.Repeat("x", maxHead) + "\r\n\r\n", 400},
		"nobody there":   {"GET " + dead.url() + " HTTP/1.1\r\n\r\n", 502},
		"CONNECT nobody": {"CONNECT " + dead.l.Addr().String() + " HTTP/1.1\r\n\r\n", 502},
		"no port":        {"CONNECT 127.0.0.1 HTTP/1.1\r\n\r\n", 502},
		"early":          {"CONNECT " + dead.l.Addr().String() + " HTTP/1.1\r\n\r\nearly", 400},
		"chunked":        {"POST " + dead.url() + " HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWebRig(t, newDesk(Free, 0), nil)
			client := r.web()
			client.send([]byte(c.say))
			resp, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != c.status || !resp.Close || !strings.HasPrefix(string(body), "paygate: ") {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
		})
	}
}

func TestHTTPPassword(t *testing.T) {
	server := newRawServer(t)
	for name, c := range map[string]struct {
		user   *url.Userinfo
		status int
	}{
		"right": {url.UserPassword("u", "secret"), 200}, "wrong password": {url.UserPassword("u", "x"), 407},
		"wrong user": {url.UserPassword("v", "secret"), 407}, "none": {nil, 407},
	} {
		t.Run(name, func(t *testing.T) {
			r := newWebRig(t, newDesk(Free, 0), func(c *Config) { c.SOCKS5User, c.SOCKS5Password = "u", "secret" })
			transport := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", User: c.user, Host: r.proxy.HTTPAddr().String()})}
			defer transport.CloseIdleConnections()
			if c.status == 200 {
				go func() {
					conn, err := server.l.Accept()
					if err != nil {
						return
					}
					defer conn.Close()
					req, err := http.ReadRequest(bufio.NewReader(conn))
					if err == nil && req.Header.Get("Proxy-Authorization") == "" {
						fmt.Fprint(conn, "HTTP/1.0 200 OK\r\n\r\n")
					}
				}()
			}
			resp, err := transport.RoundTrip(mustRequest(t, http.MethodGet, server.url(), nil))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != c.status || c.status == 407 && !strings.HasPrefix(resp.Header.Get("Proxy-Authenticate"), "Basic ") {
				t.Errorf("%d %v", resp.StatusCode, resp.Header)
			}
		})
	}
}

func mustRequest(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// TestHTTPAgainstNetHTTP puts the proxy between Go's own client and server, for answers of every form.
func TestHTTPAgainstNetHTTP(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789"), 300_000)
	mux := http.NewServeMux()
	mux.HandleFunc("/short", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "short") })
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(big) })
	mux.HandleFunc("/nothing", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("/close", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		fmt.Fprint(w, "bye")
	})
	mux.HandleFunc("/early", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		fmt.Fprint(w, "late")
	})
	l, err := listenTCP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	defer func() { server.Close(); <-done }()
	r := newWebRig(t, newDesk(Gated, 0), nil)
	transport := &http.Transport{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: r.proxy.HTTPAddr().String()}), DisableCompression: true, ExpectContinueTimeout: 5 * time.Second,
	}
	defer transport.CloseIdleConnections()
	for _, c := range []struct {
		method, path, body string
		expect             bool
		want               string
		status             int
	}{
		{"GET", "/short", "", false, "short", 200},
		{"GET", "/big", "", false, string(big), 200},
		{"HEAD", "/short", "", false, "", 200},
		{"GET", "/nothing", "", false, "", 204},
		{"POST", "/echo", "hello", false, "hello", 200},
		{"POST", "/echo", string(big), true, string(big), 200},
		{"GET", "/close", "", false, "bye", 200},
		{"GET", "/early", "", false, "late", 200},
		{"GET", "/none", "", false, "404 page not found\n", 404},
	} {
		for range 2 {
			req := mustRequest(t, c.method, "http://"+l.Addr().String()+c.path, strings.NewReader(c.body))
			if c.expect {
				req.Header.Set("Expect", "100-continue")
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatalf("%s %s: %v", c.method, c.path, err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != c.status || string(got) != c.want {
				t.Errorf("%s %s: %v, %d, %d bytes", c.method, c.path, err, resp.StatusCode, len(got))
			}
		}
	}
}

// TestStaleOrigin has the server end a connection that was kept: the next request goes over a new one.
func TestStaleOrigin(t *testing.T) {
	r := newWebRig(t, newDesk(Free, 0), nil)
	server := newRawServer(t)
	client := r.web()
	for range 3 {
		client.send([]byte("GET " + server.url() + "/ HTTP/1.1\r\n\r\n"))
		origin := server.accept()
		origin.expect([]byte("GET / HTTP/1.1\r\n\r\n"))
		origin.send([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		client.expect([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
		origin.Close()
	}
}

func TestHTTPKeepAlive10(t *testing.T) {
	r := newWebRig(t, newDesk(Free, 0), nil)
	server := newRawServer(t)
	client := r.web()
	client.send([]byte("GET " + server.url() + "/ HTTP/1.0\r\n\r\n"))
	origin := server.accept()
	origin.expect([]byte("GET / HTTP/1.0\r\n\r\n"))
	origin.send([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
	client.expect([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"))
	client.expectEnd()
}

// TestConnectWithoutBrackets reads what rtorrent writes for peers with IPv6 addresses.
func TestConnectWithoutBrackets(t *testing.T) {
	for head, want := range map[string]string{
		"CONNECT fd97::1:24995 HTTP/1.0\r\n\r\n":            "CONNECT [fd97::1]:24995 HTTP/1.0\r\n\r\n",
		"CONNECT 2001:db8:0:0:0:0:0:1:1 HTTP/1.0\r\n\r\n":   "CONNECT [2001:db8:0:0:0:0:0:1]:1 HTTP/1.0\r\n\r\n",
		"CONNECT ::1:6881 HTTP/1.0\r\nX: a:b:c:d e\r\n\r\n": "CONNECT [::1]:6881 HTTP/1.0\r\nX: a:b:c:d e\r\n\r\n",
		"CONNECT [fd97::1]:24995 HTTP/1.1\r\n\r\n":          "",
		"CONNECT 192.0.2.7:6881 HTTP/1.0\r\n\r\n":           "",
		"CONNECT tracker.example:80 HTTP/1.0\r\n\r\n":       "",
		"GET http://fd97::1:80/ HTTP/1.0\r\n\r\n":           "",
		"CONNECT  HTTP/1.0\r\n\r\n":                         "",
		"CONNECT":                                           "",
		"":                                                  "",
	} {
		if want == "" {
			want = head
		}
		if got := string(bracketed([]byte(head))); got != want {
			t.Errorf("%q became %q, want %q", head, got, want)
		}
	}
}

func TestHTTPConnectPeerSession(t *testing.T) {
	for name, version := range map[string]string{"rtorrent": "HTTP/1.0", "others": "HTTP/1.1"} {
		t.Run(name, func(t *testing.T) {
			desk := newDesk(Gated, 0)
			r := newWebRig(t, desk, nil)
			server := newRawServer(t)
			client := r.web()
			client.send([]byte("CONNECT " + server.l.Addr().String() + " " + version + "\r\n\r\n"))
			client.expect([]byte(version + " 200 Connection established\r\n\r\n"))
			remote := server.accept()
			client.send(hand("client", true, true))
			remote.expect(hand("client", true, false))
			remote.send(hand("remote", true, true))
			client.expect(hand("remote", true, false))
			if conv := <-desk.convs; !conv.s.Initiator() || conv.s.Remote() != addrPort(remote.LocalAddr()) {
				t.Errorf("initiator %v, remote %v", conv.s.Initiator(), conv.s.Remote())
			}
			client.send(ext(0, "d1:mdee"))
			if h, err := wire.ParseExtHandshake(remote.frame()[2:]); err != nil || !h.Uses(200) {
				t.Error("our names are not offered")
			}
		})
	}
}

// TestHTTPConnectToTracker is what a client does that tunnels even plain trackers.
func TestHTTPConnectToTracker(t *testing.T) {
	r := newWebRig(t, newDesk(Gated, 0), nil)
	server := newRawServer(t)
	client := r.web()
	client.send([]byte("CONNECT " + server.l.Addr().String() + " HTTP/1.1\r\nHost: x\r\n\r\n"))
	client.expect([]byte("HTTP/1.1 200 Connection established\r\n\r\n"))
	client.send([]byte(announcing))
	server.accept().expect([]byte(public(announcing)))
}

func TestHTTPEndsInTime(t *testing.T) {
	r := newWebRig(t, newDesk(Free, 0), nil)
	server := newRawServer(t)
	waiting, idle := r.web(), r.web()
	waiting.send([]byte("GET " + server.url() + "/ HTTP/1.1\r\n\r\n"))
	server.accept()
	began := time.Now()
	r.stop()
	if said, err := io.ReadAll(waiting); isTimeout(err) || len(said) > 0 && !bytes.HasPrefix(said, []byte("HTTP/1.1 502 ")) {
		t.Errorf("%v %q", err, said)
	}
	idle.expectEnd()
	if time.Since(began) > 4*time.Second {
		t.Error("waited for a timeout")
	}
}

func TestHTTPLimits(t *testing.T) {
	r := newWebRig(t, newDesk(Free, 0), func(c *Config) { c.Connections, c.HandshakeTimeout = 1, 200*time.Millisecond })
	slot, err := r.proxy.limits.outbound()
	if err != nil {
		t.Fatal(err)
	}
	defer slot.free()
	client := r.web()
	client.send([]byte("GET http://127.0.0.1:1/ HTTP/1.1\r\n\r\n"))
	client.expect([]byte("HTTP/1.1 503 "))
	silent := r.web()
	silent.expectEnd()
}
