// Command demo shows a paid download between two unmodified BitTorrent clients, each behind a paygate of its own, over
// a sandboxed Lightning network in which no real money moves. It makes a torrent, downloads it once free through the
// same proxies, then once for money, verifies every file, and compares what each party says of bytes and money.
//
//	go run ./test/demo -seller transmission -buyer qbittorrent -size "256 MiB"
//
// On a terminal it shows a progress bar and a table; in a pipe, one JSON object a line. The last line of standard
// output is always a JSON object with the figures. Exit status 0: everything held.
package main
