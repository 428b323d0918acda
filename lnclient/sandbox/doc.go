// Package sandbox simulates a small Lightning network behind the gRPC that lnd serves, so that a client cannot tell:
// TLS, macaroons, signed BOLT 11 requests, real preimages, channel balances, routing with fees, latency and scripted
// faults. It issues regtest invoices only and holds no real money.
//
// A Network owns its nodes, their listeners, the state file and every goroutine under them, until Close.
package sandbox
