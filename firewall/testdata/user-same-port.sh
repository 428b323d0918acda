#!/bin/sh
# paygate firewall: a client that runs as user 4242 on this machine.
# It may be run again at any time: the rules are replaced as a whole.
set -e

# Routing rules of priority 28775 and routing table 28775 are paygate's own.
while ip -4 rule delete pref 28775 2>/dev/null; do :; done
ip -4 route flush table 28775 2>/dev/null || :
while ip -6 rule delete pref 28775 2>/dev/null; do :; done
ip -6 route flush table 28775 2>/dev/null || :
# What the client sends from a loopback address stays here, whatever its destination.
ip -4 route replace local default dev lo table 28775
ip -4 rule add pref 28775 from 127.0.0.0/8 iif lo uidrange 4242-4242 lookup 28775

# The table paygate is replaced in one transaction.
nft -f - <<'END'
table inet paygate {
}
delete table inet paygate
table inet paygate {
	# Connections that the client opens go to paygate, which asks the kernel where they were to go. They are sent to
	# the address that they come from, since some clients bind their sockets to an interface.
	chain outgoing {
		type nat hook output priority -100; policy accept;
		meta mark 0x7067 accept
		meta skuid 4242 goto to_paygate
	}

	chain to_paygate {
		ip daddr 127.0.0.0/8 accept
		ip6 daddr ::1 accept
		meta l4proto tcp dnat ip to ip saddr:17000
		meta l4proto tcp dnat ip6 to ip6 saddr:17000
	}

	# Whatever else the client sends does not leave this machine: uTP, DHT, port forwarding, connections from before.
	chain leaving {
		type filter hook output priority 0; policy accept;
		meta mark 0x7067 accept
		meta skuid 4242 goto closed
	}

	chain closed {
		ip daddr 127.0.0.0/8 accept
		ip6 daddr ::1 accept
		meta l4proto tcp ct status dnat ct direction original accept
		ip saddr != 127.0.0.0/8 tcp sport 6881 ct direction reply reject with tcp reset
		ip6 saddr != ::1 tcp sport 6881 ct direction reply reject with tcp reset
		meta l4proto tcp ct direction reply fib daddr type local accept
		tcp sport != { 6881, 32768-65535 } ct direction reply accept
		meta l4proto tcp reject with tcp reset
		drop
	}

	# Nobody else connects to the listener for redirected connections.
	chain arriving {
		type filter hook input priority 0; policy accept;
		iifname != "lo" tcp dport 17000 drop
	}
}
END
