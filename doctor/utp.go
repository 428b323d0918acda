package doctor

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"paygate/client"
	"paygate/config"
)

// The parts of uTP (BEP 29) that a knock on the door takes: every packet begins with a header of 20 bytes, whose first
// byte is the type and the version.
const (
	utpHeader  = 20
	utpVersion = 1
	utpReset   = 3
	utpSyn     = 4
	utpState   = 2

	utpWindow   = 1 << 16
	utpPatience = 400 * time.Millisecond
	utpTries    = 3
)

// utpKnock asks for a connection from address, and reports whether somebody answers it. What was begun is reset.
func utpKnock(ctx context.Context, at netip.AddrPort) bool {
	d := net.Dialer{Timeout: utpPatience}
	conn, err := d.DialContext(ctx, "udp", at.String())
	if err != nil {
		return false
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })() //nolint:errcheck // a closed connection needs none
	id := uint16(rand.Uint32())
	for range utpTries {
		if _, err := conn.Write(utpPacket(utpSyn, id, 1)); err != nil {
			return false // nobody is there: the kernel has said so
		}
		heard, err := utpHear(conn, id)
		if heard {
			_, _ = conn.Write(utpPacket(utpReset, id+1, 2))
			return true
		}
		if err != nil {
			return false
		}
	}
	return false
}

// utpHear waits for an answer to the connection id. It returns an error if waiting longer makes no sense.
func utpHear(conn net.Conn, id uint16) (bool, error) {
	if err := conn.SetReadDeadline(time.Now().Add(utpPatience)); err != nil {
		return false, err
	}
	buf := make([]byte, 2048)
	for {
		n, err := conn.Read(buf)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return false, nil
		case err != nil:
			return false, err
		case utpAnswers(buf[:n], id):
			return true, nil
		}
	}
}

func utpPacket(kind byte, id, sequence uint16) []byte {
	p := make([]byte, utpHeader)
	p[0] = kind<<4 | utpVersion
	binary.BigEndian.PutUint16(p[2:], id)
	binary.BigEndian.PutUint32(p[4:], uint32(time.Now().UnixMicro()))
	binary.BigEndian.PutUint32(p[12:], utpWindow)
	binary.BigEndian.PutUint16(p[16:], sequence)
	return p
}

// utpAnswers reports whether a packet takes up a connection. A reset refuses it: uTP is spoken there, but not for us.
func utpAnswers(p []byte, id uint16) bool {
	return len(p) >= utpHeader && p[0] == utpState<<4|utpVersion && binary.BigEndian.Uint16(p[2:]) == id
}

// utp knocks at the client's port on every address of this machine.
func utp(ctx context.Context, c *config.Config, s client.Settings, own []netip.Addr, running *Running) Finding {
	target, err := net.ResolveTCPAddr("tcp", c.Client.Address)
	if err != nil {
		return skip(CheckUTP, "the client's address cannot be resolved: %v", err)
	}
	looked := 0
	for _, a := range addresses(target.AddrPort().Addr().Unmap(), own) {
		at := netip.AddrPortFrom(a, uint16(target.Port))
		if running != nil && paygates(c, at) {
			continue
		}
		looked++
		if utpKnock(ctx, at) {
			return fail(CheckUTP, utpOff(s), "the client answers uTP on %s: over it peers walk around paygate", at)
		}
	}
	return pass(CheckUTP, "nobody answers uTP at the client's port (%s)", count(looked, "address"))
}

// addresses are the client's own address and then those of this machine, without those that a name for the network
// card goes with.
func addresses(first netip.Addr, own []netip.Addr) []netip.Addr {
	list := []netip.Addr{first}
	for _, a := range own {
		if a != first && !a.IsLinkLocalUnicast() && len(list) < maxOwn {
			list = append(list, a)
		}
	}
	return list
}
