package client

// Kind is which program a client is.
type Kind string

// The programs whose settings can be read.
const (
	QBittorrent  Kind = "qBittorrent"
	Transmission Kind = "Transmission"
)

// Settings are what matters to whoever stands in front of a client, in one vocabulary for all kinds.
type Settings struct {
	Kind               Kind
	Version            string // as the client writes it, such as "4.5.2"
	ListenPort         uint16 // where it takes peers
	RandomPort         bool   // it takes another port at each start
	AnnouncePort       uint16 // what it tells trackers, if that is set apart from ListenPort; 0: ListenPort
	AnnouncePortOK     bool   // this version has such a setting
	BindAddress        string // the address it is bound to; "": every one; see BindKnown
	BindKnown          bool   // BindAddress and BindInterface were told
	BindInterface      string // the network interface it is bound to; "": any
	TCP                bool   // it takes and makes TCP connections
	UTP                bool   // and uTP (BEP 29)
	DHT                bool   // BEP 5
	PEX                bool   // BEP 11
	LSD                bool   // BEP 14
	PortForwarding     bool   // it asks the router for a port (UPnP, NAT-PMP)
	Encryption         Encryption
	Proxy              Proxy
	SlotsKnown         bool // the next two were told
	UploadSlots        int  // over all torrents; 0: unlimited
	SlotsPerTorrent    int  // 0: unlimited
	MaxPeers           int  // connections over all torrents; 0: unlimited
	MaxPeersPerTorrent int  // 0: unlimited
	LimitLAN           bool // rate limits hold for peers on the local network, as which loopback addresses count
	IPFilter           bool // it refuses peers by address
}

// Encryption is what a client does about MSE.
type Encryption string

// What clients do about MSE. An allowing client opens in plaintext and takes both.
const (
	EncryptionAllow   Encryption = "allow"
	EncryptionPrefer  Encryption = "prefer"
	EncryptionRequire Encryption = "require"
	EncryptionOff     Encryption = "off"
)

// Proxy is how a client reaches the world.
type Proxy struct {
	Kind    string // "", "socks4", "socks5" or "http"
	Address string // host:port
	Peers   bool   // peer connections go through it, not only trackers
}
