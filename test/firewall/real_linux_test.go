package firewall

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"paygate/proxy/wire"
	"paygate/test/clients"
	"paygate/test/netns"
	"paygate/test/process"
	"paygate/test/swarm"
	"paygate/units"
)

// TestRealClientsSeeTrueAddresses lets twenty peers, half of them by IPv6, come to a real client in a namespace. The
// client must take them for twenty peers, and answer each of them.
func TestRealClientsSeeTrueAddresses(t *testing.T) {
	for _, kind := range []clients.Kind{clients.Transmission, clients.QBittorrent} {
		t.Run(string(kind), func(t *testing.T) {
			if why := kind.Missing(); why != "" {
				t.Skip(why)
			}
			if why := netns.Reason("nft", "nsenter"); why != "" {
				t.Skip(why)
			}
			inside, gateway, world := homes(t)
			s := newSite(t, gateway, transparentConfig+`{redirect: ":17000", tproxy: ":17001"}`)
			s.firewall("apply", "--client-if", "g1", "--peers-if", "g2")
			c, ih := seed(t, kind, inside)
			for i := range 10 {
				four, six := fmt.Sprintf("198.51.100.%d", 100+i), fmt.Sprintf("2001:db8:1::%x", 0x100+i)
				world.Run("ip", "address", "add", four, "dev", "lo")
				world.Run("ip", "address", "add", six, "dev", "lo", "nodad")
				greet(t, world, ih, four, "192.0.2.1:6881")
				greet(t, world, ih, six, "[2001:db8::1]:6881")
			}
			err := process.Poll(within(t, 20*time.Second), 200*time.Millisecond, func() error {
				n, err := c.Peers(t.Context(), ih)
				if err == nil && n != 20 {
					err = fmt.Errorf("the client has %d peers", n)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, stop := context.WithTimeout(t.Context(), d)
	t.Cleanup(stop)
	return ctx
}

// seed starts a client that has a small torrent.
func seed(t *testing.T, kind clients.Kind, at *netns.Namespace) (clients.Client, units.InfoHash) {
	t.Helper()
	dir := t.TempDir()
	torrent, err := swarm.Make(dir, "firewall", units.MiB)
	if err != nil {
		t.Fatal(err)
	}
	metainfo, err := torrent.Metainfo("")
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t, time.Minute)
	c, err := clients.Launch(ctx, kind, clients.Spec{
		Dir: filepath.Join(dir, "client"), Namespace: "/run/netns/" + at.Name, Everywhere: true, IPv6: true,
		Listen: netip.MustParseAddrPort("0.0.0.0:6881"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Add(ctx, metainfo, dir); err != nil {
		t.Fatal(err)
	}
	return c, torrent.InfoHash
}

// greet connects as a peer, takes the client's handshake, and stays. A client that has only just checked its files may
// hang up at first.
func greet(t *testing.T, world *netns.Namespace, ih units.InfoHash, from, to string) {
	t.Helper()
	err := process.Poll(within(t, 10*time.Second), 200*time.Millisecond, func() error {
		peer, err := dialAs(world, 0, bound(from), to)
		if err != nil {
			return process.Final(err)
		}
		t.Cleanup(func() { peer.Close() })
		if err := peer.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			return process.Final(err)
		}
		head := wire.NewHead(ih)
		if _, err := peer.Write(append(head[:], fmt.Sprintf("-XX0000-%12.12s", from[max(0, len(from)-12):])...)); err != nil {
			return err
		}
		answer := make([]byte, wire.HandshakeLen)
		if _, err := io.ReadFull(peer, answer); err != nil {
			return err
		}
		got, err := wire.ParseHead(answer)
		if err == nil && got.InfoHash() != ih {
			err = fmt.Errorf("it answers for %s", got.InfoHash())
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s: the client does not answer: %v", from, err)
	}
}
