package proxy

import "net/netip"

// connected notes a connection that was made to the client: from is the alias with the port that the client sees, listens the
// port on which the remote takes connections, 0 if that is not known. Call ended when it is over.
func (a *aliases) connected(from netip.AddrPort, listens uint16) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.legs[from] = listens
}

// learned notes the port on which the remote behind a connection listens. It does nothing if the connection is over.
func (a *aliases) learned(from netip.AddrPort, listens uint16) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.legs[from]; ok {
		a.legs[from] = listens
	}
}

func (a *aliases) ended(from netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.legs, from)
}

// truth returns the remote's own address for one that the client may have seen. Any that is no alias comes back as it is. The port
// stays, as clients name the one that a peer says it listens on; but the port of a connection of ours is replaced by the one on
// which the remote listens. The zero AddrPort: an alias of nobody, or a port that means nothing to others.
func (a *aliases) truth(seen netip.AddrPort) netip.AddrPort {
	alias := seen.Addr().Unmap()
	if !a.prefix.Contains(alias) || alias == a.avoid {
		return seen
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.taken[alias]
	if !ok {
		return netip.AddrPort{}
	}
	port := seen.Port()
	if listens, live := a.legs[netip.AddrPortFrom(alias, port)]; live {
		port = listens
	}
	if port == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(e.Value.(*lease).remote, port)
}

// behind returns the address to dial for one that the client asks for: it knows peers that came to it by their aliases, and
// turns to them again.
func (p *Proxy) behind(target string) string {
	asked, err := netip.ParseAddrPort(target)
	if err != nil || p.aliases == nil {
		return target
	}
	if peer := p.aliases.truth(asked); peer.IsValid() {
		return peer.String()
	}
	return target
}
