package main

import (
	"context"
	"net"

	"go.uber.org/zap"

	"paygate/admin"
	"paygate/client"
	"paygate/config"
	"paygate/proxy"
)

// front is one client, with the proxy in front of it.
type front struct {
	cfg   *config.Config // of this client alone
	log   *zap.Logger
	proxy *proxy.Proxy
}

// openFronts makes a front for each client. On an error the caller closes what stands already.
func (s *sidecar) openFronts() error {
	common := proxy.NewCommon(proxyConfig(s.cfg, s.dir))
	for _, cfg := range s.cfg.PerClient() {
		f := &front{cfg: cfg, log: s.log}
		if name := cfg.Client.Name; name != "" {
			f.log = s.log.With(zap.String("client", name))
		}
		var err error
		if f.proxy, err = proxy.New(proxyConfig(cfg, s.dir), proxy.Deps{
			Desk: s.desk, Catalog: client.NewCatalog(client.NewStatic(cfg.Client.InfoHashes)), Log: f.log, Common: common,
		}); err != nil {
			return f.named(err)
		}
		s.fronts = append(s.fronts, f)
	}
	return nil
}

// named says which of several clients an error is about.
func (f *front) named(err error) error {
	if err == nil || f.cfg.Client.Name == "" {
		return err
	}
	return &clientError{f.cfg.Client.Name, err}
}

type clientError struct {
	name string
	err  error
}

func (e *clientError) Error() string { return "client " + e.name + ": " + e.err.Error() }

func (e *clientError) Unwrap() error { return e.err }

// tell says on the log that the front stands.
func (f *front) tell() {
	f.log.Info("paygate stands in front of the client", zap.Stringer("peers", address{f.proxy.PeersAddr()}),
		zap.Stringer("socks5", address{f.proxy.SOCKS5Addr()}), zap.Stringer("http", address{f.proxy.HTTPAddr()}), zap.Stringer("redirect", address{f.proxy.RedirectAddr()}),
		zap.Stringer("tproxy", address{f.proxy.TProxyAddr()}), zap.String("address", f.cfg.Client.Address))
}

func (f *front) run(ctx context.Context) error {
	f.tell()
	return f.named(f.proxy.Run(ctx))
}

// status is what the front says of itself and of the client.
func (f *front) status() admin.Client {
	return admin.Client{
		Name: f.cfg.Client.Name, Address: f.cfg.Client.Address,
		Peers: listening(f.proxy.PeersAddr()), SOCKS5: listening(f.proxy.SOCKS5Addr()),
		Redirect: listening(f.proxy.RedirectAddr()), TProxy: listening(f.proxy.TProxyAddr()),
	}
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
