// Package admin shows what a running paygate does: a read-only HTTP API on a unix socket that only the owner can
// open. It owns the socket file and the connections to it. It never changes anything, never decides anything, and
// learns all it tells from the Source that it is given.
package admin
