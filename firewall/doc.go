// Package firewall writes the nftables rules and routes that bring a BitTorrent client's connections to paygate,
// whatever the client can be told, and let nothing of it out in another way. It knows three forms: a client that runs as
// a user of its own on this machine, one that runs in a control group of its own, and one that is alone in a
// network namespace (or on another machine) whose only way out is this machine.
//
// A Plan is pure text, the same for the same Options. A Host carries it out: it runs nft and ip, and nothing else. It
// owns one nftables table, one routing table and the routing rules of one priority, and never touches those of
// others, nor any sysctl. It opens no socket and knows nothing of BitTorrent or money.
package firewall
