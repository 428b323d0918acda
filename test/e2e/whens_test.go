package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/units"
)

// whens are what decides when a buying rule pays at all.
func whens() []proof {
	return []proof{
		{
			name: "action when",
			proves: "Nothing is paid while what comes is not slower than slower_than says, nor, with no_free_seeds, while somebody gives " +
				"all of it away; and it is paid when that is over.",
			run: testWhen,
		},
		{
			name:   "action stop_at",
			proves: "when: rare pays once the client tells of few seeds, and stop_at ends buying when it tells of that ratio.",
			run:    testStopAt,
		},
	}
}

// sent is what the buyer's node has paid.
func sent(ctx context.Context, t *testing.T, p *scenario.Pair) units.Msat {
	t.Helper()
	bill, err := p.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return bill.Sent
}

// pays waits until the buyer has paid more than that.
func pays(ctx context.Context, t *testing.T, p *scenario.Pair, more units.Msat) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := process.Poll(ctx, time.Second/10, func() error {
		bill, err := p.Snapshot(ctx)
		if err == nil && bill.Sent <= more {
			err = fmt.Errorf("%s paid", bill.Sent)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func testWhen(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, 2*actionSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat, Max: 2 * units.Sat}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	slow(ctx, t, p, actionRate)
	free, err := site.Launch(ctx, clients.Anacrolix, "free", scenario.HostGuest, clients.Spec{Upload: units.MiB})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(free.Close)
	if err := site.Seed(ctx, free, "free", site.Torrent); err != nil {
		t.Fatal(err)
	}
	const was = "max_price: 1000 sat per GiB"
	last := was
	when := func(what string) {
		t.Helper()
		is := was + "\n          when: " + what
		edit(t, p.BuyerGate, last, is)
		last = is
		order(ctx, t, p.BuyerGate, `"test" has changed`, "reload")
	}
	when("slower_than 100 KiB/s for 4 s")
	if err := p.Begin(ctx, netip.MustParseAddrPort(free.PeerAddr())); err != nil {
		t.Fatal(err)
	}
	unpaid := func(what string) {
		t.Helper()
		if n := sent(ctx, t, p); n > 0 {
			t.Errorf("%s: %s was paid", what, n)
		}
	}
	if err := p.AwaitBytes(ctx, 5*units.MiB); err != nil {
		t.Fatal(err)
	}
	unpaid("slower_than")
	when("no_free_seeds")
	if err := p.AwaitBytes(ctx, 8*units.MiB); err != nil {
		t.Fatal(err)
	}
	unpaid("no_free_seeds")
	free.Close()
	pays(ctx, t, p, 0)
	when("slower_than 100 KiB/s for 4 s")
	wait(ctx, t, time.Second)
	before := sent(ctx, t, p)
	wait(ctx, t, 3*time.Second)
	if n := sent(ctx, t, p); n != before {
		t.Errorf("slower_than: %s were paid, and then %s", before, n)
	}
	pays(ctx, t, p, before)
	when("always")
	if err := p.AwaitBytes(ctx, site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	agreed(ctx, t, p, 0)
}

// teller answers as Transmission's RPC does, and tells of one torrent what the test likes.
type teller struct {
	infoHash units.InfoHash
	size     units.Bytes

	mu    sync.Mutex
	seeds int
	ratio float64
}

func (f *teller) tell(seeds int, ratio float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seeds, f.ratio = seeds, ratio
}

func (f *teller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	const guard = "X-Transmission-Session-Id"
	if r.Header.Get(guard) == "" {
		w.Header().Set(guard, "told")
		w.WriteHeader(http.StatusConflict)
		return
	}
	var q struct {
		Method string `json:"method"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := map[string]any{}
	switch q.Method {
	case "session-get":
		answer = map[string]any{"version": "3.00 (bb6b5a062ef)", "rpc-version": 16}
	case "torrent-get":
		answer["torrents"] = []map[string]any{{
			"id": 1, "hashString": f.infoHash.String(), "name": "told", "labels": []string{}, "isPrivate": false,
			"metadataPercentComplete": 1, "sizeWhenDone": f.size, "leftUntilDone": f.size / 2, "uploadedEver": 0,
			"downloadedEver": 0, "uploadRatio": f.ratio, "addedDate": 1_700_000_000,
			"trackerStats": []map[string]any{{"announce": "http://tracker.example.org/announce", "seederCount": f.seeds}},
		}}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"arguments": answer, "result": "success"})
}

// testStopAt has a buyer whose paygate is told by another program what its client thinks: a real one's ratio takes long to
// grow.
func testStopAt(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, 2*actionSize)
	terms := scenario.Terms{Price: price(t, "1000 sat per GiB"), Min: units.Sat, Max: 2 * units.Sat}
	p := actors(t, site, newNetwork(t, site, 0), 0, terms)
	slow(ctx, t, p, actionRate)
	told := &teller{infoHash: site.Torrent.InfoHash, size: site.Torrent.Size, seeds: 9}
	server := httptest.NewServer(told)
	t.Cleanup(server.Close)
	edit(t, p.BuyerGate, "data_dir:", "client:\n    api: {url: "+server.URL+"}\ndata_dir:",
		"max_price: 1000 sat per GiB", "max_price: 1000 sat per GiB\n          when: rare\n          stop_at: 2")
	restart(ctx, t, p.BuyerGate)
	if err := p.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	wait(ctx, t, 5*time.Second)
	if n := sent(ctx, t, p); n > 0 {
		t.Errorf("rare: %s was paid with nine seeds", n)
	}
	told.tell(1, 0.5)
	pays(ctx, t, p, 0)
	if err := p.AwaitBytes(ctx, 4*units.MiB); err != nil {
		t.Fatal(err)
	}
	edit(t, p.BuyerGate, "stop_at: 2", "stop_at: 0.5") // rules are asked when they change
	order(ctx, t, p.BuyerGate, `"test" has changed`, "reload")
	wait(ctx, t, time.Second)
	before := sent(ctx, t, p)
	stays(ctx, t, p, 3*time.Second)
	if n := sent(ctx, t, p); n != before {
		t.Errorf("stop_at: %s were paid, and then %s", before, n)
	}
	edit(t, p.BuyerGate, "stop_at: 0.5", "stop_at: 0.6")
	order(ctx, t, p.BuyerGate, `"test" has changed`, "reload")
	pays(ctx, t, p, before)
	if err := p.AwaitBytes(ctx, site.Torrent.Size); err != nil {
		t.Fatal(err)
	}
	agreed(ctx, t, p, 0)
}
