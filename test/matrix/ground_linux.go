package matrix

import (
	"net/netip"
	"testing"

	"paygate/test/netns"
)

// newGround lays cables between namespaces if there is root; else the ground is loopback. Without a gateway, the
// client is on the machine.
func newGround(t testing.TB, behindGateway bool) ground {
	if netns.Reason() != "" {
		return loopback(t)
	}
	lab := netns.NewLab(t)
	machine, world := lab.Namespace("machine"), lab.Namespace("world")
	lab.Connect(machine, worldInterface, "10.97.0.2/24 fd97::2/64", world, "w0", "10.97.0.1/24 fd97::1/64")
	g := ground{machine: newPlace(machine, "10.97.0.2", "fd97::2"), world: newPlace(world, "10.97.0.1", "fd97::1")}
	g.client = g.machine
	if behindGateway {
		client := lab.Namespace("client")
		lab.Connect(client, "c0", "10.98.0.2/24 fd98::2/64", machine, clientInterface, "10.98.0.1/24 fd98::1/64")
		client.Run("ip", "route", "add", "default", "via", "10.98.0.1")
		client.Run("ip", "-6", "route", "add", "default", "via", "fd98::1")
		g.client = newPlace(client, "10.98.0.2", "fd98::2")
	}
	return g
}

func newPlace(ns *netns.Namespace, v4, v6 string) *place {
	return &place{
		namespace: "/run/netns/" + ns.Name, v4: netip.MustParseAddr(v4), v6: netip.MustParseAddr(v6),
		enter: ns.Do, run: func(args ...string) { ns.Run(args[0], args[1:]...) },
	}
}

// rootless says why cells that need more than loopback cannot be run here; empty: they can.
func rootless() string { return netns.Reason("nft", "nsenter", "setpriv") }
