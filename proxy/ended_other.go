//go:build !linux

package proxy

// ended takes it that a connection that became readable without more bytes than before has been closed.
func ended(int) bool { return true }
