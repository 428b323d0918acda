package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// transparent lets a socket be bound to an address that is another machine's (IP_TRANSPARENT, IPV6_TRANSPARENT).
func transparent(network, _ string, c syscall.RawConn) error {
	level, option := unix.SOL_IP, unix.IP_TRANSPARENT
	if strings.HasSuffix(network, "6") {
		level, option = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	}
	return errors.Join(setInt(c, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), setInt(c, level, option, 1))
}

// markDial gives a socket the mark that the rules of `paygate firewall` let pass.
func markDial(_, _ string, c syscall.RawConn) error {
	return setInt(c, unix.SOL_SOCKET, unix.SO_MARK, Mark)
}

func setInt(c syscall.RawConn, level, option, value int) error {
	var set error
	err := c.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), level, option, value) })
	return errors.Join(err, set)
}

// may reports whether this process may set an option on a socket: nil, or why not.
func may(control func(string, string, syscall.RawConn) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return control("tcp4", "", socket(fd))
}

// socket is a descriptor that net does not know of.
type socket int

// Control calls f with the descriptor.
func (s socket) Control(f func(uintptr)) error { f(uintptr(s)); return nil }

// Read is never called.
func (s socket) Read(func(uintptr) bool) error { return errors.ErrUnsupported }

// Write is never called.
func (s socket) Write(func(uintptr) bool) error { return errors.ErrUnsupported }

// listenTransparent listens for connections to any address whatsoever that TPROXY rules bring here.
func listenTransparent(addr string) (*net.TCPListener, error) {
	lc := net.ListenConfig{Control: transparent}
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, notPermitted(err)
	}
	return l.(*net.TCPListener), nil
}

// notPermitted adds the remedy to an error that comes of a missing capability.
func notPermitted(err error) error {
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	return fmt.Errorf("%w: it takes the capability CAP_NET_ADMIN; give it to the program (sudo setcap cap_net_admin+ep "+
		"FILE) or to its service (AmbientCapabilities=CAP_NET_ADMIN in the systemd unit)", err)
}
