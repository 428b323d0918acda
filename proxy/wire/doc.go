// Package wire speaks the bytes of the BitTorrent peer protocol and of the pg_pay dialect: the handshake head (BEP 3),
// an in-place framer for the message stream (BEP 3, 5, 6, 10, 52), reading and surgical rewriting of the extended
// handshake (BEP 10), rewriting of peer exchange (BEP 11), and the codec, signature text and invoice binding of pg_pay.
//
// It is pure: no sockets, clocks, goroutines, logs or globals that change. Every function treats its input as hostile:
// lengths, depths and ranges are checked before anything is kept or allocated.
//
// Slices that go in are never written to and never kept beyond the value returned. Slices that come out of Scanner,
// ParseExtHandshake and Dict alias the input and live as long as the caller leaves it alone; everything that Parse
// functions of pg_pay return is a copy.
//
// testdata/vectors.txt holds the published test vectors of pg_pay, which docs/protocol.md embeds and TestVectors reads: one value a
// line, `name = hexadecimal digits`; empty lines and lines that begin with # say nothing; each name stands there once. Every
// vector is tested, and a name under message., refuse. or ignore. says what ParseMessage must make of it.
package wire
