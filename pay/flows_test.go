package pay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"paygate/client"
	"paygate/config"
	"paygate/proxy"
	"paygate/units"
)

func (s *sim) paid() units.Msat {
	_, b := s.totals()
	return b.Paid
}

// whenSim is a sale to a buyer that does not pay at all times. The seller gives nothing away.
func whenSim(t *testing.T, when config.BuyWhen) *sim {
	t.Helper()
	sell, buy := simRules()
	sell.Rules[0].Sample = 0
	buy.Rules[0].When = when
	s := newSim(t, newBank(0), sell, buy)
	s.knows = true
	return s
}

// helper is a peer without our dialect that has all of the torrent; give sends a second's bytes of it.
func (s *sim) helper() (c *conversation, end func()) {
	l := &simLink{s: s, initiator: true, remote: newPeerAddr, other: func() *conversation { return nil }}
	c = s.buyer.open(l)
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { defer close(done); c.Run(ctx) }()
	for _, k := range []proxy.EventKind{proxy.Ready, proxy.RemoteHello, proxy.ClientHas, proxy.ClientInterested, proxy.RemoteUnchoke} {
		c.Notify(proxy.Event{Kind: k})
	}
	return c, func() { cancel(); <-done }
}

func TestNothingIsPaidWhileEnoughComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := whenSim(t, config.BuyWhen{Kind: config.BuySlower, Rate: units.MiB, For: 30 * time.Second})
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		s.start()
		free, end := s.helper()
		for range 60 {
			for range 2 << 20 / block {
				free.Notify(proxy.Event{Kind: proxy.ClientRequest, N: block})
				free.Moved(block, false, false)
			}
			s.transfer(time.Second)
		}
		if got := s.paid(); got != 0 {
			t.Errorf("%v was paid while 2 MiB/s came", got)
		}
		s.transfer(20 * time.Second) // nothing comes any more
		if got := s.paid(); got != 0 {
			t.Errorf("%v was paid before 30 s were over", got)
		}
		s.transfer(40 * time.Second)
		if got := s.paid(); got == 0 {
			t.Error("nothing was paid although nothing comes")
		}
		end()
		s.close()
	})
}

func TestNothingIsPaidWhileASeedIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := whenSim(t, config.BuyWhen{Kind: config.BuyNoFreeSeeds})
		defer func() { s.sellerL.Close(); s.buyerL.Close() }()
		ctx, cancel := context.WithCancel(context.Background())
		s.stop = cancel
		for _, d := range []*Desk{s.seller, s.buyer} {
			s.wg.Go(func() { _ = d.Run(ctx) })
		}
		free, end := s.helper()
		time.Sleep(10 * time.Second) // it is legacy by now, and still watched
		s.connect(ctx)
		s.transfer(20 * time.Second)
		if got := s.paid(); got != 0 {
			t.Errorf("%v was paid beside a free seed", got)
		}
		free.Notify(proxy.Event{Kind: proxy.RemoteChoke})
		s.transfer(20 * time.Second)
		if got := s.paid(); got == 0 {
			t.Error("nothing was paid although the free seed chokes")
		}
		end()
		s.close()
	})
}

// swarm is a client whose torrents have so many seeds.
type swarm struct{ seeds int }

func (s swarm) Torrent(units.InfoHash) (client.Torrent, bool) {
	return client.Torrent{Seeds: s.seeds, PrivateKnown: true}, true
}

func TestRareTorrentsArePaidFor(t *testing.T) {
	for seeds, pays := range map[int]bool{-1: false, 0: true, 2: true, 3: false} {
		synctest.Test(t, func(t *testing.T) {
			s := whenSim(t, config.BuyWhen{Kind: config.BuyRare})
			defer func() { s.sellerL.Close(); s.buyerL.Close() }()
			s.buyer.known.torrents = swarm{seeds}
			s.start()
			s.transfer(10 * time.Second)
			if got := s.paid(); (got > 0) != pays {
				t.Errorf("%d seeds: %v was paid", seeds, got)
			}
			s.close()
		})
	}
}
