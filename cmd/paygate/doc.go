// Command paygate sits between an unmodified BitTorrent client and the swarm, and sells and buys bytes over
// Lightning under its owner's rules. Each subcommand has a file of its own, which parses flags, plugs the other
// packages together and prints; it decides nothing.
//
// Exit status: 0 when all went well, 1 when something failed, 2 when the command line or the configuration is wrong.
package main
