package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"paygate/units"
)

// Config says where the proxy listens, whom it serves and what strangers may make it hold.
type Config struct {
	Peers            string        // public BitTorrent address, host:port; "" = no inbound
	PeersToo         []string      // further public addresses, beside Peers
	PublicPort       uint16        // told to the swarm as `p` (BEP 10); 0 = the port of Peers
	SOCKS5           string        // address for the client's outgoing connections, host:port; "" = off
	HTTP             string        // HTTP proxy for the client's trackers, and for peers by CONNECT, host:port; "" = off
	SOCKS5User       string        // with SOCKS5Password asked for when not empty (RFC 1929, and Basic for HTTP)
	SOCKS5Password   units.Secret  // see SOCKS5User
	Redirect         string        // address for the client's outgoing connections that netfilter redirects, host:port; "" = off
	TProxy           string        // address for connections that TPROXY rules bring, both ways, host:port; "" = off
	Client           string        // where the client listens for peers, host:port; needed for Peers, TProxy and Dial
	ClientIPv6       string        // its IPv6 address beside an IPv4 one in Client, used with FromPeer; "" = none
	FromPeer         bool          // connect to the client from the remote's own address; takes CAP_NET_ADMIN
	Aliases          netip.Prefix  // IPv4 loopback range of source addresses towards the client; zero = 127.64.0.0/10
	FreePEX          int           // Free sessions at once in which a client behind aliases may tell of other peers; 0 = 4, less: none
	AliasFile        string        // where the aliases are remembered; "" = not across restarts
	Encryption       Encryption    // what is done about MSE on either side
	Dial             []Dial        // connections of which paygate opens both legs
	DialTrackers     bool          // dial, instead of the client, the peers in answers of trackers that pass through HTTP
	DialAtMost       int           // such connections at once; 0 = 200
	DialPerTorrent   int           // and of one torrent; 0 = 50
	Connections      int           // connections at once, in all; 0 = 2000
	PerAddress       int           // inbound ones per IPv4 address or IPv6 /64; 0 = 16
	Handshakes       int           // inbound ones that have not ended their handshake; 0 = 512
	HandshakeTimeout time.Duration // also for dialling and for SOCKS5; 0 = 10 s
	DrainTimeout     time.Duration // how long Run waits for sessions once its context has ended; 0 = 10 s
	Silence          time.Duration // how long a connection of the client may wait for the first word of either side; 0 = 2 min
	Associations     int           // SOCKS5 UDP relays at once; 0 = 64
	AssociationIdle  time.Duration // how long one of them may pass nothing; 0 = 1 h
	TunnelIdle       time.Duration // how long one that is not BitTorrent may be silent on both sides; 0 = 15 min
}

// Dial names peers to which paygate connects the client without either asking for it.
type Dial struct {
	InfoHash units.InfoHash
	Peers    []string // host:port
}

// Deps are the parts that the proxy works with. The caller owns them.
type Deps struct {
	Desk    Desk        // nil: everything is Free
	Catalog Catalog     // nil: no torrent is known beforehand
	Log     *zap.Logger // nil: silence
	Common  *Common     // with other proxies of this process; nil: there is none
}

// Proxy is a running BitTorrent proxy.
type Proxy struct {
	id      uint64
	cfg     Config
	desk    Desk
	log     *zap.Logger
	peers   *net.TCPListener
	also    []*net.TCPListener // of PeersToo
	socks   *net.TCPListener
	web     *net.TCPListener
	redir   *net.TCPListener
	tproxy  *net.TCPListener
	mark    func(string, string, syscall.RawConn) error // marks a socket to be dialled with; nil: nothing to do
	own     ownDials
	client  *net.TCPAddr
	client6 *net.TCPAddr // nil: none beside client
	aliases *aliases     // nil: the client is not on IPv4 loopback, and sees paygate's own address
	common  *Common
	limits  *limits // common's
	buffers *buffers
	parker  *parker // since Run
	endings *endings
	known   *known
	secrecy *secrecy
	quiet   *rate.Limiter // of lines about refused connections
	hushed  atomic.Int64  // lines not written
	tunnels tunnels
	gossipy atomic.Int64 // Free sessions whose gossip is translated
	outlets
	wg sync.WaitGroup

	mu       sync.Mutex
	sessions map[uint64]*Session
	sent     units.Bytes // to remotes, by sessions that have ended
	closing  bool        // sessions that begin now end at once
}

