package process

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// Unprivileged calls start, which starts a program, so that the program must obey the permissions of files even if
// it is run by root. Do not let the kernel end such a program with its parent: the thread that starts it ends.
func Unprivileged(start func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good, so that nothing else ever runs on a thread without these rights
		for _, right := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
			err := unix.Prctl(unix.PR_CAPBSET_DROP, right, 0, 0, 0)
			if err != nil && unix.Geteuid() == 0 {
				done <- fmt.Errorf("give up root's rights over files: %w", err)
				return
			}
		}
		done <- start()
	}()
	return <-done
}
