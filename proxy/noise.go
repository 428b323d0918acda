package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"paygate/proxy/wire"
)

// isNoise reports whether err is what networks do all day: a peer that went away, or a connection that was closed
// under a read or write. Nobody needs to hear of it.
func isNoise(err error) bool {
	for _, known := range []error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, os.ErrDeadlineExceeded, context.Canceled, context.DeadlineExceeded,
		syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, syscall.ETIMEDOUT, syscall.ENOTCONN,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// isForeign reports whether a stream has turned out not to be BitTorrent as paygate knows it.
func isForeign(err error) bool {
	var length *wire.LengthError
	return errors.As(err, &length) || errors.Is(err, wire.ErrNotBitTorrent)
}

// outOfFiles reports whether accepting failed for want of descriptors or kernel memory, which passes by itself.
func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// isTimeout reports whether a deadline has passed.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
