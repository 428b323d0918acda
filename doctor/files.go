package doctor

import "fmt"

const (
	socketsEach = 2   // a connection has one socket to the peer and one to the client
	pipesEach   = 4   // and, while the kernel copies between them, a pipe in each direction
	filesBeside = 100 // the ledger, the log, the node, the listeners
)

// files holds the limit on open files against the connections that are allowed.
func files(limit uint64, err error, connections int) Finding {
	if err != nil {
		return skip(CheckFiles, "the limit cannot be told: %v", err)
	}
	need := uint64(connections*socketsEach + filesBeside)
	comfort := need + uint64(connections*pipesEach)
	remedy := fmt.Sprintf("raise it to %d (ulimit -n, or LimitNOFILE= in a systemd unit), or lower limits.connections", comfort)
	switch {
	case limit < need:
		return fail(CheckFiles, remedy, "the limit is %d, and limits.connections, %d, needs %d", limit, connections, need)
	case limit < comfort:
		return warn(CheckFiles, remedy, "the limit is %d; %d connections at full speed use up to %d", limit, connections, comfort)
	}
	return pass(CheckFiles, "the limit is %d, enough for %d connections", limit, connections)
}
