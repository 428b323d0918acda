// Package client looks at the owner's BitTorrent clients, and never changes anything in them. It reads what qBittorrent's
// WebUI API and Transmission's RPC tell of torrents and settings, *.torrent files in a folder, and a fixed list of
// info-hashes, and shows each as a View.
//
// A Watcher polls its client gently in Run; everything that it tells is a snapshot in memory, so no caller ever waits for
// a client. Answers are bounded, since a client may be broken, or something else than a client.
//
// It decides nothing, and knows nothing of connections or of money. Passwords that are handed in stay in memory.
package client
