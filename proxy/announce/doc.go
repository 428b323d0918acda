// Package announce reads and rewrites what a BitTorrent client tells trackers and the DHT about itself: HTTP announces
// (BEP 3), UDP tracker announces (BEP 15) and the DHT's announce_peer (BEP 5). The swarm must learn paygate's port
// instead of the client's, so the port is replaced; every other byte stays as the client wrote it: statistics, key,
// peer id, user agent, order and escapes. It also tells datagrams apart, and takes the peers out of an HTTP tracker's answer.
//
// It is pure: no sockets, clocks, goroutines or logs. All input is hostile; lengths, depths and counts are bounded before
// anything is kept. It never invents an announce, and never changes where one goes.
package announce
