package config

import (
	"net/netip"
	"time"

	"paygate/units"
)

// Config is a whole, valid configuration.
type Config struct {
	DataDir    string
	Ledger     Ledger
	Log        Log
	Listen     Listen // with Client: the only client; both empty if there are Clients
	Client     Client
	Clients    []Front // several clients; see PerClient
	Encryption Encryption
	Limits     Limits
	Lightning  Lightning
	Sell       Sell
	Buy        Buy
	GeoIP      string   // MaxMind file that tells an address's country; "": none
	Observe    bool     // true: everything runs, and nothing is charged or paid
	Notes      Problems // what is valid but may not do what its author expects
}

// Enabled reports whether there is a node at all.
func (l Lightning) Enabled() bool { return l.Address != "" }

// Ledger is how the ledger is kept. After Days whole days (default 90), what was served, received and given away is kept as
// sums of a day.
type Ledger struct{ Days int }

// Log chooses how much is logged (debug, info, warn, error) and in which form (auto, console, json).
type Log struct{ Level, Format string }

// Listen are the addresses that paygate owns. An empty one is off.
type Listen struct {
	Peers          string   // public BitTorrent port, host:port
	PeersToo       []string // further public addresses, host:port
	PublicPort     uint16   // port told to the swarm in the extended handshake; default: the port of Peers
	SOCKS5         string   // for the client's outgoing peer connections
	HTTP           string   // HTTP proxy for the client's trackers, and for peers by CONNECT
	SOCKS5User     string   // for both proxies, as is the password
	SOCKS5Password units.Secret
	Redirect       string // for the client's outgoing connections that a firewall redirects
	TProxy         string // for connections in both directions that TPROXY rules bring
}

// Front is one of several clients, with what paygate listens on for it.
type Front struct {
	Listen Listen
	Client Client
}

// Client is the BitTorrent client behind paygate.
type Client struct {
	Name    string       // what reports call it; letters, digits, - and _. Required and unique among several, else may be ""
	Address string       // where it listens for peers, host:port
	IPv6    string       // the same for IPv6, beside an IPv4 Address; for Source "peer"
	Source  string       // from where peers seem to come: alias (default), or peer: from their own addresses
	Aliases netip.Prefix // loopback range from which each remote peer gets a source address of its own, /8 to /16; default 127.64.0.0/10
	PEX     string       // what it may tell peers of free torrents about others: auto (default), translate or off
	Dial    []Dial       // peers to which paygate opens both legs itself

	DialTrackers   bool // do so with the peers that trackers tell of through Listen.HTTP; default false
	DialAtMost     int  // such connections at once; default 200
	DialPerTorrent int  // and of one torrent; default 50

	API        API              // where it can be asked
	Torrents   string           // directory with its *.torrent files; "" = none
	InfoHashes []units.InfoHash // torrents that it has, beside what it tells
}

// API is a client's own remote control: qBittorrent's WebUI or Transmission's RPC. paygate only reads there.
type API struct {
	URL      string // http:// or https://, without user and query; "" = none
	User     string
	Password units.Secret
}

// Dial names peers to connect the client to, for clients that cannot dial through paygate.
type Dial struct {
	InfoHash units.InfoHash
	Peers    []string // host:port
}

// Encryption says what is done about encrypted BitTorrent (MSE) towards the swarm and towards the clients: auto, require,
// prefer or off.
type Encryption struct{ Peers, Client string }

// Limits bound what strangers can make paygate hold.
type Limits struct {
	Connections      int           // in all; default 2000
	PerAddress       int           // inbound, per IPv4 address or IPv6 /64; default 16
	Handshakes       int           // inbound connections still in their handshake; default 512
	HandshakeTimeout time.Duration // default 10 s
	DrainTimeout     time.Duration // default 10 s, on SIGTERM
	UnpaidPeers      int           // gated peers that have not paid, oldest out; default 60
	UnpaidSlots      int           // unpaid peers shown to the client at once; default 8
}

// Lightning is the node. An empty Address means none: nothing is sold or bought.
type Lightning struct {
	Address     string        // lnd gRPC host:port
	TLSCert     []byte        // PEM, read from tls_cert; nil only with lndconnect: the system's roots decide
	Macaroon    units.Secret  // hex, read from macaroon (path, hex, base64 or environment variable)
	AllowAdmin  bool          // take a macaroon that can do more than paygate needs; default false
	Network     string        // mainnet, testnet, signet, simnet or regtest
	PayTimeout  time.Duration // default 60 s
	MaxParts    uint32        // default 1
	CLTVLimit   int32         // route limit; default 288
	InvoiceTTL  time.Duration // default 1 h, at least 600 s
	PrivateHint bool          // put route hints for private channels into invoices
}
