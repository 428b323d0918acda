// Package firewall runs the real paygate behind the real nftables rules of `paygate firewall`, in network namespaces,
// over IPv4 and IPv6, with peers that it plays itself and with real clients. Without root, nft or a client, its tests
// are skipped with the reason.
package firewall
