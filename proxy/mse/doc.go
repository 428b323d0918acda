// Package mse speaks Message Stream Encryption, both sides of it: it makes the handshakes with anacrolix's mse, and drives
// the ciphers that come out of them so that a relay can use them: without waiting, without a copy more than the cipher
// needs, and without allocating once a stream has warmed up.
//
// It owns neither connections nor goroutines: a Stream is a cipher beside a connection that somebody else reads, writes
// and closes. It decides nothing: which torrents are known and which methods are taken is told to it.
//
// MSE hides BitTorrent from those who look at the wire in passing. It proves nothing about who is at the other end.
package mse
