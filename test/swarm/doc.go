// Package swarm makes what a test swarm needs: a torrent of several files with deterministic content, the check of
// every file's SHA-256, and a tracker that tells each client exactly the peers that the test chose for it.
package swarm
