package pay

import (
	"testing"
	"time"

	"paygate/proxy"
)

// TestMessageBeforeReadyIsKept: the remote may answer our extended handshake before the proxy has told that it has gone
// out. What it says then is heard.
func TestMessageBeforeReadyIsKept(t *testing.T) {
	sell, buy := simRules()
	s := newSim(t, newBank(0), sell, buy)
	defer s.sellerL.Close()
	defer s.buyerL.Close()
	if err := s.seller.askNode(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.sl = &simLink{s: s, remote: newPeerAddr, other: func() *conversation { return s.bc }}
	s.bl = &simLink{s: s, initiator: true, remote: newPeerAddr, other: func() *conversation { return s.sc }}
	s.sc, s.bc = s.seller.open(s.sl), s.buyer.open(s.bl)
	s.sc.Notify(proxy.Event{Kind: proxy.ClientHas, Complete: true})
	s.sc.Notify(proxy.Event{Kind: proxy.Ready})
	s.sc.Notify(proxy.Event{Kind: proxy.RemoteHello, Dialects: []bool{true}, Dicts: [][]byte{s.bc.dict}})
	s.sc.step(t.Context(), time.Now()) // greets
	s.bc.Notify(proxy.Event{Kind: proxy.RemoteHello, Dialects: []bool{true}, Dicts: [][]byte{s.sc.dict}})
	s.bc.step(t.Context(), time.Now())
	s.bc.Notify(proxy.Event{Kind: proxy.Ready})
	s.bc.step(t.Context(), time.Now())
	if s.bc.buyer.seller.IsZero() || s.bc.buyer.terms == nil {
		t.Error("the seller's hello and terms were not heard")
	}
}
