package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
	"golang.org/x/net/proxy"
	"golang.org/x/time/rate"
)

// limiterBurst must be larger than any single read or write on a peer connection.
const limiterBurst = 1 << 20

// maxServing is more than a peer can ask for at once: with less than that, one request that waits for memory can keep
// those that hold memory from ever being served.
const maxServing = 64 << 20

// seat is the client and what drives it.
type seat struct{ client *torrent.Client }

func newSeat(o options) (*seat, error) {
	cfg := torrent.NewDefaultClientConfig()
	cfg.ListenHost = func(network string) string {
		if strings.HasSuffix(network, "6") && o.listen.Addr().Is4() {
			return "::1"
		}
		return o.listen.Addr().String()
	}
	cfg.ListenPort = int(o.listen.Port())
	cfg.Seed = true
	cfg.NoDHT, cfg.DisableUTP, cfg.DisableIPv6, cfg.DisablePEX = true, true, !o.ipv6, true
	cfg.NoDefaultPortForwarding, cfg.DisableWebseeds, cfg.DisableWebtorrent = true, true, true
	cfg.HeaderObfuscationPolicy = torrent.HeaderObfuscationPolicy{}
	cfg.DialForPeerConns = false
	cfg.MaxAllocPeerRequestDataPerConn = maxServing
	if o.upload > 0 {
		cfg.UploadRateLimiter = rate.NewLimiter(rate.Limit(o.upload), limiterBurst)
	}
	if o.download > 0 {
		cfg.DownloadRateLimiter = rate.NewLimiter(rate.Limit(o.download), limiterBurst)
	}
	dialer, err := newDialer(o, o.socks5)
	if err != nil {
		return nil, err
	}
	announces, err := newDialer(o, cmp.Or(o.tracker, o.socks5))
	if err != nil {
		return nil, err
	}
	cfg.TrackerDialContext, cfg.HTTPDialContext = announces.DialContext, announces.DialContext
	client, err := torrent.NewClient(cfg)
	if err != nil {
		return nil, err
	}
	client.AddDialer(torrent.NetworkDialer{Network: "tcp", Dialer: dialer})
	return &seat{client}, nil
}

// newDialer dials from the address that the client listens on, or through a proxy.
func newDialer(o options, socks5 string) (proxy.ContextDialer, error) {
	direct := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(o.listen.Addr(), 0))}
	if socks5 == "" {
		return direct, nil
	}
	d, err := proxy.SOCKS5("tcp", socks5, nil, direct)
	if err != nil {
		return nil, err
	}
	return d.(proxy.ContextDialer), nil
}

func (s *seat) close() { s.client.Close() }

// stuck is how long the client's lock may be held before that is a fault of the library.
const stuck = 10 * time.Second

// watch prints what all goroutines are at, once, if the client does not answer any more.
func (s *seat) watch(ctx context.Context) {
	for {
		answered := make(chan struct{})
		go func() { s.client.Torrents(); close(answered) }()
		select {
		case <-ctx.Done():
			return
		case <-answered:
		case <-time.After(stuck):
			fmt.Fprintln(os.Stderr, "anacrolix: the client's lock is never let go")
			_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 2)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

func (s *seat) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add", s.add)
	mux.HandleFunc("GET /status", s.status)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { s.client.WriteStatus(w) })
	return mux
}

// add answers once the files that are there have been checked.
func (s *seat) add(w http.ResponseWriter, r *http.Request) {
	t, err := s.open(r)
	if err == nil {
		err = t.VerifyDataContext(r.Context())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	t.DownloadAll()
}

func (s *seat) open(r *http.Request) (*torrent.Torrent, error) {
	mi, err := metainfo.Load(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read torrent: %w", err)
	}
	spec, err := torrent.TorrentSpecFromMetaInfoErr(mi)
	if err != nil {
		return nil, fmt.Errorf("read torrent: %w", err)
	}
	spec.Storage = storage.NewFileWithCompletion(r.URL.Query().Get("dir"), storage.NewMapPieceCompletion())
	t, _, err := s.client.AddTorrentSpec(spec)
	return t, err
}

func (s *seat) status(w http.ResponseWriter, r *http.Request) {
	var ih metainfo.Hash
	if err := ih.FromHexString(r.URL.Query().Get("info_hash")); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	t, ok := s.client.Torrent(ih)
	if !ok {
		http.Error(w, "torrent is not there", http.StatusNotFound)
		return
	}
	answer := map[string]int64{"done": t.BytesCompleted(), "total": t.Length(), "peers": int64(t.Stats().ActivePeers)}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}
