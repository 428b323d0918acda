// Package lnclient is the Lightning rail over lnd's gRPC: invoices, settlements that resume, payments whose outcome is
// never guessed, and the health of the node. It is the only package besides its sandbox that knows lnd's protocol.
//
// It owns one connection to one node and the goroutines under it, until Close. It never decides how much to pay or to
// whom, never keeps money state, and never retries a payment: a hash that was handed to lnd is only tracked from then on.
//
// Every error it returns unwraps to *Problem, which says in the owner's words what is wrong with the node. An error of
// Pay means that the outcome is unknown, unless it also unwraps to *Refused.
package lnclient
