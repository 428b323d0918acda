package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"paygate/client"
	"paygate/config"
	"paygate/proxy/wire"
	"paygate/units"
)

// listen opens a listener on a loopback address until the test ends.
func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	must(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return l
}

// freeAddress is one that nothing listens on.
func freeAddress(t *testing.T, host string) string {
	t.Helper()
	l := listen(t, host+":0")
	must(t, l.Close())
	return l.Addr().String()
}

func TestPort(t *testing.T) {
	free, taken := freeAddress(t, "127.0.0.1"), listen(t, "127.0.0.1:0").Addr().String()
	for _, tt := range []struct {
		name, address string
		running       *Running
		v             Verdict
		text          string
	}{
		{"free", free, nil, Pass, free + " is free for paygate to take"},
		{"another program's", taken, nil, Fail, "another program listens on " + taken},
		{"ours", taken, &Running{SOCKS5: taken}, Pass, taken + " is held by the paygate that runs"},
		{"another program's, while ours is elsewhere", taken, &Running{SOCKS5: free}, Fail, "another program listens on " + taken},
		{"free, while ours is elsewhere", free, &Running{SOCKS5: taken}, Warn, "paygate runs, but does not listen on " + free},
		{"not of this machine", "192.0.2.1:6881", nil, Fail, "192.0.2.1:6881 is not an address of this machine"},
	} {
		is(t, tt.name, socksPort(t.Context(), tt.address, tt.running), tt.v, tt.text)
	}
	if f := socksPort(t.Context(), "no.such.host.invalid:1", nil); f.Verdict != Fail || f.Remedy == "" {
		t.Errorf("%+v", f)
	}
}

func TestPublicPort(t *testing.T) {
	taken := listen(t, "127.0.0.1:0").Addr().String()
	free := freeAddress(t, "127.0.0.1")
	is(t, "held", publicPort(t.Context(), taken, &Running{Peers: taken}), Warn, taken+" is held by the paygate that runs, but only this machine can connect to it")
	is(t, "free", publicPort(t.Context(), free, nil), Warn, free+" is free for paygate to take, but only this machine can connect to it")
	is(t, "taken", publicPort(t.Context(), taken, nil), Fail, "another program listens on "+taken)
}

func TestSameAddress(t *testing.T) {
	for _, tt := range []struct {
		held, configured string
		want             bool
	}{
		{"127.0.0.1:6881", "127.0.0.1:6881", true},
		{"127.0.0.1:6881", "localhost:6881", true},
		{"[::]:6881", ":6881", true},
		{"0.0.0.0:6881", "0.0.0.0:6881", true},
		{"[::]:6881", "0.0.0.0:6881", true},
		{"127.0.0.1:6881", "127.0.0.1:6882", false},
		{"127.0.0.2:6881", "127.0.0.1:6881", false},
		{"127.0.0.2:6881", "0.0.0.0:6881", false},
		{"", "127.0.0.1:6881", false},
		{"127.0.0.1:6881", "nonsense", false},
	} {
		if got := sameAddress(tt.held, tt.configured); got != tt.want {
			t.Errorf("%q and %q: %t", tt.held, tt.configured, got)
		}
	}
}

func TestSourceIsTheLastButOneOfTheRange(t *testing.T) {
	for prefix, want := range map[string]string{"127.64.0.0/10": "127.127.255.254", "127.9.8.0/24": "127.9.8.254", "127.0.0.0/8": "127.255.255.254"} {
		if got := source(netip.MustParsePrefix(prefix)); got.String() != want {
			t.Errorf("%s: %s, want %s", prefix, got, want)
		}
	}
	if source(netip.Prefix{}).IsValid() {
		t.Error("an address out of nothing")
	}
}

