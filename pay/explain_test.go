package pay

import (
	"net/netip"
	"testing"

	"paygate/config"
	"paygate/units"
)

// TestExplainKnowsWhoIsConnected takes what a connection has told into account, and nothing of another one.
func TestExplainKnowsWhoIsConnected(t *testing.T) {
	client := config.SellRule{Name: "client", Match: config.Match{ClientID: []string{"-XX"}}}
	friend := config.SellRule{Name: "friend", Match: config.Match{Identity: []units.PeerKey{{1}}}}
	d, link, talk := reviewed(t, "-XX1000-abcdefghijkl", friend, client, config.SellRule{Name: "rest", Any: true, Price: somePrice})
	decide := func(remote netip.Addr) (string, bool) {
		f, connected := d.Facts(link.InfoHash(), remote)
		sell, _, blocked := d.Explain(f)
		if blocked {
			t.Error("blocked")
		}
		return sell.Rule.Name, connected
	}
	if rule, connected := decide(link.remote.Addr()); rule != "rest" || connected {
		t.Errorf("before: %q, %v", rule, connected)
	}
	d.register(talk)
	defer d.unregister(talk)
	if rule, connected := decide(link.remote.Addr()); rule != "client" || !connected {
		t.Errorf("connected: %q, %v", rule, connected)
	}
	talk.shown.set(Talk{Paying: "sell", Buyer: units.PeerKey{1}})
	if rule, connected := decide(link.remote.Addr()); rule != "friend" || !connected {
		t.Errorf("introduced: %q, %v", rule, connected)
	}
	for _, other := range []netip.Addr{netip.MustParseAddr("192.0.2.8"), {}} {
		if rule, connected := decide(other); rule != "rest" || connected {
			t.Errorf("another peer: %q, %v", rule, connected)
		}
	}
}
