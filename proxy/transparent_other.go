//go:build !linux

package proxy

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

var errLinux = errors.New("this works on Linux only")

func originalDst(*net.TCPConn) (netip.AddrPort, error) { return netip.AddrPort{}, errLinux }

func transparent(string, string, syscall.RawConn) error { return errLinux }

func markDial(string, string, syscall.RawConn) error { return errLinux }

func may(func(string, string, syscall.RawConn) error) error { return errLinux }

func listenTransparent(string) (*net.TCPListener, error) { return nil, errLinux }

func notPermitted(err error) error { return err }