// answering is a client that gives one answer to every handshake, and tells from where it was asked.
func answering(t *testing.T, answer string, shut bool) (address string, asked <-chan net.Addr) {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	from := make(chan net.Addr, 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serveOne(conn, from, answer, shut) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String(), from
}

func serveOne(conn net.Conn, from chan<- net.Addr, answer string, shut bool) {
	defer conn.Close()
	hello := make([]byte, wire.HandshakeLen)
	if _, err := io.ReadFull(conn, hello); err != nil {
		return
	}
	from <- conn.RemoteAddr()
	_, _ = io.WriteString(conn, answer)
	if !shut {
		_, _ = io.Copy(io.Discard, conn)
	}
}

func TestClient(t *testing.T) {
	ih := units.InfoHash{1, 2, 3}
	head := wire.NewHead(ih)
	handshake := string(head[:]) + "-XX0000-123456789012"
	aliases := netip.MustParsePrefix("127.200.0.0/16")
	known := &config.Config{Sell: config.Sell{Rules: []config.SellRule{{Any: true}, {InfoHash: []units.InfoHash{ih}}}}}
	dialled := &config.Config{Client: config.Client{Dial: []config.Dial{{InfoHash: ih}}}}
	for _, tt := range []struct {
		name, answer string
		c            *config.Config
		v            Verdict
		text         string
	}{
		{"that answers", handshake, known, Pass, "ADDRESS answers a BitTorrent handshake"},
		{"that answers for a torrent that is dialled", handshake, dialled, Pass, "ADDRESS answers a BitTorrent handshake"},
		{"that answers with the first half", handshake[:wire.HeadLen], known, Pass, "ADDRESS answers a BitTorrent handshake"},
		{"that closes what it does not know", "", &config.Config{}, Pass, "ADDRESS takes connections"},
		{"that does not have the torrent", "", known, Warn, "ADDRESS takes connections, but does not answer for 0102030000000000000000000000000000000000"},
		{"that stops in mid-handshake", handshake[:10], known, Warn, "ADDRESS takes connections, but does not answer for 0102030000000000000000000000000000000000"},
		{"that is a web server", "HTTP/1.1 400 Bad Request\r\n\r\n", known, Fail, "what listens on ADDRESS does not speak BitTorrent"},
		{"that is a web server, and no torrent is known", "HTTP/1.1 400 Bad Request\r\n\r\n", &config.Config{}, Fail, "what listens on ADDRESS does not speak BitTorrent"},
	} {
		address, asked := answering(t, tt.answer, true)
		c := *tt.c
		c.Client.Address, c.Client.Aliases = address, aliases
		f := reach(t.Context(), &c)
		is(t, tt.name, f, tt.v, replaceAddress(tt.text, address))
		if from := <-asked; from.(*net.TCPAddr).IP.String() != "127.200.255.254" {
			t.Errorf("%s: asked from %s", tt.name, from)
		}
	}
}

func replaceAddress(text, address string) string { return strings.ReplaceAll(text, "ADDRESS", address) }

func TestClientThatIsNotThere(t *testing.T) {
	address := freeAddress(t, "127.0.0.1")
	c := &config.Config{Client: config.Client{Address: address}}
	is(t, "refused", reach(t.Context(), c), Fail, "nothing listens on "+address)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f := reach(ctx, c); f.Verdict != Fail || f.Remedy == "" {
		t.Errorf("%+v", f)
	}
	is(t, "silent", judgeClient("h:1", units.InfoHash{}, false, nil, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}), Fail, "h:1 does not answer")
	is(t, "other", judgeClient("h:1", units.InfoHash{}, false, nil, errTest), Fail, "cannot connect to h:1: no such thing")
	is(t, "other network error", judgeClient("h:1", units.InfoHash{}, false, nil, &net.OpError{Op: "dial", Err: errTest}), Fail, "cannot connect to h:1: no such thing")
}

// TestClientThatSaysNothing: one that waits for more is there, and doctor does not wait with it for ever.
func TestClientThatSaysNothing(t *testing.T) {
	address, asked := answering(t, "", false)
	c := &config.Config{Client: config.Client{Address: address}}
	ctx, giveUp := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); <-asked; giveUp() }()
	is(t, "silent", reach(ctx, c), Pass, address+" takes connections")
	<-done
}

func TestBypass(t *testing.T) {
	open := listen(t, "127.0.0.2:0")
	port := open.Addr().(*net.TCPAddr).Port
	at := func(host string) string { return fmt.Sprintf("%s:%d", host, port) }
	own := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("fe80::1"), netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("127.0.0.2")}
	c := &config.Config{Client: config.Client{Address: at("127.0.0.1")}}
	is(t, "open", bypass(t.Context(), c, client.Settings{}, own, &Running{}), Warn, "something takes connections on "+at("127.0.0.2")+" too: if it is the client, peers can walk around paygate")
	is(t, "closed", bypass(t.Context(), c, client.Settings{}, own[:3], &Running{}), Pass, "the client is not reached at this machine's other addresses (1)")
	for _, peers := range []string{at("127.0.0.2"), at("0.0.0.0"), fmt.Sprintf(":%d", port)} {
		c.Listen.Peers = peers
		if f := bypass(t.Context(), c, client.Settings{}, own, &Running{}); f.Verdict != Pass {
			t.Errorf("paygate's own listener on %s: %+v", peers, f)
		}
	}
	c.Client.Address = "no.such.host.invalid:1"
	if f := bypass(t.Context(), c, client.Settings{}, own, &Running{}); f.Verdict != Skip {
		t.Errorf("%+v", f)
	}
}
