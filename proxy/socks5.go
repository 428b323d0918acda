package proxy

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// Numbers of RFC 1928 and RFC 1929.
const (
	socksVersion   = 5
	authVersion    = 1
	methodNone     = 0
	methodPassword = 2
	methodNoneFits = 0xff
	cmdConnect     = 1
	cmdAssociate   = 3
	addrIPv4       = 1
	addrDomain     = 3
	addrIPv6       = 4

	replyOK           = 0
	replyFailure      = 1
	replyNetwork      = 3
	replyHost         = 4
	replyRefused      = 5
	replyCommand      = 7
	replyAddressTypes = 8
)

// socksError is a request that gets a reply other than success.
type socksError struct {
	reply byte
	err   error
}

func (e *socksError) Error() string { return "SOCKS5: " + e.err.Error() }
func (e *socksError) Unwrap() error { return e.err }

// serveSOCKS5 serves an outgoing connection of the client. It owns conn.
func (p *Proxy) serveSOCKS5(ctx context.Context, conn *net.TCPConn) {
	var d dues
	defer d.pay()
	d.owe(func() { conn.Close() })
	if err := p.socks5(ctx, conn, &d); err != nil {
		p.refused(addrPort(conn.RemoteAddr()), err)
	}
}

func (p *Proxy) socks5(ctx context.Context, conn *net.TCPConn, d *dues) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(p.cfg.HandshakeTimeout)); err != nil {
		return err
	}
	command, target, err := p.negotiate(conn)
	if err != nil {
		return errors.Join(err, refuseSOCKS5(conn, err))
	}
	slot, err := p.limits.outbound()
	if err != nil {
		return errors.Join(err, refuseSOCKS5(conn, err))
	}
	d.owe(slot.free)
	if command == cmdAssociate {
		return p.associate(ctx, conn)
	}
	remote, err := p.dialRemote(ctx, target)
	if err != nil {
		return errors.Join(err, refuseSOCKS5(conn, err))
	}
	d.owe(func() { remote.Close() })
	if !stop() {
		return ctx.Err()
	}
	stopBoth := context.AfterFunc(ctx, func() { conn.Close(); remote.Close() })
	defer stopBoth()
	if err := reply(conn, replyOK, addrPort(remote.LocalAddr())); err != nil {
		return fmt.Errorf("SOCKS5 reply: %w", err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	return p.carry(ctx, conn, remote, stopBoth, d)
}

// dialRemote connects to a peer or anything else outside.
func (p *Proxy) dialRemote(ctx context.Context, target string) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: p.cfg.HandshakeTimeout, Control: p.mark}
	conn, err := d.DialContext(ctx, "tcp", p.behind(target))
	if err != nil {
		return nil, &socksError{dialReply(err), err}
	}
	return conn.(*net.TCPConn), nil
}

// dialReply says in SOCKS5 why a connection failed.
func dialReply(err error) byte {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return replyRefused
	case errors.Is(err, syscall.ENETUNREACH):
		return replyNetwork
	case errors.Is(err, syscall.EHOSTUNREACH), errors.As(err, &dns), errors.As(err, &timeout) && timeout.Timeout():
		return replyHost
	}
	return replyFailure
}

// negotiate takes the greeting, the password if one is wanted, and the request, and returns its command and host:port.
func (p *Proxy) negotiate(conn io.ReadWriter) (byte, string, error) {
	methods, err := readGreeting(conn)
	if err != nil {
		return 0, "", err
	}
	method := byte(methodNone)
	if p.cfg.SOCKS5User != "" {
		method = methodPassword
	}
	if !contains(methods, method) {
		_, err := conn.Write([]byte{socksVersion, methodNoneFits})
		return 0, "", errors.Join(errors.New("SOCKS5: no acceptable authentication method offered"), err)
	}
	if _, err := conn.Write([]byte{socksVersion, method}); err != nil {
		return 0, "", err
	}
	if method == methodPassword {
		if err := p.checkPassword(conn); err != nil {
			return 0, "", err
		}
	}
	return readRequest(conn)
}

