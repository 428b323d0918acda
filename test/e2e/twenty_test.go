package e2e

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"paygate/proxy/wire"
	"paygate/test/clients"
	"paygate/test/process"
	"paygate/test/scenario"
	"paygate/test/swarm"
	"paygate/units"
)

const (
	takers     = 20
	takerBlock = 16 * units.KiB
	takerShare = 16 // blocks between one roll call and the next
	takerCalls = 3  // roll calls
)

// twenty are the two oldest clients and the two newest in front of twenty peers.
func twenty() []proof {
	var all []proof
	for _, kind := range []clients.Kind{clients.QBittorrent, clients.Transmission, clients.QBittorrent5, clients.Transmission4} {
		for _, terms := range []scenario.Terms{{}, {Legacy: "serve"}} {
			all = append(all, proof{
				name: fmt.Sprintf("twenty peers at %s, gated %t", kind, terms.Legacy != ""),
				proves: "Twenty peers from twenty addresses through one paygate to one qBittorrent and one Transmission are all " +
					"connected and served at once (upload slots unlimited in both).",
				run: func(t *testing.T) { testTwenty(t, kind, terms) },
			})
		}
	}
	return all
}

// testTwenty lets every peer take some blocks, and none go on before all have theirs and all are still connected.
func testTwenty(t *testing.T, kind clients.Kind, terms scenario.Terms) {
	need(t, kind)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	site := newSite(t, 16*units.MiB)
	var network *scenario.Network
	if terms.Legacy != "" {
		terms.Price = price(t, "1000 sat per GiB")
		network = newNetwork(t, site, 0)
	}
	p := newPair(t, site, network, "p", scenario.Plan{Seller: kind, Terms: terms})
	start := time.Now()
	peers := make([]*taker, takers)
	each(t, peers, func(i int) (err error) {
		peers[i], err = newTaker(ctx, i, p.SellsAt(), site.Torrent)
		return err
	})
	for _, peer := range peers {
		defer peer.conn.Close()
	}
	for call := range takerCalls {
		each(t, peers, func(i int) error { return peers[i].take(takerShare) })
		t.Logf("%s: all %d peers have %d blocks each", time.Since(start).Round(10*time.Millisecond), takers, (call+1)*takerShare)
		if err := process.Poll(ctx, pollEvery, func() error { return allThere(ctx, p) }); err != nil {
			t.Fatal(err)
		}
	}
}

const pollEvery = 200 * time.Millisecond

// allThere asks paygate and the client who is connected.
func allThere(ctx context.Context, p *scenario.Pair) error {
	st, err := p.SellerGate.Status(ctx)
	if err != nil {
		return err
	}
	connected, err := p.Seller.Peers(ctx, p.Site.Torrent.InfoHash)
	if err != nil {
		return err
	}
	if len(st.Sessions) != takers || connected != takers {
		return fmt.Errorf("paygate has %d sessions and the client %d peers, of %d", len(st.Sessions), connected, takers)
	}
	return nil
}

// each calls do for all peers at once, and ends the test unless all succeed.
func each(t *testing.T, peers []*taker, do func(i int) error) {
	t.Helper()
	problems := make([]error, len(peers))
	var all sync.WaitGroup
	for i := range peers {
		all.Go(func() {
			if err := do(i); err != nil {
				problems[i] = fmt.Errorf("peer %d: %w", i, err)
			}
		})
	}
	all.Wait()
	if err := errors.Join(problems...); err != nil {
		t.Fatal(err)
	}
}

// taker is a peer without extensions that asks for one block after the other.
type taker struct {
	conn    net.Conn
	in      *bufio.Reader
	torrent *swarm.Torrent
	next    int64 // block to ask for
	choked  bool
}

// newTaker connects from an address in a network of its own, and says that it is interested.
func newTaker(ctx context.Context, number int, to netip.AddrPort, torrent *swarm.Torrent) (*taker, error) {
	from := &net.TCPAddr{IP: net.IPv4(127, 50, byte(number), 1)}
	conn, err := (&net.Dialer{LocalAddr: from}).DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	k := &taker{conn: conn, in: bufio.NewReader(conn), torrent: torrent, next: int64(number) * 17, choked: true}
	if err := k.greet(ctx, number); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return k, nil
}

func (k *taker) greet(ctx context.Context, number int) error {
	if deadline, ok := ctx.Deadline(); ok {
		if err := k.conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	head := wire.NewHead(k.torrent.InfoHash)
	hello := append(head[:], fmt.Sprintf("-XX0001-%012d", number)...)
	if _, err := k.conn.Write(append(hello, wire.FrameInterested()...)); err != nil {
		return err
	}
	_, err := io.ReadFull(k.in, make([]byte, len(hello)))
	return err
}

// take asks for blocks, one at a time, and returns when it has got n of them.
func (k *taker) take(n int) error {
	for asked := false; n > 0; {
		if !k.choked && !asked {
			if _, err := k.conn.Write(wire.AppendRequest(nil, k.block())); err != nil {
				return err
			}
			asked = true
		}
		id, payload, err := k.read()
		if err != nil {
			return fmt.Errorf("with %d blocks to go, choked %t: %w", n, k.choked, err)
		}
		switch id {
		case 0: // choke: what was asked for is forgotten
			k.choked, asked = true, false
		case 1: // unchoke
			k.choked = false
		case 7: // piece
			if len(payload) != 8+int(takerBlock) {
				return fmt.Errorf("a piece message of %d bytes", len(payload))
			}
			asked = false
			k.next++
			n--
		}
	}
	return nil
}

// block is the next one, round and round through all but the last piece, which is shorter.
func (k *taker) block() wire.Block {
	perPiece := int64(swarm.PieceLength / takerBlock)
	whole := int64(k.torrent.Size/swarm.PieceLength) * perPiece
	at := k.next % whole
	return wire.Block{Index: uint32(at / perPiece), Begin: uint32(at % perPiece * int64(takerBlock)), Length: uint32(takerBlock)}
}

// read returns the next message that is not a keepalive.
func (k *taker) read() (id byte, payload []byte, err error) {
	for {
		var length [4]byte
		if _, err := io.ReadFull(k.in, length[:]); err != nil {
			return 0, nil, err
		}
		n := binary.BigEndian.Uint32(length[:])
		if n == 0 {
			continue
		}
		if n > 1<<20 {
			return 0, nil, fmt.Errorf("a message of %d bytes", n)
		}
		message := make([]byte, n)
		if _, err := io.ReadFull(k.in, message); err != nil {
			return 0, nil, err
		}
		return message[0], message[1:], nil
	}
}
