package firewall

import (
	"fmt"
	"path"
	"strings"
)

// hostChains are the rules for a client on this machine.
func (o Options) hostChains() []chain {
	chains := []chain{
		{
			about: []string{
				"Connections that the client opens go to paygate, which asks the kernel where they were to go. They are sent to",
				"the address that they come from, since some clients bind their sockets to an interface.",
			},
			name: "outgoing", hook: "nat hook output priority -100",
			rules: []string{fmt.Sprintf("meta mark %#x accept", Mark), o.who() + " goto to_paygate"},
		},
		{name: "to_paygate", rules: o.redirectRules()},
		{
			about: []string{"Whatever else the client sends does not leave this machine: uTP, DHT, port forwarding, connections from before."},
			name:  "leaving", hook: "filter hook output priority 0",
			rules: []string{fmt.Sprintf("meta mark %#x accept", Mark), o.who() + " goto closed"},
		},
		{name: "closed", rules: o.guardRules()},
		{
			about: []string{"Nobody else connects to the listener for redirected connections."},
			name:  "arriving", hook: "filter hook input priority 0",
			rules: []string{fmt.Sprintf("iifname != \"lo\" tcp dport %d drop", o.Redirect)},
		},
	}
	return append(chains, o.hostInbound())
}

// who matches what the client's sockets send. It must stand first in a rule that does something: packets without a
// socket do not match it, nor its contrary.
func (o Options) who() string {
	if o.Cgroup == "" {
		return fmt.Sprintf("meta skuid %d", o.UID)
	}
	return fmt.Sprintf("socket cgroupv2 level %d %q", strings.Count(path.Clean(o.Cgroup), "/")+1, o.Cgroup)
}

func (o Options) redirectRules() []string {
	rules := []string{"ip daddr 127.0.0.0/8 accept", "ip6 daddr ::1 accept"}
	rules = append(rules, o.dnsRules("tcp")...)
	return append(rules,
		fmt.Sprintf("meta l4proto tcp dnat ip to ip saddr:%d", o.Redirect),
		fmt.Sprintf("meta l4proto tcp dnat ip6 to ip6 saddr:%d", o.Redirect),
	)
}

// guardRules let out what goes to this machine, names to look up, and answers to those who use the client's web
// interface; connections that were open before have a port out of the kernel's range, and are no such answers.
func (o Options) guardRules() []string {
	rules := []string{
		"ip daddr 127.0.0.0/8 accept",
		"ip6 daddr ::1 accept",
		"meta l4proto tcp ct status dnat ct direction original accept",
	}
	if o.Client.Addr().IsLoopback() { // nobody on this machine walks around paygate either
		rules = append(rules,
			fmt.Sprintf("ip saddr != 127.0.0.0/8 tcp sport %d ct direction reply reject with tcp reset", o.Client.Port()),
			fmt.Sprintf("ip6 saddr != ::1 tcp sport %d ct direction reply reject with tcp reset", o.Client.Port()))
	}
	rules = append(rules, "meta l4proto tcp ct direction reply fib daddr type local accept")
	if o.FromPeer {
		rules = append(rules,
			"meta l4proto tcp ct direction reply ip saddr 127.0.0.0/8 accept",
			"meta l4proto tcp ct direction reply ip6 saddr ::1 accept")
	}
	rules = append(rules, o.dnsRules("udp")...)
	rules = append(rules, o.dnsRules("tcp")...)
	closed := "32768-65535"
	if port := o.Client.Port(); port != 0 && port < 32768 {
		closed = fmt.Sprintf("%d, %s", port, closed)
	}
	if o.Web != 0 {
		rules = append(rules, fmt.Sprintf("tcp sport %d ct direction reply accept", o.Web))
	}
	return append(rules,
		fmt.Sprintf("tcp sport != { %s } ct direction reply accept", closed),
		"meta l4proto tcp reject with tcp reset",
		"drop")
}

// dnsRules let lookups reach the resolvers of this machine, and nobody else: a peer could listen on port 53 too.
func (o Options) dnsRules(protocol string) []string {
	var four, six []string
	for _, r := range o.Resolvers {
		if r = r.Unmap().WithZone(""); r.Is4() {
			four = append(four, r.String())
		} else {
			six = append(six, r.String())
		}
	}
	var rules []string
	if len(four) > 0 {
		rules = append(rules, fmt.Sprintf("ip daddr { %s } %s dport 53 accept", strings.Join(four, ", "), protocol))
	}
	if len(six) > 0 {
		rules = append(rules, fmt.Sprintf("ip6 daddr { %s } %s dport 53 accept", strings.Join(six, ", "), protocol))
	}
	return rules
}

// hostInbound brings peers that come to the client's own port to paygate.
func (o Options) hostInbound() chain {
	port := o.Client.Port()
	to := fmt.Sprintf("iifname != \"lo\" fib daddr type local tcp dport %d", port)
	switch {
	case port == 0:
	case o.TProxy != 0:
		return chain{
			about: []string{"Peers that come to the client's port are paygate's."},
			name:  "incoming", hook: "filter hook prerouting priority -150",
			rules: []string{
				fmt.Sprintf("%s tproxy ip to :%d accept", to, o.TProxy),
				fmt.Sprintf("%s tproxy ip6 to :%d accept", to, o.TProxy),
			},
		}
	case o.Peers != 0 && o.Peers != port:
		return chain{
			about: []string{"Peers that come to the client's port are paygate's."},
			name:  "incoming", hook: "nat hook prerouting priority -100",
			rules: []string{fmt.Sprintf("%s redirect to :%d", to, o.Peers)},
		}
	}
	return chain{}
}

// hostRoutes let a client bound to 127.0.0.1 open connections to the world, which are redirected then, and its answers
// to peers that it believes to have connected find back to paygate.
func (o Options) hostRoutes() []Route {
	only := ""
	if o.UID != 0 {
		only = fmt.Sprintf(" uidrange %[1]d-%[1]d", o.UID)
	}
	const about = "What the client sends from a loopback address stays here, whatever its destination."
	return []Route{{"-4", "from 127.0.0.0/8 iif lo" + only, about}, {"-6", "from ::1 iif lo" + only, about}}
}
