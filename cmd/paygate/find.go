package main

import (
	"context"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"paygate/doctor"
)

// findAgain is how often a client whose settings do not do is looked at again.
const findAgain = 5 * time.Second

// find waits for the client and works out from its settings where to stand. While they do not do it says so, once for
// each reason, and looks again. It returns nil if ctx ends first.
func (f *front) find(ctx context.Context) *stand {
	select {
	case <-f.watcher.Ready():
	default:
		f.log.Info("waits for the client, to ask where it listens", zap.String("url", f.file.Client.API.URL))
	}
	select {
	case <-ctx.Done():
		return nil
	case <-f.watcher.Ready():
	}
	told := ""
	for {
		s, _ := f.watcher.Settings()
		own, err := doctor.ThisMachine().Addresses()
		if err != nil {
			f.log.Warn("this machine's addresses cannot be told", zap.Error(err))
		}
		place, why := doctor.Locate(f.file, s, own)
		if why == nil {
			return f.found(place)
		}
		if told != why.Text {
			f.log.Warn("paygate cannot stand in front of the client yet", zap.String("kind", string(s.Kind)), zap.String("version", s.Version),
				zap.Uint16("port", s.ListenPort), zap.String("why", why.Text), zap.String("remedy", why.Remedy))
			told = why.Text
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(findAgain):
		}
	}
}

// found says what was found.
func (f *front) found(p doctor.Place) *stand {
	cfg := *f.file
	cfg.Client.Address, cfg.Listen.Peers, cfg.Listen.PeersToo, cfg.Listen.SOCKS5 = p.Client, p.Peers, p.PeersToo, p.SOCKS5
	s, _ := f.watcher.Settings()
	f.log.Info("found the client", zap.String("kind", string(s.Kind)), zap.String("version", s.Version), zap.Uint16("port", s.ListenPort),
		zap.String("client.address", p.Client), zap.String("listen.peers", p.Peers), zap.Strings("listen.peers_too", p.PeersToo),
		zap.String("listen.socks5", p.SOCKS5), zap.String("how", p.How))
	for _, a := range append([]string{p.Peers}, p.PeersToo...) {
		if ap, err := netip.ParseAddrPort(a); err == nil && ap.Addr().IsPrivate() {
			f.log.Info("the router must pass the port on for the world to reach it", zap.String("address", a))
			break
		}
	}
	return &stand{cfg: &cfg}
}
