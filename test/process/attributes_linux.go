package process

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes puts a child into a process group of its own and has the kernel end it with its parent.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// network is a way into the network namespace of the thread that calls it.
func network() (enter func() error, err error) {
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	return func() error {
		defer func() { _ = here.Close() }()
		own, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		defer func() { _ = own.Close() }()
		if same(here, own) {
			return nil
		}
		runtime.LockOSThread() // once more, so that the thread ends with its goroutine: nothing else belongs there
		return unix.Setns(int(here.Fd()), unix.CLONE_NEWNET)
	}, nil
}

func same(a, b *os.File) bool {
	x, err := a.Stat()
	if err != nil {
		return false
	}
	y, err := b.Stat()
	return err == nil && os.SameFile(x, y)
}
