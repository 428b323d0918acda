//go:build faults

package fault

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var passed atomic.Int64

// Point kills the process if PAYGATE_FAULT is "name" or "name:n" and this is the n-th time (the first, without n)
// that the point is passed.
func Point(name string) {
	want, count, _ := strings.Cut(os.Getenv("PAYGATE_FAULT"), ":")
	if want != name {
		return
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		n = 1
	}
	if passed.Add(1) == n {
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		select {} // until the signal arrives
	}
}
