package main

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"paygate/admin"
	"paygate/client"
	"paygate/config"
	"paygate/doctor"
	"paygate/proxy"
	"paygate/units"
)

// front is one client, with the proxy in front of it and what is known of its torrents.
type front struct {
	file    *config.Config // of this client alone, as the owner has written it
	log     *zap.Logger
	watcher *client.Watcher // nil: the client cannot be asked
	folder  *client.Folder  // nil: no directory of torrents
	catalog *client.Catalog // nil: nothing tells the client's torrents
	stand   atomic.Pointer[stand]
	ahead   atomic.Int64 // bytes that the client has uploaded past paygate, as far as that can be told
	open    func(*stand) (*proxy.Proxy, error)
}

// stand is a front that stands: where it does so may have been found out.
type stand struct {
	cfg   *config.Config // of this client alone, with what was found out
	proxy *proxy.Proxy
}

// openFronts makes a front for each client, with the proxies of those of which nothing has to be found out. On an error
// the caller closes what stands already.
func (s *sidecar) openFronts() error {
	common := proxy.NewCommon(proxyConfig(s.cfg, s.dir))
	for _, f := range s.fronts {
		f.open = func(at *stand) (*proxy.Proxy, error) {
			deps := proxy.Deps{Desk: s.desk, Log: f.log, Common: common}
			if f.catalog != nil {
				deps.Catalog = f.catalog
			}
			return proxy.New(proxyConfig(at.cfg, s.dir), deps)
		}
		if doctor.LeftOut(f.file) {
			continue
		}
		if err := f.raise(&stand{cfg: f.file}); err != nil {
			return err
		}
	}
	return nil
}

// raise opens the proxy.
func (f *front) raise(at *stand) (err error) {
	if at.proxy, err = f.open(at); err != nil {
		return f.named(err)
	}
	f.stand.Store(at)
	return nil
}

// newFront makes a front with what is known of the client. It opens nothing.
func newFront(cfg *config.Config, log *zap.Logger) (*front, error) {
	f := &front{file: cfg, log: log}
	if name := cfg.Client.Name; name != "" {
		f.log = log.With(zap.String("client", name))
	}
	var views []client.View
	if api := cfg.Client.API; cfg.Client.Asked() {
		var err error
		f.watcher, err = client.New(client.Config{URL: api.URL, User: api.User, Password: api.Password}, client.Deps{Log: f.log})
		if err != nil {
			return nil, f.named(err)
		}
		views = append(views, f.watcher)
	}
	if cfg.Client.Torrents != "" {
		f.folder = client.NewFolder(cfg.Client.Torrents, client.Deps{Log: f.log})
		views = append(views, f.folder)
	}
	if len(cfg.Client.InfoHashes) > 0 {
		views = append(views, client.NewStatic(cfg.Client.InfoHashes))
	}
	if len(views) > 0 {
		f.catalog = client.NewCatalog(views...)
	}
	return f, nil
}

// newFronts makes a front for each client.
func (s *sidecar) newFronts() error {
	var all []client.View
	for _, cfg := range s.cfg.PerClient() {
		f, err := newFront(cfg, s.log)
		if err != nil {
			return err
		}
		s.fronts = append(s.fronts, f)
		if f.catalog != nil {
			all = append(all, f.catalog)
		}
	}
	s.catalog = client.NewCatalog(all...)
	return nil
}

// named says which of several clients an error is about.
func (f *front) named(err error) error {
	if err == nil || f.file.Client.Name == "" {
		return err
	}
	return &clientError{f.file.Client.Name, err}
}

type clientError struct {
	name string
	err  error
}

func (e *clientError) Error() string { return "client " + e.name + ": " + e.err.Error() }

func (e *clientError) Unwrap() error { return e.err }

// tell says on the log that the front stands.
func (f *front) tell(at *stand) {
	p := at.proxy
	f.log.Info("paygate stands in front of the client", zap.Stringer("peers", address{p.PeersAddr()}), zap.Strings("peers_too", at.cfg.Listen.PeersToo),
		zap.Stringer("socks5", address{p.SOCKS5Addr()}), zap.Stringer("http", address{p.HTTPAddr()}), zap.Stringer("redirect", address{p.RedirectAddr()}),
		zap.Stringer("tproxy", address{p.TProxyAddr()}), zap.String("address", at.cfg.Client.Address))
}

// run watches the client and runs the proxy in front of it, once it is known where, until ctx ends.
func (f *front) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	if f.watcher != nil {
		wg.Go(func() { _ = f.watcher.Run(ctx) }) // it returns nil
	}
	if f.folder != nil {
		wg.Go(func() { _ = f.folder.Run(ctx) }) // likewise
	}
	at := f.stand.Load()
	if at == nil {
		found := f.find(ctx)
		if found == nil {
			return nil
		}
		if err := f.raise(found); err != nil {
			return err
		}
		at = found
	}
	f.tell(at)
	if f.watcher != nil {
		wg.Go(func() { f.compare(ctx, at) })
	}
	return f.named(at.proxy.Run(ctx))
}

// sessions lists the live sessions.
func (f *front) sessions() []proxy.SessionInfo {
	if at := f.stand.Load(); at != nil {
		return at.proxy.Sessions()
	}
	return nil
}

// review looks at every session again; see proxy.Review.
func (f *front) review() int {
	if at := f.stand.Load(); at != nil {
		return at.proxy.Review()
	}
	return 0
}

// status is what the front says of itself and of the client.
func (f *front) status() admin.Client {
	st := admin.Client{Name: f.file.Client.Name, Address: f.file.Client.Address}
	if at := f.stand.Load(); at != nil {
		st.Address = at.cfg.Client.Address
		st.Peers, st.SOCKS5 = listening(at.proxy.PeersAddr()), listening(at.proxy.SOCKS5Addr())
		st.HTTP = listening(at.proxy.HTTPAddr())
		st.Redirect, st.TProxy = listening(at.proxy.RedirectAddr()), listening(at.proxy.TProxyAddr())
	}
	if f.catalog != nil {
		st.InfoHashes = len(f.catalog.InfoHashes())
	}
	if f.watcher == nil {
		return st
	}
	if s, ok := f.watcher.Settings(); ok {
		st.Kind, st.Version = string(s.Kind), s.Version
	}
	st.Past = units.Bytes(f.ahead.Load())
	st.State = "answers"
	if p := f.watcher.Problem(); p != nil {
		st.State, st.Remedy = string(p.Trouble), p.Remedy
	} else if st.Kind == "" {
		st.State = "not asked yet"
	}
	return st
}

func listening(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// aliasFile is the name of the file in data_dir that holds the client's loopback addresses.
func aliasFile(cfg *config.Config) string {
	if cfg.Client.Name == "" {
		return "aliases.json"
	}
	return "aliases-" + cfg.Client.Name + ".json"
}
