// Package matrix proves that paygate works in front of any client: real programs, old and new, as seller and as buyer,
// through every way in that they have, encrypted or not, over IPv4 and IPv6. Each cell is one paid download of 16 MiB,
// byte-exact, with every millisatoshi accounted for, and with as many bytes through the seller's gate as the torrent has.
//
// In each cell one party is the client under test. The other is always the same: the client of test/anacrolix behind
// a paygate of its own with default settings, unencrypted, inbound only if the client under test dials, else
// dialling through SOCKS5. Where there is root, both live in network namespaces with addresses of their own; without
// root on loopback, and what needs more is skipped with the reason.
//
// `make matrix` runs all of it and writes the table into docs/clients.md. The package decides nothing about paygate.
package matrix
