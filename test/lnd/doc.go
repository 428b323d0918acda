// Package lnd runs a real Lightning network for tests and demonstrations: btcd on simnet and a handful of lnd nodes, on
// loopback, below one directory. The programs come from test/lightning, which builds them once.
//
// A Network owns its processes, which do not outlive it, and the coins on its chain, which are worth nothing. It never
// ends a process that it has not started, and never reuses a directory. Its nodes look like those of the sandbox
// (lnclient/sandbox), so that one scenario runs on both. It speaks lnd's gRPC itself, without lnclient, which is what
// is being tested with it.
package lnd
