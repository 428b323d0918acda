package proxy

import "golang.org/x/sys/unix"

const (
	filesEach  = 2   // a session is two sockets
	filesSpare = 512 // for everything else: ledger, node, listeners, connections that have no session yet
	// pipesShare is which part of the files may be for pipes, of which somebody who reads nothing can hold one in each direction.
	pipesShare = 16
)

// roomFor is how many connections a process that may have so many files open can serve.
func roomFor(files uint64) int {
	spare := min(filesSpare+files/pipesShare, files/4)
	return int(min((files-spare)/filesEach, 1<<30))
}

// roomByFiles is roomFor this process.
func roomByFiles() int { return roomFor(filesAtMost()) }

// filesAtMost is how many files this process may have open. The Go runtime has raised its soft limit to the hard one.
func filesAtMost() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 1 << 10
	}
	return uint64(max(l.Cur, 0)) //nolint:unconvert // it is signed on some systems
}
