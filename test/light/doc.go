// Package light has the lightest BitTorrent clients that a transfer between two paygates needs: a seeder of zeros and a
// leecher that keeps nothing. Many of them fit into one process.
package light
