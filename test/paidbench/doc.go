// Command paidbench measures how much longer a download takes when it is paid for. It downloads a torrent from one
// client to another, each behind a paygate of its own, once free and once for money, in turns, and compares: pair by
// pair, and by the median of the pairs. The payments take a set time on a simulated Lightning network, or what they take
// between two real lnd nodes.
//
// Beside each ratio stands how long the seller's paygate had the buyer wait for payments, by its own count: that is what
// paygate answers for. The rest is the clients' own.
package main
