//go:build !linux

package proxy

import (
	"net"
	"sync/atomic"
)

// copyBlind copies until src ends, which is io.EOF, or something fails. counts, but for nil ones, learn of every byte
// that dst took.
func copyBlind(dst, src *net.TCPConn, counts ...*atomic.Int64) error {
	return copyBuffered(dst, src, counts...)
}
