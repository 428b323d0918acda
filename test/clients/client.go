package clients

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"paygate/units"
)

// Kind names a client program.
type Kind string

// The clients that can be driven. QBittorrent and Transmission are whatever this system has installed; those with a
// number, and RTorrent, are the ones of Debian 13 that test/install/trixie.sh puts into a directory of their own.
const (
	QBittorrent   Kind = "qbittorrent"
	QBittorrent5  Kind = "qbittorrent5"
	Transmission  Kind = "transmission"
	Transmission4 Kind = "transmission4"
	RTorrent      Kind = "rtorrent"
	Anacrolix     Kind = "anacrolix"
	Aria2         Kind = "aria2"
)

// kinds says of each client what its executable is called and where it runs.
var kinds = map[Kind]struct {
	program string // as packages install it; empty: built from test/anacrolix
	trixie  bool   // in the directory of Debian 13
}{
	QBittorrent:   {program: "qbittorrent-nox"},
	QBittorrent5:  {program: "qbittorrent-nox", trixie: true},
	Transmission:  {program: "transmission-daemon"},
	Transmission4: {program: "transmission-daemon", trixie: true},
	RTorrent:      {program: "rtorrent", trixie: true},
	Aria2:         {program: "aria2c"},
	Anacrolix:     {},
}

// Program returns the name of the client's executable as packages install it; Anacrolix has none, it is built from
// test/anacrolix.
func (k Kind) Program() string { return kinds[k].program }

// ParseKind reads the name of a client.
func ParseKind(s string) (Kind, error) {
	if _, known := kinds[Kind(s)]; known {
		return Kind(s), nil
	}
	return "", fmt.Errorf("%q is not a client: %s", s, slices.Sorted(maps.Keys(kinds)))
}

// Installed reports whether the client's program can be run. Anacrolix always can, once built.
func (k Kind) Installed() bool { return k.Missing() == "" }

// Missing says why the client's program cannot be run; empty: it can.
func (k Kind) Missing() string {
	switch kind := kinds[k]; {
	case kind.program == "":
		return ""
	case kind.trixie:
		return trixieMissing()
	default:
		if _, err := exec.LookPath(kind.program); err != nil {
			return kind.program + " is not installed"
		}
		return ""
	}
}

// DialsOut reports whether the client opens connections to peers with loopback addresses. Transmission takes
// 127.0.0.0/8 in a tracker's answer for an error and never does.
func (k Kind) DialsOut() bool { return k != Transmission && k != Transmission4 }

// TakesSOCKS5 reports whether the client can send its peer connections through a SOCKS5 proxy.
func (k Kind) TakesSOCKS5() bool { return k == QBittorrent || k == QBittorrent5 || k == Anacrolix }

// TakesHTTP reports whether the client can send its peer connections through an HTTP proxy (CONNECT).
func (k Kind) TakesHTTP() bool { return k == RTorrent }

// Encryption is what a client is told to think of encrypted peer connections (MSE/PE).
type Encryption string

// What clients can be told. Not every one knows every nuance: Transmission never refuses an encrypted connection, and
// with Prefer qBittorrent takes what comes and dials in plain.
const (
	Default Encryption = "" // whatever lets every other client in
	Plain   Encryption = "plain"
	Prefer  Encryption = "prefer"
	Require Encryption = "require"
)

// Spec says how to run a client.
type Spec struct {
	Dir        string         // the client's own directory: settings, state, logs; made if missing
	Listen     netip.AddrPort // where it listens for peers; IPv4, or IPv6. Its connections leave from there
	Everywhere bool           // listen on every address instead, with that port
	SOCKS5     string         // proxy for its outgoing connections, host:port; empty: direct. qBittorrent then stops listening
	HTTP       string         // HTTP proxy for its outgoing connections to peers, host:port
	Tracker    string         // proxy for its announces alone, host:port: SOCKS5 for qBittorrent and Anacrolix, else HTTP
	IPv6       bool           // take peers of that family, too, if Listen is not of it; most clients always do
	Encryption Encryption
	DHT        bool        // take part in the DHT; qBittorrent alone
	PEX        bool        // tell peers about other peers (BEP 11), and listen to what they tell
	Upload     units.Bytes // limits in bytes per second; 0: none
	Download   units.Bytes
	Program    string // executable; empty: the one on the search path. Anacrolix needs it
	UTP        bool   // leave uTP on
	Announce   uint16 // port to tell trackers instead of that of Listen; qBittorrent 5 alone can
	Password   string // for the client's interface, user APIUser; empty: none is needed
	Namespace  string // network namespace to run in, a path as `ip netns` makes them; empty: the caller's
	Revive     bool   // start it again, once, if it crashes (SIGSEGV and the like): some packaged clients do, seldom
	User       uint32 // user and group id to run as, if the caller is root; 0: the caller's
}

