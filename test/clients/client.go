package clients

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"

	"paygate/units"
)

// Kind names a client program.
type Kind string

// The clients that can be driven.
const (
	QBittorrent  Kind = "qbittorrent"
	Transmission Kind = "transmission"
	Anacrolix    Kind = "anacrolix"
	Aria2        Kind = "aria2"
)

// Program returns the name of the client's executable as packages install it; Anacrolix has none, it is built from
// test/anacrolix.
func (k Kind) Program() string {
	switch k {
	case QBittorrent:
		return "qbittorrent-nox"
	case Transmission:
		return "transmission-daemon"
	case Aria2:
		return "aria2c"
	}
	return ""
}

// ParseKind reads the name of a client.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case QBittorrent, Transmission, Anacrolix, Aria2:
		return k, nil
	}
	return "", fmt.Errorf("%q is not a client: qbittorrent, transmission, anacrolix or aria2", s)
}

// Installed reports whether the client's program can be run from the search path. Anacrolix always can, once built.
func (k Kind) Installed() bool {
	if k == Anacrolix {
		return true
	}
	_, err := exec.LookPath(k.Program())
	return err == nil
}

// DialsOut reports whether the client opens connections to peers with loopback addresses. Transmission takes
// 127.0.0.0/8 in a tracker's answer for an error and never does.
func (k Kind) DialsOut() bool { return k != Transmission }

// TakesSOCKS5 reports whether the client can send its peer connections through a SOCKS5 proxy.
func (k Kind) TakesSOCKS5() bool { return k == QBittorrent || k == Anacrolix }

// Spec says how to run a client.
type Spec struct {
	Dir      string         // the client's own directory: settings, state, logs; made if missing
	Listen   netip.AddrPort // where it listens for peers, a loopback address
	SOCKS5   string         // proxy for its outgoing connections, host:port; empty: direct. qBittorrent then stops listening
	Upload   units.Bytes    // limits in bytes per second; 0: none
	Download units.Bytes
	Program  string // executable; empty: the one on the search path. Anacrolix needs it
}

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
	d, err := newDriver(kind, spec)
	if err != nil {
		return nil, err
	}
	c := &client{kind: kind, spec: spec, driver: d}
	if err := c.start(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func newDriver(kind Kind, spec Spec) (driver, error) {
	api, err := FreePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", api)
	switch kind {
	case QBittorrent:
		return newQBittorrent(address), nil
	case Transmission:
		return newTransmission(address), nil
	case Aria2:
		return newAria2(address), nil
	case Anacrolix:
		if spec.Program == "" {
			return nil, fmt.Errorf("%s: no program given; build test/anacrolix", kind)
		}
		return newAnacrolix(address), nil
	}
	return nil, fmt.Errorf("%q is not a client", kind)
}
