// Command bench measures paygate beside the relays that it is compared with, in one run: haproxy in TCP mode, nginx
// stream, socat, a Go relay that splices, one that copies, and one that decodes and encodes every message with
// anacrolix/torrent. Each carries the same BitTorrent traffic between the same two ends, one after the other, round
// after round, and the medians are printed; with -json and -svg they are written to files, too.
//
// The ends live in this process and every relay in one of its own, so that the CPU time of a relay is what the kernel
// says about that process and its children. Figures of different runs cannot be compared: the ratios within one can.
package main
