package matrix

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"paygate/test/clients"
)

// ground is where a cell takes place: the owner's machine with the client under test and its paygate, and the world
// with everybody else; through a gateway, the client has a namespace of its own behind the machine.
type ground struct {
	client, machine, world *place
}

// place has addresses towards the others and, if there is root, is a network namespace.
type place struct {
	namespace string // its path; empty: none
	v4, v6    netip.Addr
	enter     func(func() error) error // calls a function there
	run       func(args ...string)     // runs a program there, which must succeed
}

// The machine's interfaces towards the world, and towards a client that is alone behind it.
const (
	worldInterface  = "m0"
	clientInterface = "m1"
)

// address is the one of the family.
func (p *place) address(ipv6 bool) netip.Addr {
	if ipv6 {
		return p.v6
	}
	return p.v4
}

// loopback is a ground without root: everybody on one machine, told apart by their addresses as far as IPv6 has them.
func loopback(t testing.TB) ground {
	hosts := [4]byte{127, byte(16 + rand.IntN(48)), byte(rand.IntN(256)), 0}
	at := func(host byte) *place {
		hosts[3] = host
		return &place{
			v4: netip.AddrFrom4(hosts), v6: netip.IPv6Loopback(),
			enter: func(f func() error) error { return f() },
			run:   func(...string) { t.Fatal("programs that need root were to be run without it") },
		}
	}
	machine := at(2)
	return ground{client: machine, machine: machine, world: at(1)}
}

// port is free on every place of the ground.
func port(t testing.TB) uint16 {
	p, err := clients.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return p
}
