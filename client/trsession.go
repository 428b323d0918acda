package client

import (
	"context"
	"encoding/json"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// trPreferences is the part of session-get that matters here; nil: not told by this version.
type trPreferences struct {
	Version    string `json:"version"`
	Port       number `json:"peer-port"`
	RandomPort bool   `json:"peer-port-random-on-start"`
	UTP        bool   `json:"utp-enabled"`
	TCP        *bool  `json:"tcp-enabled"`
	DHT        bool   `json:"dht-enabled"`
	PEX        bool   `json:"pex-enabled"`
	LPD        bool   `json:"lpd-enabled"`
	Forwarding bool   `json:"port-forwarding-enabled"`
	Encryption string `json:"encryption"`
	Peers      number `json:"peer-limit-global"`
	PeersEach  number `json:"peer-limit-per-torrent"`
	Blocklist  bool   `json:"blocklist-enabled"`
	Config     string `json:"config-dir"`
}

func (p *trPreferences) settings() Settings {
	s := Settings{
		Kind: Transmission, ListenPort: p.Port.port(), RandomPort: p.RandomPort,
		TCP: p.TCP == nil || *p.TCP, UTP: p.UTP, DHT: p.DHT, PEX: p.PEX, LSD: p.LPD, PortForwarding: p.Forwarding,
		MaxPeers: p.Peers.limit(), MaxPeersPerTorrent: p.PeersEach.limit(), IPFilter: p.Blocklist,
	}
	s.Version, _, _ = strings.Cut(clip(p.Version, 64), " ")
	switch p.Encryption {
	case "required":
		s.Encryption = EncryptionRequire
	case "preferred":
		s.Encryption = EncryptionPrefer
	default:
		s.Encryption = EncryptionAllow
	}
	return s
}

func (q *transmission) readSettings(ctx context.Context, b *book) error {
	var p trPreferences
	if err := q.call(ctx, "session-get", nil, func(d *json.Decoder) error { return d.Decode(&p) }); err != nil {
		return err
	}
	b.settings = p.settings()
	if q.here() {
		readTrFile(p.Config, &b.settings)
	}
	return nil
}

// here reports whether the client runs on this machine, as far as its address tells.
func (q *transmission) here() bool {
	u, err := url.Parse(q.web.base)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// maxSettings bounds Transmission's settings.json, which has 3 KiB.
const maxSettings = 256 << 10

// readTrFile adds what the RPC does not tell, from settings.json, if it can be read. Transmission reads that file when
// it starts, so what stands there is what it does, unless somebody has edited it since.
func readTrFile(dir string, s *Settings) {
	if !filepath.IsAbs(dir) {
		return
	}
	path := filepath.Join(dir, "settings.json")
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	var p struct {
		Bind4 *string `json:"bind-address-ipv4"`
		Slots *number `json:"upload-slots-per-torrent"`
	}
	if json.NewDecoder(io.LimitReader(f, maxSettings)).Decode(&p) != nil {
		return
	}
	if p.Bind4 != nil {
		s.BindKnown, s.BindAddress = true, bound(*p.Bind4)
	}
	if p.Slots != nil {
		s.SlotsKnown, s.SlotsPerTorrent = true, p.Slots.limit()
	}
}
