package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// approach is from where the client is connected to on behalf of a remote.
type approach uint8

const (
	asOurselves approach = iota // from whatever address the kernel chooses
	asAlias                     // from the remote's loopback alias
	asPeer                      // from the remote's own address, which takes IP_TRANSPARENT, and routes back
)

// approachOf chooses. The client is known by one address of each family at most, so that a remote of another family
// cannot come as itself.
func (p *Proxy) approachOf(remote netip.Addr) (approach, *net.TCPAddr) {
	if p.cfg.FromPeer && !remote.IsLoopback() {
		for _, client := range []*net.TCPAddr{p.client, p.client6} {
			if client != nil && client.AddrPort().Addr().Unmap().Is4() == remote.Is4() {
				return asPeer, client
			}
		}
	}
	if p.aliases != nil {
		return asAlias, p.client
	}
	return asOurselves, p.client
}

// dialClient connects to the client on behalf of a remote. Hang up with hangUp.
func (p *Proxy) dialClient(ctx context.Context, remote netip.Addr) (*net.TCPConn, error) {
	if p.client == nil {
		return nil, errors.New("there is no client address")
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.HandshakeTimeout)
	defer cancel()
	var d net.Dialer
	how, client := p.approachOf(remote)
	switch how {
	case asAlias:
		alias, err := p.aliases.take(remote)
		if err != nil {
			return nil, err
		}
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(alias, 0))
	case asPeer:
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(remote.WithZone(""), 0))
		d.Control = transparent
	}
	conn, err := d.DialContext(ctx, "tcp", client.String())
	if err != nil {
		p.giveAlias(remote)
		return nil, clientError(how, err)
	}
	if how == asAlias {
		p.aliases.connected(addrPort(conn.LocalAddr()), 0)
	}
	return conn.(*net.TCPConn), nil
}

// clientError says why the client could not be reached. A connection that comes as its peer and is not answered is
// not the network's everyday noise.
func clientError(how approach, err error) error {
	var late net.Error
	if how == asPeer && errors.As(err, &late) && late.Timeout() {
		return errors.New("the client does not answer a connection from its peer's own address: its answers must be routed " +
			"back here (paygate firewall apply), or set client.source to alias")
	}
	return fmt.Errorf("connect to the client: %w", notPermitted(err))
}

// hangUp ends what dialClient began.
func (p *Proxy) hangUp(client *net.TCPConn, remote netip.Addr) {
	client.Close()
	if p.aliases != nil {
		p.aliases.ended(addrPort(client.LocalAddr()))
	}
	p.giveAlias(remote)
}

func (p *Proxy) giveAlias(remote netip.Addr) {
	if how, _ := p.approachOf(remote); how == asAlias {
		p.aliases.give(remote)
	}
}
