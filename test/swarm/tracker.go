package swarm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"paygate/test/process"
	"paygate/units"
)

// announceInterval is what clients are told to wait before they ask again.
const announceInterval = 30 * time.Second

// Tracker is an HTTP tracker (BEP 3, compact answers of BEP 23 and BEP 7) that answers each client with the peers that were
// chosen for it. Clients are told apart by the announce address that they were given. It is safe for concurrent use.
type Tracker struct {
	listener net.Listener

	mu    sync.Mutex
	peers map[string]map[units.InfoHash][]netip.AddrPort
	seen  map[string]int
	ports map[string]uint16
}

// NewTracker listens on address, host:port.
func NewTracker(address string) (*Tracker, error) {
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return nil, fmt.Errorf("listen for announces: %w", err)
	}
	return &Tracker{
		listener: listener, seen: make(map[string]int), ports: make(map[string]uint16),
		peers: make(map[string]map[units.InfoHash][]netip.AddrPort),
	}, nil
}

// Run answers announces until ctx ends. It returns nil then.
func (t *Tracker) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /announce/{client}", t.announce)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(t.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answer announces: %w", err)
	}
	return nil
}

// URL is the announce address for the client that is to be called so.
func (t *Tracker) URL(client string) string {
	return fmt.Sprintf("http://%s/announce/%s", t.listener.Addr(), client)
}

// Tell makes the tracker answer that client's announces of the torrent with these peers, which replace earlier ones.
func (t *Tracker) Tell(client string, ih units.InfoHash, peers ...netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peers[client] == nil {
		t.peers[client] = make(map[units.InfoHash][]netip.AddrPort)
	}
	t.peers[client][ih] = peers
}

// Announces returns how often that client has announced.
func (t *Tracker) Announces(client string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen[client]
}

// Port returns the port that this client said last that it listens on, 0 if it has not announced itself.
func (t *Tracker) Port(client string) uint16 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ports[client]
}

// Await waits until that client has announced itself. Until then some, though they say that they seed, refuse peers.
func (t *Tracker) Await(ctx context.Context, client string) error {
	err := process.Poll(ctx, 50*time.Millisecond, func() error {
		if t.Announces(client) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait for the announce of %s: %w", client, err)
	}
	return nil
}

func (t *Tracker) announce(w http.ResponseWriter, r *http.Request) {
	var ih units.InfoHash
	if copy(ih[:], r.URL.Query().Get("info_hash")) != len(ih) {
		http.Error(w, "bad info_hash", http.StatusBadRequest)
		return
	}
	port, err := strconv.ParseUint(r.URL.Query().Get("port"), 10, 16)
	if err != nil {
		http.Error(w, "bad port", http.StatusBadRequest)
		return
	}
	compact, compact6, known := t.answer(r.PathValue("client"), ih, uint16(port))
	answer := map[string]any{"interval": int(announceInterval.Seconds()), "min interval": 5, "peers": compact}
	if compact6 != nil {
		answer["peers6"] = compact6 // BEP 7
	}
	if !known {
		answer = map[string]any{"failure reason": "this client was told of no such torrent"}
	}
	encoded, err := bencode.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write(encoded)
}

// answer returns the peers in the compact form: 4 or 16 bytes of address and 2 of port each.
func (t *Tracker) answer(client string, ih units.InfoHash, port uint16) (compact, compact6 []byte, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen[client]++
	t.ports[client] = port
	peers, known := t.peers[client][ih]
	for _, p := range peers {
		into := &compact
		if p.Addr().Is6() {
			into = &compact6
		}
		*into = append(*into, p.Addr().AsSlice()...)
		*into = append(*into, byte(p.Port()>>8), byte(p.Port()))
	}
	return compact, compact6, known
}
