// Package scenario puts together what the demo and the end-to-end tests watch: a seller's client behind one paygate, a
// buyer's client behind another, a tracker, a sandboxed Lightning network and a torrent, each program a process of its
// own; and the equalities between bytes and money that must hold at the end.
//
// Everything runs on loopback and below one directory. Every pair has its own addresses, so that several can run at
// once. The package decides nothing about paygate and reads it only from outside: its status, its log, its process.
package scenario
