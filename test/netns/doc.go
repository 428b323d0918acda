// Package netns builds little networks out of Linux network namespaces, so that tests can run real programs behind real
// firewalls, with real IPv4 and IPv6 addresses, and nothing leaves the machine. It needs root and iproute2; a test
// that cannot have them is skipped with the reason:
//
//	func TestClientBehindGateway(t *testing.T) {
//		lab := netns.NewLab(t, "nft", "transmission-daemon")  // skips unless root, ip, and these programs are there
//		client, gateway, peer := lab.Namespace("client"), lab.Namespace("gateway"), lab.Namespace("peer")
//		lab.Connect(client, "c0", "10.98.0.2/24 fd98::2/64", gateway, "g1", "10.98.0.1/24 fd98::1/64")
//		lab.Connect(peer, "p0", "192.0.2.9/24 2001:db8::9/64", gateway, "g2", "192.0.2.1/24 2001:db8::1/64")
//		client.Run("ip", "route", "add", "default", "via", "10.98.0.1")
//		gateway.Feed("table inet t { ... }", "nft", "-f", "-")
//
//		paygate := gateway.Start(exec.Command(bin, "run", "-c", file), log)       // a process, killed with the test
//		tr := client.StartAs(4242, exec.Command("transmission-daemon", ...), log) // the same as another user
//		conn, err := peer.Dial("tcp", "192.0.2.1:6881")                           // a socket of this process, over there
//	}
//
// Every namespace has a loopback interface that is up, its addresses are usable at once (no duplicate address
// detection), and forwarding is off. All of it goes away with the test, processes first. Namespaces are named
// pg<pid>-<n>-<name>, so that tests run side by side and `ip netns exec` shows what goes on in a hanging one.
//
// Programs that test/clients starts can live in a namespace too: name it in clients.Spec. What Do calls must start
// programs from its own thread (process.StartHere), or they live elsewhere.
package netns
