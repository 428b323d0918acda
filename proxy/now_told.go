//go:build !linux || race

package proxy

import "syscall"

// readNow is read(2) of a non-blocking descriptor.
func readNow(fd int, b []byte) (int, error) { return syscall.Read(fd, b) }

// writeNow is write(2) to a non-blocking descriptor.
func writeNow(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }
