package firewall

import (
	"fmt"
	"net/netip"
)

// gatewayChains are the rules for a client behind an interface of this machine.
func (o Options) gatewayChains() []chain {
	return []chain{
		{
			about: []string{"Connections that the client opens to the world go to paygate, which asks the kernel where they were to go."},
			name:  "outgoing", hook: "nat hook prerouting priority -100",
			rules: o.gatewayRedirect(),
		},
		{
			about: []string{"Connections keep their addresses: TPROXY brings them to paygate, packet by packet."},
			name:  "transparent", hook: "filter hook prerouting priority -150",
			rules: o.transparentRules(),
		},
		{
			about: []string{"Nobody else connects to the listener for redirected connections."},
			name:  "arriving", hook: "filter hook input priority 0",
			rules: o.gatewayInput(),
		},
		{
			about: []string{
				"Whatever else goes from or to the client is not passed on, even if this machine forwards packets:",
				"uTP, DHT, port forwarding.",
			},
			name: "forwarded", hook: "filter hook forward priority 0",
			rules: []string{fmt.Sprintf("iifname %q drop", o.ClientIf), fmt.Sprintf("oifname %q drop", o.ClientIf)},
		},
	}
}

// gatewayRedirect is the part that works without any right of paygate's.
func (o Options) gatewayRedirect() []string {
	var rules []string
	if o.Redirect != 0 {
		rules = append(rules, fmt.Sprintf("iifname %q fib daddr type != local meta l4proto tcp redirect to :%d", o.ClientIf, o.Redirect))
	}
	port := o.Client.Port()
	if o.TProxy == 0 && o.Peers != 0 && port != 0 && o.Peers != port {
		rules = append(rules, fmt.Sprintf("%s fib daddr type local tcp dport %d redirect to :%d", o.fromPeers(), port, o.Peers))
	}
	return rules
}

// fromPeers matches what peers send.
func (o Options) fromPeers() string {
	if o.PeersIf == "" {
		return fmt.Sprintf("iifname != %q", o.ClientIf)
	}
	return fmt.Sprintf("iifname %q", o.PeersIf)
}

// transparentRules refuse what cannot be carried at once, so that the client need not wait; take the client's answers to
// peers that it believes to have connected; then what is on its way to the client, or from it.
func (o Options) transparentRules() []string {
	rules := []string{
		fmt.Sprintf("iifname %q meta l4proto { udp, sctp, dccp } fib daddr type != { local, broadcast, multicast } reject with icmpx admin-prohibited", o.ClientIf),
	}
	mark := "meta mark set " + o.mark() + " accept"
	if o.FromPeer {
		rules = append(rules, fmt.Sprintf("iifname %q meta l4proto tcp socket transparent 1 %s", o.ClientIf, mark))
	}
	if o.TProxy == 0 {
		return rules
	}
	if port := o.Client.Port(); port != 0 {
		to := fmt.Sprintf("%s tcp dport %d", o.fromPeers(), port)
		rules = append(rules,
			fmt.Sprintf("%s fib daddr type local tproxy ip to :%d %s", to, o.TProxy, mark),
			fmt.Sprintf("%s fib daddr type local tproxy ip6 to :%d %s", to, o.TProxy, mark))
		for _, client := range []netip.Addr{o.Client.Addr(), o.ClientV6.Addr()} {
			if client.IsValid() {
				family := map[bool]string{true: "ip", false: "ip6"}[client.Is4()]
				rules = append(rules, fmt.Sprintf("%s %s daddr %s tproxy %s to :%d %s", to, family, client, family, o.TProxy, mark))
			}
		}
	}
	if o.Redirect == 0 {
		world := fmt.Sprintf("iifname %q meta l4proto tcp fib daddr type != local", o.ClientIf)
		rules = append(rules,
			fmt.Sprintf("%s tproxy ip to :%d %s", world, o.TProxy, mark),
			fmt.Sprintf("%s tproxy ip6 to :%d %s", world, o.TProxy, mark))
	}
	return rules
}

func (o Options) gatewayInput() []string {
	if o.Redirect == 0 {
		return nil
	}
	return []string{fmt.Sprintf("iifname != { %q, \"lo\" } tcp dport %d drop", o.ClientIf, o.Redirect)}
}

// gatewayRoutes deliver here what carries our mark.
func (o Options) gatewayRoutes() []Route {
	if o.TProxy == 0 && !o.FromPeer {
		return nil
	}
	const about = "Packets that the rules have marked are for paygate, whatever their destination."
	selects := "fwmark " + o.mark()
	return []Route{{"-4", selects, about}, {"-6", selects, about}}
}
