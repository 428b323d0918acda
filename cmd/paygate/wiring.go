package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"paygate/admin"
	"paygate/client"
	"paygate/config"
	"paygate/country"
	"paygate/ledger"
	"paygate/lnclient"
	"paygate/pay"
	"paygate/proxy"
)

// sidecar is a whole paygate, plugged together. Whoever builds it closes it after Run.
type sidecar struct {
	cfg     *config.Config // that it began with
	file    string         // which it was read from
	log     *zap.Logger
	dir     *dataDir
	books   *ledger.Ledger
	node    *lnclient.Client // nil: no Lightning
	desk    *pay.Desk
	fronts  []*front        // one for each client
	catalog *client.Catalog // what is known of the torrents of all clients
	admin   *admin.Server
	started time.Time

	live      atomic.Pointer[config.Config] // see current
	reloading sync.Mutex
}

// newSidecar opens everything that can fail for a reason the owner should hear of at once.
func newSidecar(ctx context.Context, cfg *config.Config, file string, dir *dataDir, log *zap.Logger) (s *sidecar, err error) {
	s = &sidecar{cfg: cfg, file: file, log: log, dir: dir, started: time.Now()}
	s.live.Store(cfg)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.books, err = ledger.Open(ctx, dir.file(ledgerFile), ledger.Options{}); err != nil {
		return s, err
	}
	if err = s.newFronts(); err != nil {
		return s, err
	}
	if err = s.openDesk(); err != nil {
		return s, err
	}
	if err = s.desk.RecallBlocks(ctx); err != nil {
		return s, err
	}
	if err = s.openFronts(); err != nil {
		return s, err
	}
	s.admin, err = admin.New(admin.Config{Socket: dir.file(admin.SocketName)}, s, s)
	return s, err
}

func (s *sidecar) openDesk() error {
	keys, err := pay.LoadKeys(s.dir.file("identity.key"))
	if err != nil {
		return err
	}
	ln := s.cfg.Lightning
	deps := pay.Deps{Ledger: s.books, Keys: keys, Torrents: s.catalog, Log: s.log}
	if s.cfg.GeoIP != "" {
		countries, err := country.Open(s.cfg.GeoIP)
		if err != nil {
			return err
		}
		deps.Country = countries.Of
	}
	if ln.Enabled() {
		if s.node, err = newNode(ln); err != nil {
			return err
		}
		deps.Rail = lndRail{client: s.node, cfg: ln}
	}
	s.desk, err = pay.New(pay.Config{
		Network: ln.Network, InvoiceTTL: ln.InvoiceTTL, Sell: s.cfg.Sell, Buy: s.cfg.Buy, Observe: s.cfg.Observe,
		UnpaidSlots: s.cfg.Limits.UnpaidSlots, UnpaidPeers: s.cfg.Limits.UnpaidPeers,
	}, deps)
	return err
}

// proxyConfig is for one client: see config.PerClient.
func proxyConfig(cfg *config.Config, dir *dataDir) proxy.Config {
	dial := make([]proxy.Dial, 0, len(cfg.Client.Dial))
	for _, d := range cfg.Client.Dial {
		dial = append(dial, proxy.Dial{InfoHash: d.InfoHash, Peers: d.Peers})
	}
	return proxy.Config{
		Peers: cfg.Listen.Peers, PeersToo: cfg.Listen.PeersToo, PublicPort: cfg.Listen.PublicPort,
		SOCKS5: cfg.Listen.SOCKS5, SOCKS5User: cfg.Listen.SOCKS5User, SOCKS5Password: cfg.Listen.SOCKS5Password,
		DialTrackers: cfg.Client.DialTrackers, DialAtMost: cfg.Client.DialAtMost, DialPerTorrent: cfg.Client.DialPerTorrent,
		HTTP: cfg.Listen.HTTP, Redirect: cfg.Listen.Redirect, TProxy: cfg.Listen.TProxy, ClientIPv6: cfg.Client.IPv6, FromPeer: cfg.Client.Source == "peer",
		Client: cfg.Client.Address, Aliases: cfg.Client.Aliases, AliasFile: dir.file(aliasFile(cfg)), Dial: dial,
		Connections: cfg.Limits.Connections, PerAddress: cfg.Limits.PerAddress, Handshakes: cfg.Limits.Handshakes,
		Encryption: proxy.Encryption{
			Remote: proxy.EncryptionMode(cfg.Encryption.Peers), Client: proxy.EncryptionMode(cfg.Encryption.Client),
		},
		FreePEX:          freePEX[cfg.Client.PEX],
		HandshakeTimeout: cfg.Limits.HandshakeTimeout, DrainTimeout: cfg.Limits.DrainTimeout,
	}
}

// freePEX is how many free sessions at once may tell of other peers.
var freePEX = map[string]int{"auto": 0, "translate": math.MaxInt, "off": -1}

// Run works until ctx ends or a part fails. The proxies end first: the desk stays up until the last session has said
// what it served, and until each payment under way is written down.
func (s *sidecar) Run(ctx context.Context) error {
	deskCtx, stopDesk := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDesk()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var rest, fronts sync.WaitGroup
	var failed failures
	part := func(ctx context.Context, wg *sync.WaitGroup, name string, run func(context.Context) error) {
		wg.Go(func() {
			defer stop()
			failed.add(name, run(ctx))
		})
	}
	part(deskCtx, &rest, "desk", s.desk.Run)
	part(ctx, &rest, "status", s.admin.Run)
	rest.Go(func() { s.watch(ctx) })
	rest.Go(func() { s.obeyHangups(ctx) })
	rest.Go(func() { s.compact(ctx) })
	for _, f := range s.fronts {
		part(ctx, &fronts, "", f.run)
	}
	fronts.Wait()
	stop()
	stopDesk()
	rest.Wait()
	return failed.all()
}

// failures gathers what the parts end with.
type failures struct {
	mu   sync.Mutex
	errs []error
}

// add takes an error of a part, which may have no name. Nil is none.
func (f *failures) add(name string, err error) {
	if err == nil {
		return
	}
	if name != "" {
		err = fmt.Errorf("%s: %w", name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errs = append(f.errs, err)
}

func (f *failures) all() error { return errors.Join(f.errs...) }

// Close releases what newSidecar opened. The data directory is the caller's.
func (s *sidecar) Close() error {
	var err error
	if s.node != nil {
		err = s.node.Close()
	}
	if s.books != nil {
		err = errors.Join(err, s.books.Close())
	}
	return err
}
