// Package admin shows what a running paygate does, and takes its owner's orders: an HTTP API on a unix socket that only
// the owner can open. It owns the socket file and the connections to it. It never decides anything: it learns all it
// tells from the Source that it is given, and hands orders to the Control.
package admin
