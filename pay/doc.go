// Package pay is the conversation about money with one peer: the seller's and the buyer's side of the pg_pay
// dialect (docs/protocol.md), off the hot path: each takes its turn when something has happened (rounds.go).
//
// A Desk is shared by all sessions. It owns the subscription to settled invoices, the payments in flight (which
// outlive the session that asked for them), the leases of credit and samples, and the identities. Each session has
// a conversation, which implements proxy.Conversation: the relay loops touch only its meter, a handful of atomic
// counters; everything else happens in its turns.
//
// pay decides when money moves and how much; whether it may is asked of policy, and what happened is written by
// ledger, before and after. It never touches a socket, speaks to Lightning only through the Rail seam, and never
// writes a sum anywhere but in the ledger.
package pay
