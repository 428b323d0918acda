package proxy

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"paygate/units"
)

// TestAnnouncesTellTorrents announces in every way that passes here: the torrent is known before the client dials its
// first peer, which it may do encrypted.
func TestAnnouncesTellTorrents(t *testing.T) {
	hash := units.InfoHash([]byte("aaaaaaaaaaaaaaaaaaaa"))
	knows := func(r *rig) {
		t.Helper()
		lists, _ := r.proxy.known.torrents()
		if !slices.Contains(lists[0], hash) {
			t.Errorf("%s is not among the known: %s", hash, lists[0])
		}
	}
	t.Run("in a tunnel", func(t *testing.T) {
		r := newRig(t, newDesk(Free, 0), nil)
		client, server := r.through()
		client.send([]byte(announcing))
		server.expect([]byte(public(announcing)))
		knows(r)
	})
	t.Run("in a tunnel, and nobody knows the public port", func(t *testing.T) {
		r := newRig(t, newDesk(Free, 0), func(c *Config) { c.Peers, c.PublicPort = "", 0 })
		client, server := r.through()
		client.send([]byte(announcing))
		server.expect([]byte(announcing))
		knows(r)
	})
	t.Run("by the HTTP proxy", func(t *testing.T) {
		r := newWebRig(t, newDesk(Free, 0), nil)
		server, client := newRawServer(t), r.web()
		client.send([]byte("GET " + server.url() + "/announce?" + whoAnnounces + "&port=51413 HTTP/1.1\r\nHost: t\r\n\r\n"))
		server.accept().expect([]byte("GET /announce?" + whoAnnounces + "&port=4242 HTTP/1.1\r\nHost: t\r\n\r\n"))
		knows(r)
	})
	t.Run("to a UDP tracker", func(t *testing.T) {
		r := newRig(t, newDesk(Free, 0), nil)
		a, tracker := r.associate(), udpAt(t, "127.0.0.1")
		packet := told(1)
		copy(packet[16:], hash[:])
		a.say(a.sock, headerTo(addressOf(tracker)), packet)
		want := told(4242)
		copy(want[16:], hash[:])
		hears(t, tracker, want)
		knows(r)
	})
}

// TestLeavingIsNoAnnounce has a client leave the swarm: that tells of no torrent that it has.
func TestLeavingIsNoAnnounce(t *testing.T) {
	r := newRig(t, newDesk(Free, 0), nil)
	client, server := r.through()
	leaving := "GET /announce?" + whoAnnounces + "&event=stopped&port=4242 HTTP/1.1\r\n\r\n"
	client.send([]byte(leaving))
	server.expect([]byte(leaving))
	if lists, any := r.proxy.known.torrents(); any {
		t.Errorf("known: %s", lists)
	}
}

// TestOneCallerDoesNotKeepUsBusy has one subscriber call again and again.
func TestOneCallerDoesNotKeepUsBusy(t *testing.T) {
	s := newSecrecy(Encryption{})
	now := time.Unix(1e9, 0)
	calls := func(addr string, n int) (heard int) {
		for range n {
			if s.mayCall(netip.MustParseAddr(addr), now) {
				heard++
			}
		}
		return heard
	}
	for _, c := range []struct {
		addr    string
		n, want int
	}{
		{"203.0.113.7", 1000, callsAtOnce},
		{"203.0.113.8", 10, 10},
		{"2001:db8::1", 30, 30},
		{"2001:db8::2", 30, callsAtOnce - 30},
		{"127.0.0.1", 1000, 1000},
	} {
		if got := calls(c.addr, c.n); got != c.want {
			t.Errorf("%s: %d of %d were heard, want %d", c.addr, got, c.n, c.want)
		}
	}
	now = now.Add(2 * time.Second)
	if got := calls("203.0.113.7", 1000); got != 2*callsPerS {
		t.Errorf("%d were heard after 2 s", got)
	}
}
