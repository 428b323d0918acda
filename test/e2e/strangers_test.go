package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/scenario"
	"paygate/test/swarm"
	"paygate/units"
)

// strangers are what selling rules do to peers that cannot pay.
func strangers() []proof {
	return []proof{
		{
			name: "action legacy",
			proves: "A peer without paygate gets nothing from legacy: choke, its sample and the day's budgets from sample, the rate of " +
				"throttle, everything from serve, and with deny: true no connection; by whatever right the rule charges.",
			run: testLegacy,
		},
		{
			name:   "action max_peers",
			proves: "A rule with max_peers: 1 serves one peer, and the next once that has left.",
			run:    testMaxPeers,
		},
	}
}

// seller is a seller alone.
func seller(t *testing.T) *scenario.Pair {
	t.Helper()
	need(t, clients.Anacrolix)
	site := newSite(t, actionSize)
	return newPair(t, site, newNetwork(t, site, 0), "p", scenario.Plan{
		Seller: clients.Anacrolix, Terms: scenario.Terms{Price: price(t, "1000 sat per GiB")},
	})
}

// taking is a peer that takes what it gets, up to as many bytes as the torrent has, and stays.
type taking struct {
	bytes atomic.Int64
	stop  context.CancelFunc
	ended chan struct{} // closed when its connection is
	err   error         // what closed it, other than stop; for reading when ended is closed
}

// take connects a peer of that number. It leaves at the end of the test at the latest.
func take(ctx context.Context, t *testing.T, p *scenario.Pair, number int) *taking {
	t.Helper()
	return takeSome(ctx, t, p.SellsAt(), p.Site.Torrent, number, func(int) bool { return true })
}

// takeSome is take for some pieces of a torrent.
func takeSome(
	ctx context.Context, t *testing.T, at netip.AddrPort, torrent *swarm.Torrent, number int, wants func(piece int) bool,
) *taking {
	t.Helper()
	ctx, stop := context.WithCancel(ctx)
	k := &taking{stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(k.ended)
		if err := k.run(ctx, at, torrent, number, wants); ctx.Err() == nil {
			k.err = err
		}
	}()
	t.Cleanup(func() { k.leave(t) })
	return k
}

func (k *taking) run(ctx context.Context, at netip.AddrPort, torrent *swarm.Torrent, number int, wants func(piece int) bool) error {
	peer, err := newTaker(ctx, number, at, torrent)
	if err != nil {
		return err
	}
	defer peer.conn.Close()
	defer context.AfterFunc(ctx, func() { _ = peer.conn.SetDeadline(time.Now()) })()
	for k.got() < torrent.Size {
		for !wants(int(peer.block().Index)) {
			peer.next++
		}
		if err := peer.take(1); err != nil {
			return err
		}
		k.bytes.Add(int64(takerBlock))
	}
	_, _, err = peer.read()
	return err
}

func (k *taking) got() units.Bytes { return units.Bytes(k.bytes.Load()) }

// gets waits until a peer has got that much.
func (k *taking) gets(ctx context.Context, t *testing.T, least units.Bytes) {
	t.Helper()
	await(ctx, t, func() error {
		if n := k.got(); n < least {
			return fmt.Errorf("a peer got %d bytes of %d", n, least)
		}
		return nil
	})
}

// getsNoMore wants a peer to have got just that much, now and a while later.
func (k *taking) getsNoMore(ctx context.Context, t *testing.T, most units.Bytes) {
	t.Helper()
	wait(ctx, t, watched)
	if n := k.got(); n != most {
		t.Errorf("a peer got %d bytes, want %d", n, most)
	}
}

// leave ends the connection and wants nothing else to have ended it.
func (k *taking) leave(t *testing.T) {
	t.Helper()
	k.stop()
	<-k.ended
	if k.err != nil && !errors.Is(k.err, os.ErrDeadlineExceeded) {
		t.Error(k.err)
	}
}

// from is a condition that the peer of a number meets.
func from(number int) string { return fmt.Sprintf("match: {peer: 127.50.%d.0/24}", number) }

const (
	asked   = "price: 1000 sat per GiB"
	watched = 2 * time.Second // for which a peer is watched that should get nothing more
)