// APIUser is the user whose password Spec.Password is.
const APIUser = "admin"

// Client is a running BitTorrent client. Its methods may be called from several goroutines, except for Kill, Restart
// and Close.
type Client interface {
	// Name is the kind of client, for messages.
	Name() string
	// Add starts a torrent whose files are, or are to be, under dir. With the files in place it returns once the
	// client has checked them and seeds.
	Add(ctx context.Context, torrent []byte, dir string) error
	// Progress returns how many bytes of the torrent the client has and has checked, and its size.
	Progress(ctx context.Context, ih units.InfoHash) (done, total int64, err error)
	// Peers returns how many peers the client is connected to for the torrent, as it tells.
	Peers(ctx context.Context, ih units.InfoHash) (int, error)
	// API is the address of the client's interface for programs, host:port, in its network namespace; empty: it has none
	// that paygate knows.
	API() string
	// PeerAddr is where the client listens for peers, host:port.
	PeerAddr() string
	// Kill ends the client at once (SIGKILL) and keeps its files. It waits for the process to be gone.
	Kill()
	// Restart starts it again after Kill with the same settings and adds its torrents again.
	Restart(ctx context.Context) error
	// Close ends the client. Its directory stays, for diagnosis.
	Close()
}

// driver is what differs between clients: how to configure and start one, and how to speak with it.
type driver interface {
	// command writes the settings and returns the command to run.
	command(spec Spec) (*exec.Cmd, error)
	// ready reports whether the client answers; nil once it does.
	ready(ctx context.Context) error
	add(ctx context.Context, torrent []byte, dir string) error
	status(ctx context.Context, ih units.InfoHash) (status, error)
}

// status is what a client tells of one torrent.
type status struct {
	done, total int64
	peers       int
	checking    bool
	seeding     bool
	problem     string
}

// Launch starts a client and waits until it answers.
func Launch(ctx context.Context, kind Kind, spec Spec) (Client, error) {
	if err := os.MkdirAll(spec.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make directory for %s: %w", kind, err)
	}
	d, api, err := newDriver(kind, spec)
	if err != nil {
		return nil, err
	}
	c := &client{kind: kind, spec: spec, driver: d, api: api}
	if err := c.start(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func newDriver(kind Kind, spec Spec) (d driver, api string, err error) {
	port, err := FreePort()
	if err != nil {
		return nil, "", err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	caller := &http.Client{Timeout: callTimeout, Transport: &http.Transport{DialContext: dialer(spec.Namespace)}}
	switch kind {
	case QBittorrent, QBittorrent5:
		return &qBittorrent{kind: kind, api: address, http: caller, password: spec.Password}, address, nil
	case Transmission, Transmission4:
		return &transmission{kind: kind, api: address, http: caller, password: spec.Password}, address, nil
	case RTorrent:
		return &rTorrent{socket: filepath.Join(spec.Dir, "rpc")}, "", nil
	case Aria2:
		return &aria2{api: address, http: caller, gid: make(map[units.InfoHash]string)}, "", nil
	case Anacrolix:
		if spec.Program == "" {
			return nil, "", fmt.Errorf("%s: no program given; build test/anacrolix", kind)
		}
		caller.Timeout = checkTimeout
		return &anacrolix{api: address, http: caller}, "", nil
	}
	return nil, "", fmt.Errorf("%q is not a client", kind)
}
