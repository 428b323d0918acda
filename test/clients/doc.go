// Package clients starts and drives unmodified BitTorrent clients for the demo and the end-to-end tests: qBittorrent
// (WebUI API), Transmission (RPC), rtorrent (XML-RPC), aria2 (JSON-RPC) and the small program in test/anacrolix (HTTP).
// Those of Debian 13 run by chroot in the directory that test/install/trixie.sh has made.
//
// Each client is a process group of its own, runs in a directory of its own, which it may fill as it likes, and is
// ended by its process id. Everything listens on loopback, or in a network namespace. Clients find peers by their
// trackers alone: DHT, local discovery, peer exchange, port mapping and uTP are off, and unless a Spec asks for it,
// outgoing connections are not encrypted. The package never touches a client that it did not start.
package clients