func testLegacy(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := seller(t)
	const trickle = 256 * units.KiB
	rules := []string{
		from(1) + ", legacy: choke, sample: 1 MiB, rights: licensed, " + asked,
		from(2) + ", legacy: throttle, throttle: 256 KiB, rights: creative-commons, " + asked,
		from(3) + ", legacy: serve, rights: public-domain, " + asked,
		from(4) + ", deny: true",
		"legacy: sample, sample: 1 MiB, rights: own, " + asked,
	}
	sells(ctx, t, p, "  sample_per_torrent_day: 1536 KiB\n", rules...)
	began := time.Now()
	choked, throttled, served := take(ctx, t, p, 1), take(ctx, t, p, 2), take(ctx, t, p, 3)
	testDenied(ctx, t, p, 4)
	sampled := []*taking{take(ctx, t, p, 5), take(ctx, t, p, 5), take(ctx, t, p, 6)}
	sum := func() (one, other units.Bytes) { return sampled[0].got() + sampled[1].got(), sampled[2].got() }
	await(ctx, t, func() error {
		one, other := sum()
		if throttled.got() < trickle || served.got() < actionSize || one+other < 1536*units.KiB {
			return fmt.Errorf("throttle: %d bytes, serve: %d, sample: %d and %d", throttled.got(), served.got(), one, other)
		}
		return nil
	})
	wait(ctx, t, watched)
	if n := choked.got(); n != 0 {
		t.Errorf("choke: %d bytes", n)
	}
	if n, most := throttled.got(), units.Bytes((time.Since(began).Seconds()+2)*float64(trickle)); n > most {
		t.Errorf("throttle: %d bytes, more than %d", n, most)
	}
	if one, other := sum(); one > units.MiB || other > units.MiB || one+other != 1536*units.KiB {
		t.Errorf("sample: %d bytes for two peers of one network, %d for another", one, other)
	}
	testSampleOfTheDay(ctx, t, p, rules)
}

// testDenied wants a connection to be closed without a byte.
func testDenied(ctx context.Context, t *testing.T, p *scenario.Pair, number int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	k, err := newTaker(ctx, number, p.SellsAt(), p.Site.Torrent)
	if err == nil {
		defer k.conn.Close()
		err = k.take(1)
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a refused peer's connection was not closed: %v", err)
	}
}

// testSampleOfTheDay lets samples of another day's size stop at what was given before, on every torrent.
func testSampleOfTheDay(ctx context.Context, t *testing.T, p *scenario.Pair, rules []string) {
	t.Helper()
	const all, left = 1792 * units.KiB, 256 * units.KiB
	sells(ctx, t, p, "  sample_per_torrent_day: 10 MiB\n  sample_per_day: 1792 KiB\n", rules...)
	last := take(ctx, t, p, 7)
	last.gets(ctx, t, left)
	last.getsNoMore(ctx, t, left)
	await(ctx, t, func() error {
		st, err := p.SellerGate.Status(ctx)
		if err == nil && (st.Totals.SampleBytes != all || st.Totals.SoldBytes != 0) {
			err = fmt.Errorf("the books have %d bytes of samples and %d sold, want %d and 0", st.Totals.SampleBytes, st.Totals.SoldBytes, all)
		}
		return err
	})
}

// testMaxPeers has one rule that bounds the rate, too, and one that does not: paygate then leaves its connections alone.
func testMaxPeers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := seller(t)
	sells(ctx, t, p, "",
		"match: {peer: [127.50.1.0/24, 127.50.2.0/24]}, max_peers: 1, upload: 512 KiB/s, legacy: serve, "+asked,
		"match: {peer: [127.50.3.0/24, 127.50.4.0/24]}, max_peers: 1, legacy: serve, "+asked)
	slow := []*taking{take(ctx, t, p, 1), take(ctx, t, p, 2)}
	fast := []*taking{take(ctx, t, p, 3), take(ctx, t, p, 4)}
	// served waits until one peer of a rule has that much, and returns it first.
	served := func(two []*taking, least units.Bytes) (first, second *taking) {
		t.Helper()
		await(ctx, t, func() error {
			if first, second = two[0], two[1]; first.got() < second.got() {
				first, second = second, first
			}
			if first.got() < least {
				return fmt.Errorf("two peers got %d and %d bytes of one place", first.got(), second.got())
			}
			return nil
		})
		return first, second
	}
	s1, s2 := served(slow, units.MiB)
	f1, f2 := served(fast, actionSize)
	wait(ctx, t, watched)
	if s2.got()+f2.got() > 0 {
		t.Errorf("two others got %d and %d bytes of places that were taken", s2.got(), f2.got())
	}
	s1.leave(t)
	f1.leave(t)
	s2.gets(ctx, t, units.MiB)
	f2.gets(ctx, t, actionSize)
}
