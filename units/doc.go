// Package units holds the quantities and identities that every other package speaks of: amounts in
// millisatoshi, sizes in bytes, prices, info-hashes, payment hashes and keys, with their parsing and
// printing. It is pure: no I/O, no clocks, no state.
//
// Amounts and sizes are integer types. A price is kept as an exact fraction (millisatoshi per a number
// of bytes), and charging rounds up once, on a cumulative number of bytes, in 128-bit arithmetic.
package units
