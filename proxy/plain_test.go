package proxy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"pgregory.net/rapid"
)

const (
	whoAnnounces = "info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb"
	announcing   = "GET /announce?" + whoAnnounces + "&port=51413&uploaded=9&key=port%3D1 HTTP/1.1\r\nhost: t\r\nUser-Agent: Transmission/3.00\r\naccept: */*\r\n\r\n"
)

// public is what an announce of the client's port looks like to the tracker.
func public(s string) string { return strings.ReplaceAll(s, "&port=51413", "&port=4242") }

func TestAnnouncesInTunnels(t *testing.T) {
	for name, c := range map[string][]string{ // what the client says, in pieces
		"one":              {announcing},
		"in pieces":        {announcing[:10], announcing[10:60], announcing[60 : len(announcing)-1], announcing[len(announcing)-1:]},
		"pipelined":        {announcing + announcing + "GET / HTTP/1.1\r\n\r\n" + announcing},
		"after a body":     {"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nport=", announcing},
		"a body like one":  {fmt.Sprintf("POST /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n", len(announcing)), strings.ReplaceAll(announcing, "&port=51413", "&port=1")[:len(announcing)-4] + "\r\n\r\n"},
		"chunked, then":    {"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		"upgrade":          {"GET /x HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: x\r\n\r\n", "\x00\xff anything"},
		"not really HTTP":  {"GET it\n", "and more\n"},
		"HTTP/2 preface":   {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
		"longer than held": {"GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 3*maxHead) + "\r\n\r\n"},
		"unfinished":       {"GET /announce?" + whoAnnounces + "&port=1 HTTP/1.1\r\nHost: t"},
		"bad length":       {"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "whatever"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, newDesk(Gated, 0), nil)
			client, server := r.through()
			for _, piece := range c {
				client.send([]byte(piece))
				time.Sleep(2 * time.Millisecond) // so that they arrive one by one
			}
			client.CloseWrite()
			got, err := io.ReadAll(server)
			if want := public(strings.Join(c, "")); err != nil || string(got) != want {
				t.Fatalf("%v\n%q\nwant\n%q", err, got, want)
			}
			server.send([]byte("HTTP/1.1 200 OK\r\n\r\n"))
			server.Close()
			client.expect([]byte("HTTP/1.1 200 OK\r\n\r\n"))
			client.expectEnd()
		})
	}
}

// TestAnyRequestsPass sends rows of requests, cut anywhere: only ports of announces change.
func TestAnyRequestsPass(t *testing.T) {
	requests := []string{
		announcing, "GET / HTTP/1.0\r\n\r\n", "HEAD /?port=51413 HTTP/1.1\r\nX: &port=\r\n\r\n",
		"POST /announce?" + whoAnnounces + "&port=7 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "DELETE / HTTP/1.1\n\n",
	}
	r := newRig(t, newDesk(Free, 0), nil)
	rapid.Check(t, func(t *rapid.T) {
		said := strings.Join(rapid.SliceOfN(rapid.SampledFrom(requests), 1, 6).Draw(t, "requests"), "") + rapid.SampledFrom([]string{"", "GET", "\x00"}).Draw(t, "tail")
		cuts := rapid.SliceOfN(rapid.IntRange(1, 80), 0, 5).Draw(t, "cuts")
		client, server := r.through()
		defer client.Close()
		defer server.Close()
		rest := said
		for _, n := range cuts {
			n = min(n, len(rest))
			client.send([]byte(rest[:n]))
			rest = rest[n:]
		}
		client.send([]byte(rest))
		client.CloseWrite()
		if got, err := io.ReadAll(server); err != nil || string(got) != public(said) {
			t.Fatalf("%v\n%q\nwant\n%q", err, got, public(said))
		}
	})
}

func TestNobodyKnowsThePublicPort(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), func(c *Config) { c.Peers, c.PublicPort = "", 0 })
	client, server := r.through()
	client.send([]byte(announcing))
	server.expect([]byte(announcing))
}

func TestSilentTunnelsEnd(t *testing.T) {
	for name, say := range map[string]func(client, server *end){
		"nobody":     func(_, _ *end) {},
		"the server": func(c, s *end) { s.send([]byte("220 hi")); c.expect([]byte("220 hi")) },
		"the client": func(c, s *end) { c.send([]byte(announcing)); s.expect([]byte(public(announcing))) },
		"both": func(c, s *end) {
			c.send([]byte(announcing))
			s.expect([]byte(public(announcing)))
			s.send([]byte("200"))
			c.expect([]byte("200"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, newDesk(Gated, 0), func(c *Config) { c.Silence, c.TunnelIdle = 100*time.Millisecond, 100*time.Millisecond })
			client, server := r.through()
			say(client, server)
			client.expectEnd()
			server.expectEnd()
			eventually(t, "its slot is free", func() bool {
				r.proxy.limits.mu.Lock()
				defer r.proxy.limits.mu.Unlock()
				return r.proxy.limits.all == 0
			})
		})
	}
}

// TestBusyTunnelsStay has one side talk for longer than the other may be silent.
func TestBusyTunnelsStay(t *testing.T) {
	r := newRig(t, newDesk(Gated, 0), func(c *Config) { c.TunnelIdle = 300 * time.Millisecond })
	client, server := r.through()
	client.send([]byte(announcing))
	server.expect([]byte(public(announcing)))
	for range 10 {
		server.send([]byte("x"))
		client.expect([]byte("x"))
		time.Sleep(50 * time.Millisecond)
	}
	client.send([]byte(announcing))
	server.expect([]byte(public(announcing)))
}

func TestTLSIsNotedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		samePort bool
		lines    int
	}{"another port": {false, 1}, "the same port": {true, 0}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, newDesk(Gated, 0), nil)
			if c.samePort {
				r.proxy.cfg.PublicPort = uint16(r.proxy.client.Port)
			}
			for range 2 {
				client, server := r.through()
				hello := clientHello(t, "tracker.example")
				client.send(hello)
				server.expect(hello)
				client.Close()
				server.expectEnd()
			}
			lines := r.log.FilterField(zap.String("host", "tracker.example"))
			if lines.Len() != c.lines {
				t.Errorf("%d lines", lines.Len())
			}
		})
	}
	var u unread
	for i := range maxUnreadHosts + 5 {
		if got := u.first(fmt.Sprint(i)); got != (i < maxUnreadHosts) {
			t.Fatalf("host %d: %v", i, got)
		}
	}
}

// clientHello is what a TLS client says first.
func clientHello(t *testing.T, name string) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() { _ = tls.Client(a, &tls.Config{ServerName: name}).Handshake() }() // ends with the pipe
	head := make([]byte, 5)
	if _, err := io.ReadFull(b, head); err != nil {
		t.Fatal(err)
	}
	rest := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(b, rest); err != nil {
		t.Fatal(err)
	}
	return bytes.Join([][]byte{head, rest}, nil)
}

// TestUnclearFirstBytes has a client end after too few bytes to tell what it speaks.
func TestUnclearFirstBytes(t *testing.T) {
	r := newRig(t, newDesk(Gated, 0), nil)
	client, server := r.through()
	client.send([]byte("GE"))
	server.silent()
	client.CloseWrite()
	server.expectEnd()
}
