package pay

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"paygate/client"
	"paygate/proxy"
	"paygate/units"
)

func TestBytesThatNobodyAskedForBuyNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		sell.Rules[0].When, sell.Rules[0].Sample = "always", 0
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.bank.down = true
		s.size = 8 << 20
		s.start()
		for range s.size / block {
			s.sc.Moved(block, false, false)
		}
		s.transfer(30 * time.Second)
		s.close()
		if s.got > int64(advance) {
			t.Errorf("%d bytes were given for junk", s.got)
		}
	})
}

// TestTitForTatIsNoSample serves a torrent that our client has not completed, and that is free for so long.
func TestTitForTatIsNoSample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		ctx, end := s.opensShop()
		c, _ := s.peer(ctx)
		c.Notify(proxy.Event{Kind: proxy.ClientHas, Complete: false})
		s.greets(c)
		time.Sleep(2 * time.Second)
		for range 8192 {
			c.Request(block)
			c.Moved(block, true, true)
		}
		time.Sleep(2 * time.Second)
		end()
		used, err := s.sellerL.SampleUsed(t.Context(), s.infoHash, subnetOf(newPeerAddr.Addr()))
		if err != nil || used.Subnet != 0 || used.TorrentDay != 0 || used.Day != 0 {
			t.Errorf("%+v, %v", used, err)
		}
	})
}

// growing is a client that has so much of a torrent of 100 bytes.
type growing struct{ done *atomic.Int64 }

func (g growing) Torrent(ih units.InfoHash) (client.Torrent, bool) {
	return client.Torrent{Hashes: []units.InfoHash{ih}, PrivateKnown: true, Size: 100, Done: units.Bytes(g.done.Load())}, true
}

// TestTitForTatEndsWithTheDownload goes on for hours while the client downloads, and not after that.
func TestTitForTatEndsWithTheDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		var done atomic.Int64
		s.seller.known.torrents = growing{&done}
		ctx, end := s.opensShop()
		c, l := s.peer(ctx)
		c.Notify(proxy.Event{Kind: proxy.ClientHas, Complete: false})
		s.greets(c)
		for _, step := range []struct {
			done  int64
			ended string
		}{{0, ""}, {99, ""}, {100, complete}} {
			done.Store(step.done)
			time.Sleep(time.Hour)
			l.mu.Lock()
			if l.closed != step.ended {
				t.Errorf("with %d of 100 bytes: closed %q, want %q", step.done, l.closed, step.ended)
			}
			l.mu.Unlock()
		}
		end()
	})
}

// TestOverrunIsChargedOnce has the client send more than the peer has credit for, as it may after a choke.
func TestOverrunIsChargedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sell, buy := simRules()
		s := newSim(t, newBank(0), sell, buy)
		defer s.sellerL.Close()
		defer s.buyerL.Close()
		s.start()
		s.transfer(time.Second)
		time.Sleep(3 * time.Second)
		for n := s.sc.avail.Load() + 64*block; n > 0; n -= block {
			s.sc.Moved(block, true, false)
		}
		time.Sleep(3 * time.Second)
		s.close()
		var stocked units.Bytes
		for _, b := range s.sc.seller.stock.batches {
			stocked += b.bytes
		}
		unsettled := units.Bytes(s.sc.served.Load() - s.sc.seller.stock.settled)
		if avail := units.Bytes(s.sc.avail.Load()); avail != stocked-unsettled {
			t.Errorf("%d bytes may be served, of %d in stock and %d not settled", avail, stocked, unsettled)
		}
	})
}

// TestThrottleDoesNotTryHeldRequestsForEachByte looks at a throttled peer every millisecond, as one that asks for more
// than it may have makes us do.
func TestThrottleDoesNotTryHeldRequestsForEachByte(t *testing.T) {
	for _, rate := range []units.Bytes{64 * units.KiB, units.MiB, 4 * units.MiB, units.GiB} {
		t.Run(rate.String(), func(t *testing.T) {
			sell, buy := simRules()
			sell.Rules[0].Legacy, sell.Rules[0].Throttle = "throttle", rate
			s := newSim(t, newBank(0), sell, buy)
			defer s.sellerL.Close()
			defer s.buyerL.Close()
			c := s.seller.open(&simLink{s: s, remote: newPeerAddr})
			tries, began := 0, time.Now()
			for at := time.Duration(0); at <= 5*time.Second; at += time.Millisecond {
				if c.seller.trickle(began.Add(at)); !c.seller.trickled {
					continue
				}
				tries++
				c.seller.trickled = false
				for c.Request(block) {
					c.Moved(block, true, true)
				}
			}
			if tries > int(5*time.Second/activeTick) {
				t.Errorf("held requests were tried %d times in 5 s", tries)
			}
			if got := units.Bytes(c.served.Load()); got < 4*rate || got > 5*rate {
				t.Errorf("%v in 5 s", got)
			}
		})
	}
}

// opensShop runs the seller's desk alone; end ends it and all sessions that peer began.
func (s *sim) opensShop() (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	s.wg.Go(func() { _ = s.seller.Run(ctx) })
	synctest.Wait()
	return ctx, func() { cancel(); s.wg.Wait() }
}

// peer begins a session with the seller's desk of which the test plays both clients.
func (s *sim) peer(ctx context.Context) (*conversation, *simLink) {
	l := &simLink{s: s, remote: newPeerAddr, other: func() *conversation { return nil }}
	c := s.seller.open(l)
	s.wg.Go(func() { c.Run(ctx) })
	return c, l
}

// greets completes the handshake of a peer that can pay.
func (s *sim) greets(c *conversation) {
	advert := s.seller.newAdvert()
	c.Notify(proxy.Event{Kind: proxy.Ready})
	c.Notify(proxy.Event{Kind: proxy.RemoteHello, Dialects: []bool{true}, Dicts: [][]byte{advert.Encode()}})
}
