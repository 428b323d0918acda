package proxy

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// soOriginalDst is SO_ORIGINAL_DST (level SOL_IP) and IP6T_SO_ORIGINAL_DST (level SOL_IPV6) of netfilter.
const soOriginalDst = 80

// originalDst asks the kernel where a connection was going before netfilter redirected it. It is the connection's own
// local address if nobody has.
func originalDst(conn *net.TCPConn) (netip.AddrPort, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	ask := originalDst4
	if addrPort(conn.LocalAddr()).Addr().Is6() {
		ask = originalDst6
	}
	var dst netip.AddrPort
	var asked error
	err = raw.Control(func(fd uintptr) { dst, asked = ask(int(fd)) })
	if err = errors.Join(err, asked); errors.Is(err, unix.ENOENT) {
		return addrPort(conn.LocalAddr()), nil // netfilter does not follow this connection
	}
	return dst, err
}

// originalDst4 reads a sockaddr_in, which fits into the 20 bytes of this struct.
func originalDst4(fd int) (netip.AddrPort, error) {
	m, err := unix.GetsockoptIPv6Mreq(fd, unix.SOL_IP, soOriginalDst)
	if err != nil {
		return netip.AddrPort{}, err
	}
	b := m.Multiaddr
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:4])), nil
}

// originalDst6 reads a sockaddr_in6, with which this struct begins.
func originalDst6(fd int) (netip.AddrPort, error) {
	m, err := unix.GetsockoptIPv6MTUInfo(fd, unix.SOL_IPV6, soOriginalDst)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port := *(*[2]byte)(unsafe.Pointer(&m.Addr.Port)) // in network order
	return netip.AddrPortFrom(netip.AddrFrom16(m.Addr.Addr).Unmap(), binary.BigEndian.Uint16(port[:])), nil
}