func contains(list []byte, b byte) bool {
	for _, x := range list {
		if x == b {
			return true
		}
	}
	return false
}

func readGreeting(r io.Reader) ([]byte, error) {
	b, err := readN(r, 2)
	if err != nil {
		return nil, err
	}
	if b[0] != socksVersion {
		return nil, fmt.Errorf("SOCKS5: the client speaks version %d", b[0])
	}
	return readN(r, int(b[1]))
}

// checkPassword is RFC 1929.
func (p *Proxy) checkPassword(conn io.ReadWriter) error {
	b, err := readN(conn, 2)
	if err != nil {
		return err
	}
	if b[0] != authVersion {
		return fmt.Errorf("SOCKS5: authentication version %d", b[0])
	}
	user, err := readN(conn, int(b[1]))
	if err != nil {
		return err
	}
	n, err := readN(conn, 1)
	if err != nil {
		return err
	}
	password, err := readN(conn, int(n[0]))
	if err != nil {
		return err
	}
	good := subtle.ConstantTimeCompare(user, []byte(p.cfg.SOCKS5User)) &
		subtle.ConstantTimeCompare(password, []byte(p.cfg.SOCKS5Password.Reveal()))
	if _, err := conn.Write([]byte{authVersion, byte(1 - good)}); err != nil {
		return err
	}
	if good != 1 {
		return errors.New("SOCKS5: wrong user or password")
	}
	return nil
}

// readRequest returns the command, CONNECT or UDP ASSOCIATE, and its host:port.
func readRequest(r io.Reader) (byte, string, error) {
	b, err := readN(r, 4)
	if err != nil {
		return 0, "", err
	}
	if b[0] != socksVersion {
		return 0, "", fmt.Errorf("SOCKS5: the request has version %d", b[0])
	}
	host, err := readHost(r, b[3])
	if err != nil {
		return 0, "", err
	}
	port, err := readN(r, 2)
	if err != nil {
		return 0, "", err
	}
	if b[1] != cmdConnect && b[1] != cmdAssociate {
		return 0, "", &socksError{replyCommand, fmt.Errorf("command %d is not supported", b[1])}
	}
	return b[1], net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(port)))), nil
}

func readHost(r io.Reader, kind byte) (string, error) {
	var n int
	switch kind {
	case addrIPv4:
		n = 4
	case addrIPv6:
		n = 16
	case addrDomain:
		b, err := readN(r, 1)
		if err != nil {
			return "", err
		}
		name, err := readN(r, int(b[0]))
		if err == nil && len(name) == 0 {
			err = &socksError{replyFailure, errors.New("the host name is empty")}
		}
		return string(name), err
	default:
		return "", &socksError{replyAddressTypes, fmt.Errorf("address type %d", kind)}
	}
	b, err := readN(r, n)
	if err != nil {
		return "", err
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr.Unmap().String(), nil
}

func readN(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// refuseSOCKS5 tells the client why, if err has a word for it.
func refuseSOCKS5(w io.Writer, err error) error {
	var e *socksError
	switch {
	case errors.As(err, &e):
		return reply(w, e.reply, netip.AddrPort{})
	case errors.Is(err, errFull), errors.Is(err, errRelays):
		return reply(w, replyFailure, netip.AddrPort{})
	}
	return nil
}

// reply writes a reply of RFC 1928. The zero address is sent as 0.0.0.0:0.
func reply(w io.Writer, code byte, bound netip.AddrPort) error {
	b := []byte{socksVersion, code, 0}
	switch addr := bound.Addr(); {
	case addr.Is4():
		b = append(append(b, addrIPv4), addr.AsSlice()...)
	case addr.Is6():
		b = append(append(b, addrIPv6), addr.AsSlice()...)
	default:
		b = append(b, addrIPv4, 0, 0, 0, 0)
	}
	_, err := w.Write(binary.BigEndian.AppendUint16(b, bound.Port()))
	return err
}
