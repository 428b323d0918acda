//go:build !race

package proxy

import (
	"syscall"
	"unsafe"
)

// The calls below never wait, since the descriptors of connections and pipes are non-blocking. So the Go runtime is not told
// of them: it would take the processor away from a call that copies for more than 20 µs, give it to another thread, and
// have this one queue for it afterwards, which costs a sixth of the relay's CPU time. The race detector has to be told,
// or it does not see that what comes through a socket was sent before (now_told.go).

// readNow is read(2). b is not empty.
func readNow(fd int, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return result(n, errno)
}

// writeNow is write(2). b is not empty.
func writeNow(fd int, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return result(n, errno)
}

// spliceNow is splice(2) of at most so many bytes.
func spliceNow(from, to, most int) (int, error) {
	const flags = 1 | 2 // SPLICE_F_MOVE, SPLICE_F_NONBLOCK
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(most), flags)
	return result(n, errno)
}

func result(n uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
