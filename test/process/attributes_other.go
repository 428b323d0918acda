//go:build !linux

package process

import "syscall"

// attributes puts a child into a process group of its own.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// network is for where a thread has no network of its own.
func network() (enter func() error, err error) { return func() error { return nil }, nil }
