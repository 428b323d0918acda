// Package hostile attacks a BitTorrent port in the ways that a stranger can: random garbage, cut frames, absurd lengths,
// bencode bombs and slow handshakes, from many addresses at once. Each attacker has a loopback address of its own, keeps
// at it until it is told to stop, and counts how often it connected.
package hostile
