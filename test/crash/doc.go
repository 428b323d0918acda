// Package crash kills paygates and Lightning nodes at the worst moments and then holds the books of all four parties
// against each other and against the bytes that really passed.
//
// A campaign runs lanes side by side. A lane is a Lightning network, a seller's and a buyer's paygate as processes built
// with the tag `faults`, and between them synthetic BitTorrent peers that never run out of torrent. Each paygate is armed
// with one named point (package fault) at which it kills itself; nodes are killed and payments troubled at random
// moments. After every kill the transfer rests until the books can be reconciled; see check.go for what must hold.
//
// The Lightning side is a seam (lightning.go): the sandbox is one, real lnd another. The package ends only processes
// that it has started. The order of a campaign is drawn from a seed; what exactly is under way when a kill strikes is
// not.
package crash
