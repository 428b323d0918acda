// Package policy decides about money, and nothing else: may this torrent be sold, at what price, how much of it is
// free; may we buy, how much at once, from whom; and why not. Its functions are pure: they are given every number
// they need, read no clock, do no I/O, keep no state and start no goroutine. A Selling and a Buying never change
// once made and may be shared.
//
// What the decisions add up to, the most that either side can lose, is stated in bounds.go.
package policy
