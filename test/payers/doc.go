// Command payers lets many buyers download through one paygate at once, each at a set rate and for its own money on a
// simulated Lightning network, and tells whether any of them had to wait for a payment after its first one, what that
// costs, and whether the paygate is as small afterwards as it was before.
//
// The buyers and the seller's client are written for this alone: they speak as much of the BitTorrent protocol and of
// pg_pay as they need, so that hundreds of them leave the machine to the paygate. They decide when and how much to buy
// by paygate's own rules (package policy).
package main
