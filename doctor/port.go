package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// Running is what the paygate that runs on the data directory says of itself, for one client.
type Running struct {
	Peers, SOCKS5, HTTP, Redirect, TProxy string // the addresses that it listens on; empty: none
}

// port sees whether an address can be listened on, or is by our own running paygate.
func port(ctx context.Context, check, address string, running *Running, held string) Finding {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err == nil {
		l.Close()
	}
	ours := running != nil && sameAddress(held, address)
	switch {
	case ours && errors.Is(err, syscall.EADDRINUSE):
		return pass(check, "%s is held by the paygate that runs", address)
	case errors.Is(err, syscall.EADDRINUSE):
		return fail(check, "find out which with `ss -ltnp`, and stop it or choose another port; a client must not listen where paygate does",
			"another program listens on %s", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fail(check, "write 0.0.0.0 and the port, or an address that `ip addr` shows", "%s is not an address of this machine", address)
	case errors.Is(err, syscall.EACCES):
		return fail(check, "choose a port of 1024 or more", "this user may not listen on %s", address)
	case err != nil:
		return fail(check, "correct the address", "cannot listen on %s: %v", address, err)
	case running != nil:
		return warn(check, "restart paygate, so that it reads the configuration again", "paygate runs, but does not listen on %s", address)
	}
	return pass(check, "%s is free for paygate to take", address)
}

// publicPort is port for the address that the swarm connects to.
func publicPort(ctx context.Context, address string, running *Running) Finding {
	held := ""
	if running != nil {
		held = running.Peers
	}
	f := port(ctx, CheckPeers, address, running, held)
	if ap, err := netip.ParseAddrPort(address); f.Verdict == Pass && err == nil && ap.Addr().IsLoopback() {
		return warn(CheckPeers, "listen on 0.0.0.0, or on the address that the world reaches you at", "%s, but only this machine can connect to it", f.Text)
	}
	return f
}

func socksPort(ctx context.Context, address string, running *Running) Finding {
	held := ""
	if running != nil {
		held = running.SOCKS5
	}
	return port(ctx, CheckSOCKS5, address, running, held)
}

func httpPort(ctx context.Context, address string, running *Running) Finding {
	held := ""
	if running != nil {
		held = running.HTTP
	}
	return port(ctx, CheckHTTP, address, running, held)
}

// sameAddress reports whether a listener's address is the one in the configuration, which may leave the host open.
func sameAddress(held, configured string) bool {
	a, err := netip.ParseAddrPort(held)
	if err != nil {
		return false
	}
	host, _, err := net.SplitHostPort(configured)
	if err != nil {
		return false
	}
	b, err := net.ResolveTCPAddr("tcp", configured)
	if err != nil || int(a.Port()) != b.Port {
		return false
	}
	ip := b.AddrPort().Addr().Unmap()
	return host == "" || ip.IsUnspecified() && a.Addr().IsUnspecified() || ip == a.Addr().Unmap()
}
