package proxy

import "testing"

// TestProxiesOfOneProcessShareLimitsAndIDs: two clients together may hold no more than one, and no two sessions are
// called the same.
func TestProxiesOfOneProcessShareLimitsAndIDs(t *testing.T) {
	cfg := Config{Connections: 1, PerAddress: 1, Handshakes: 1}
	common := NewCommon(cfg)
	var both [2]*Proxy
	for i := range both {
		p, err := New(cfg, Deps{Common: common})
		if err != nil {
			t.Fatal(err)
		}
		both[i] = p
		defer func() { _ = p.close() }()
	}
	slot, err := both[0].limits.outbound()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := both[1].limits.outbound(); err == nil {
		t.Error("each proxy has limits of its own")
	}
	slot.free()
	seen := map[uint64]bool{}
	for i := range 10 {
		_, remote := pair(t)
		_, client := pair(t)
		s, err := both[i%2].newSession(legs{remote: side{conn: remote}, client: side{conn: client}}, Free)
		if err != nil {
			t.Fatal(err)
		}
		if seen[s.ID()] {
			t.Errorf("two sessions have the id %d", s.ID())
		}
		seen[s.ID()] = true
	}
}
