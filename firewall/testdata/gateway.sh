#!/bin/sh
# paygate firewall: a client that is alone behind the interface veth0.
# It may be run again at any time: the rules are replaced as a whole.
set -e

# Routing rules of priority 28775 and routing table 28775 are paygate's own.
while ip -4 rule delete pref 28775 2>/dev/null; do :; done
ip -4 route flush table 28775 2>/dev/null || :
while ip -6 rule delete pref 28775 2>/dev/null; do :; done
ip -6 route flush table 28775 2>/dev/null || :
# Packets that the rules have marked are for paygate, whatever their destination.
ip -4 route replace local default dev lo table 28775
ip -4 rule add pref 28775 fwmark 0x70740000 lookup 28775
# Packets that the rules have marked are for paygate, whatever their destination.
ip -6 route replace local default dev lo table 28775
ip -6 rule add pref 28775 fwmark 0x70740000 lookup 28775

# The table paygate is replaced in one transaction.
nft -f - <<'END'
table inet paygate {
}
delete table inet paygate
table inet paygate {
	# Connections that the client opens to the world go to paygate, which asks the kernel where they were to go.
	chain outgoing {
		type nat hook prerouting priority -100; policy accept;
		iifname "veth0" fib daddr type != local meta l4proto tcp redirect to :17000
	}

	# Connections keep their addresses: TPROXY brings them to paygate, packet by packet.
	chain transparent {
		type filter hook prerouting priority -150; policy accept;
		iifname "veth0" meta l4proto { udp, sctp, dccp } fib daddr type != { local, broadcast, multicast } reject with icmpx admin-prohibited
		iifname "veth0" meta l4proto tcp socket transparent 1 meta mark set 0x70740000 accept
		iifname "eth0" tcp dport 6881 fib daddr type local tproxy ip to :17001 meta mark set 0x70740000 accept
		iifname "eth0" tcp dport 6881 fib daddr type local tproxy ip6 to :17001 meta mark set 0x70740000 accept
		iifname "eth0" tcp dport 6881 ip daddr 10.98.0.2 tproxy ip to :17001 meta mark set 0x70740000 accept
		iifname "eth0" tcp dport 6881 ip6 daddr fd00:98::2 tproxy ip6 to :17001 meta mark set 0x70740000 accept
	}

	# Nobody else connects to the listener for redirected connections.
	chain arriving {
		type filter hook input priority 0; policy accept;
		iifname != { "veth0", "lo" } tcp dport 17000 drop
	}

	# Whatever else goes from or to the client is not passed on, even if this machine forwards packets:
	# uTP, DHT, port forwarding.
	chain forwarded {
		type filter hook forward priority 0; policy accept;
		iifname "veth0" drop
		oifname "veth0" drop
	}
}
END
