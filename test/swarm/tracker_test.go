package swarm

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"testing"

	"go.uber.org/goleak"

	"paygate/units"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTrackerTellsEachClientItsPeers(t *testing.T) {
	tracker, err := NewTracker("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tracker.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	var ih units.InfoHash
	copy(ih[:], "01234567890123456789")
	tracker.Tell("buyer", ih, netip.MustParseAddrPort("127.1.2.3:258"))
	tracker.Tell("seller", ih)

	for _, c := range []struct{ client, want string }{
		{"buyer", "d8:intervali30e12:min intervali5e5:peers6:\x7f\x01\x02\x03\x01\x02e"},
		{"seller", "d8:intervali30e12:min intervali5e5:peers0:e"},
		{"stranger", "d14:failure reason39:this client was told of no such torrente"},
	} {
		if got := announce(t, tracker.URL(c.client), ih); got != c.want {
			t.Errorf("%s was told %q, want %q", c.client, got, c.want)
		}
		if got := tracker.Announces(c.client); got != 1 {
			t.Errorf("%s is counted with %d announces, want 1", c.client, got)
		}
		if got := tracker.Port(c.client); got != 4242 {
			t.Errorf("%s is known at port %d", c.client, got)
		}
	}
}

func announce(t *testing.T, address string, ih units.InfoHash) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(address + "?info_hash=" + url.QueryEscape(string(ih[:])) + "&port=4242")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
