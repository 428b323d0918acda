package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"paygate/units"
)

// Config says where the proxy listens, whom it serves and what strangers may make it hold.
type Config struct {
	Peers            string       // public BitTorrent address, host:port; "" = no inbound
	PublicPort       uint16       // told to the swarm as `p` (BEP 10); 0 = the port of Peers
	SOCKS5           string       // address for the client's outgoing connections, host:port; "" = off
	SOCKS5User       string       // with SOCKS5Password asked for when not empty (RFC 1929)
	SOCKS5Password   units.Secret // see SOCKS5User
	Client           string       // where the client listens for peers, host:port
	Aliases          netip.Prefix // IPv4 loopback range of source addresses towards the client; zero = 127.64.0.0/10
	AliasFile        string       // where the aliases are remembered; "" = not across restarts
	Dial             []Dial       // connections of which paygate opens both legs
	Connections      int          // sessions at once, in all; 0 = 2000
	PerAddress       int          // inbound ones per IPv4 address or IPv6 /64; 0 = 16
	Handshakes       int          // inbound ones that have not ended their handshake; 0 = 512
	HandshakeTimeout time.Duration
	DrainTimeout     time.Duration
}

// Dial names peers to which paygate connects the client without either asking for it.
type Dial struct {
	InfoHash units.InfoHash
	Peers    []string // host:port
}

// Deps are the parts that the proxy works with. The caller owns them.
type Deps struct {
	Desk Desk        // nil: everything is Free
	Log  *zap.Logger // nil: silence
}

// Proxy is a running BitTorrent proxy.
type Proxy struct{}

// New opens the listeners, so that their addresses are known, and reads the alias file. It starts nothing.
func New(cfg Config, deps Deps) (*Proxy, error) { return nil, errors.New("not yet built") }

// PeersAddr is the address of the public listener, nil if there is none.
func (p *Proxy) PeersAddr() net.Addr { return nil }

// SOCKS5Addr is the address of the SOCKS5 listener, nil if there is none.
func (p *Proxy) SOCKS5Addr() net.Addr { return nil }

// Run serves until ctx ends, then stops accepting, lets the sessions end for at most DrainTimeout and closes the
// rest. It returns nil after an orderly end.
func (p *Proxy) Run(ctx context.Context) error { return nil }

// Sessions lists the sessions that are alive, oldest first.
func (p *Proxy) Sessions() []SessionInfo { return nil }

// SessionInfo is a snapshot of one session, for status.
type SessionInfo struct {
	ID        uint64
	Remote    netip.AddrPort
	InfoHash  units.InfoHash
	Initiator bool // our side opened it
	Treatment Treatment
	In, Out   units.Bytes // bytes on the wire from and to the remote
	Valve     string      // "closed", "offered" or "open"; "" if the session has no gate
	Since     time.Time
}
