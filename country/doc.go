// Package country tells in which country an address is, as far as a MaxMind database file of the owner knows. It reads
// the whole file once, when it is opened; it never downloads, watches or changes one, and asks nobody.
package country