func (c *Config) defaults() {
	if c.Aliases == (netip.Prefix{}) {
		c.Aliases = netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 64}), 10)
	}
	c.FreePEX = cmp.Or(c.FreePEX, 4)
	c.Connections = cmp.Or(c.Connections, 2000)
	c.PerAddress = cmp.Or(c.PerAddress, 16)
	c.Handshakes = cmp.Or(c.Handshakes, 512)
	c.HandshakeTimeout = cmp.Or(c.HandshakeTimeout, 10*time.Second)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 10*time.Second)
	c.DialAtMost = cmp.Or(c.DialAtMost, 200)
	c.DialPerTorrent = cmp.Or(c.DialPerTorrent, 50)
	c.Silence = cmp.Or(c.Silence, 2*time.Minute)
	c.Associations = cmp.Or(c.Associations, 64)
	c.AssociationIdle = cmp.Or(c.AssociationIdle, time.Hour)
	c.TunnelIdle = cmp.Or(c.TunnelIdle, 15*time.Minute)
}

// New opens the listeners, so that their addresses are known, and reads the alias file. It starts nothing; connections
// wait until Run. A Proxy that is never run leaks its listeners.
func New(cfg Config, deps Deps) (*Proxy, error) {
	cfg.defaults()
	if deps.Common == nil {
		deps.Common = NewCommon(cfg)
	}
	p := &Proxy{
		id: deps.Common.proxies.Add(1), cfg: cfg, desk: deps.Desk, log: deps.Log, common: deps.Common, limits: deps.Common.limits, buffers: newBuffers(), endings: newEndings(),
		known: newKnown(deps.Catalog), secrecy: newSecrecy(cfg.Encryption),
		quiet: rate.NewLimiter(1, 20), sessions: map[uint64]*Session{},
		tunnels: tunnels{open: map[*net.TCPConn]*net.TCPConn{}}, outlets: newOutlets(cfg), own: ownDials{from: map[netip.AddrPort]bool{}},
	}
	if p.log == nil {
		p.log = zap.NewNop()
	}
	if p.desk == nil {
		p.desk = freeDesk{}
	}
	if cfg.DialTrackers {
		p.swarms = newSwarms(cfg.DialAtMost, cfg.DialPerTorrent, p.isSelf)
	}
	if err := p.findClient(); err != nil {
		return nil, err
	}
	if err := p.listen(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// freeDesk charges for nothing.
type freeDesk struct{}

// Admit lets everything go free.
func (freeDesk) Admit(Arrival) Treatment { return Free }

// MayCharge is false.
func (freeDesk) MayCharge() bool { return false }

// MayTalk is false.
func (freeDesk) MayTalk() bool { return false }

// Open is never called.
func (freeDesk) Open(*Session) Conversation { return nil }

// findClient resolves the client's address, and opens the aliases if it can be reached from one.
func (p *Proxy) findClient() error {
	if p.cfg.Client == "" {
		if p.cfg.Peers != "" || p.cfg.TProxy != "" || len(p.cfg.Dial) > 0 || p.cfg.DialTrackers {
			return errors.New("proxy: no client address to pass connections to")
		}
		return nil
	}
	addr, err := net.ResolveTCPAddr("tcp", p.cfg.Client)
	if err != nil {
		return fmt.Errorf("client address: %w", err)
	}
	p.client = addr
	if err := p.findPeerWay(); err != nil {
		return err
	}
	ip := addr.AddrPort().Addr().Unmap()
	if !ip.Is4() || !ip.IsLoopback() {
		return nil
	}
	p.aliases, err = openAliases(p.cfg.Aliases, ip, p.cfg.AliasFile, time.Now)
	return err
}

func (p *Proxy) listen() error {
	var err error
	if p.cfg.Peers != "" {
		if p.peers, err = listenTCP(p.cfg.Peers); err != nil {
			return fmt.Errorf("listen for peers: %w", err)
		}
		for _, address := range p.cfg.PeersToo {
			l, err := listenTCP(address)
			if err != nil {
				return fmt.Errorf("listen for peers: %w", err)
			}
			p.also = append(p.also, l)
		}
		if p.cfg.PublicPort == 0 {
			p.cfg.PublicPort = p.peers.Addr().(*net.TCPAddr).AddrPort().Port()
		}
	}
	if p.cfg.SOCKS5 != "" {
		if p.socks, err = listenTCP(p.cfg.SOCKS5); err != nil {
			return fmt.Errorf("listen for SOCKS5: %w", err)
		}
	}
	if p.cfg.HTTP != "" {
		if p.web, err = listenTCP(p.cfg.HTTP); err != nil {
			return fmt.Errorf("listen for HTTP: %w", err)
		}
	}
	return p.listenRedirected()
}

func listenTCP(addr string) (*net.TCPListener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// close closes the listeners and the alias file.
func (p *Proxy) close() error {
	var errs []error
	for _, l := range append([]*net.TCPListener{p.peers, p.socks, p.web, p.redir, p.tproxy}, p.also...) {
		if l != nil {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if p.aliases != nil {
		errs = append(errs, p.aliases.close())
	}
	return errors.Join(errs...)
}

// PeersAddr is the address of the public listener, nil if there is none.
func (p *Proxy) PeersAddr() net.Addr { return addrOf(p.peers) }

// HTTPAddr is the address of the HTTP proxy listener, nil if there is none.
func (p *Proxy) HTTPAddr() net.Addr { return addrOf(p.web) }

// SOCKS5Addr is the address of the SOCKS5 listener, nil if there is none.
func (p *Proxy) SOCKS5Addr() net.Addr { return addrOf(p.socks) }

// RedirectAddr is the address of the listener for redirected connections, nil if there is none.
func (p *Proxy) RedirectAddr() net.Addr { return addrOf(p.redir) }

// TProxyAddr is the address of the transparent listener, nil if there is none.
func (p *Proxy) TProxyAddr() net.Addr { return addrOf(p.tproxy) }

func addrOf(l *net.TCPListener) net.Addr {
	if l == nil {
		return nil
	}
	return l.Addr()
}

// Run serves until ctx ends, then stops accepting, gives the sessions at most DrainTimeout to come to a clean end, and
// closes the rest. A conversation's context ends with its session, after the last byte was accounted for. Run returns
// nil after an orderly end, and may be called once.
func (p *Proxy) Run(ctx context.Context) error {
	var err error
	if p.parker, err = newParker(&p.wg); err != nil {
		return errors.Join(err, p.close())
	}
	watched := make(chan struct{})
	go func() { defer close(watched); p.parker.watch() }()
	alive, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	sweeper := make(chan struct{})
	go p.sweep(alive, sweeper)
	if p.peers != nil {
		for _, l := range append([]*net.TCPListener{p.peers}, p.also...) {
			p.wg.Go(func() { p.accept(ctx, l, p.inbound) })
		}
	}
	if p.socks != nil {
		p.wg.Go(func() { p.accept(ctx, p.socks, p.serveSOCKS5) })
	}
	if p.web != nil {
		p.wg.Go(func() { p.accept(ctx, p.web, p.serveHTTP) })
	}
	if p.redir != nil {
		p.wg.Go(func() { p.accept(ctx, p.redir, p.serveRedirected) })
	}
	if p.tproxy != nil {
		p.wg.Go(func() { p.accept(ctx, p.tproxy, p.serveTransparent) })
	}
	p.dialAll(ctx)
	if p.swarms != nil {
		p.wg.Go(func() { p.seek(ctx) })
	}
	<-ctx.Done()
	p.drain()
	p.wg.Wait()
	cancel()
	<-sweeper
	err = p.parker.close()
	<-watched
	return errors.Join(err, p.close())
}

// Sessions lists the sessions that are alive, oldest first.
func (p *Proxy) Sessions() []SessionInfo {
	var list []SessionInfo
	for _, s := range p.alive() {
		list = append(list, s.info())
	}
	slices.SortFunc(list, func(a, b SessionInfo) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

func (p *Proxy) alive() []*Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*Session, 0, len(p.sessions))
	for _, s := range p.sessions {
		list = append(list, s)
	}
	return list
}

// SessionInfo is a snapshot of one session, for status.
type SessionInfo struct {
	ID        uint64
	Remote    netip.AddrPort
	InfoHash  units.InfoHash // zero if encryption hides it
	Initiator bool           // our side opened it
	Treatment Treatment
	In, Out   units.Bytes // bytes on the wire from and to the remote
	Valve     string      // "closed", "offered", "open", "shutting" or "released"; "" if the session has no gate
	Since     time.Time

	RemoteEncrypted, ClientEncrypted bool // paygate encrypts on that side
}

// String names the treatment for logs.
func (t Treatment) String() string {
	switch t {
	case Free:
		return "free"
	case Watched:
		return "watched"
	case Denied:
		return "denied"
	}
	return "gated"
}
