// Package proxy stands between one BitTorrent client and the swarm, on TCP. It owns the public listener, the SOCKS5
// listener with its UDP relays, the HTTP proxy, the listeners for connections that a firewall brings, the connections that
// paygate opens itself, the loopback aliases, the sessions and their relay loops.
//
// Every socket that it accepts or dials is closed by it, and every goroutine that it starts is waited for before Run
// returns. It copies what the two peers say byte for byte. What it changes is listed in relay.go: handshake bits, the
// client's extended handshakes, addresses of other peers, and the choke and interest messages of a gated session. Of what
// the client says to trackers and to the DHT it changes the port alone (package announce), and of their answers nothing,
// unless Config.DialTrackers is set: then the peers in them are dialled here, and the client is told of none; encodings of
// answers that cannot be read are not asked for.
//
// It never decides about money and never keeps any: it asks a Desk (see seam.go), and knows nothing of Lightning,
// SQL or prices. It takes encryption (MSE, package mse) off on one side and puts it on again on
// the other. It does not speak uTP.
package proxy
