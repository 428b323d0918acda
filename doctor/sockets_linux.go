package doctor

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Socket is one TCP socket of the machine.
type Socket struct {
	Local, Remote netip.AddrPort
	State         int    // as the kernel numbers them: 1 established, 10 listening
	Inode         string // by which processes hold it
}

const (
	established = 1
	listening   = 10

	maxSockets = 200_000
)

// sockets lists the TCP sockets of this machine.
func sockets() ([]Socket, error) {
	var all []Socket
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(name)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list, err := parseSockets(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, list...)
	}
	return all, nil
}

// parseSockets reads what the kernel writes: a heading, and a line a socket.
func parseSockets(r io.Reader) ([]Socket, error) {
	var list []Socket
	lines := bufio.NewScanner(r)
	lines.Scan()
	for lines.Scan() && len(list) < maxSockets {
		f := strings.Fields(lines.Text())
		if len(f) < 10 {
			continue
		}
		local, okLocal := parseKernelAddress(f[1])
		remote, okRemote := parseKernelAddress(f[2])
		state, err := strconv.ParseUint(f[3], 16, 8)
		if okLocal && okRemote && err == nil {
			list = append(list, Socket{local, remote, int(state), f[9]})
		}
	}
	return list, lines.Err()
}

// parseKernelAddress reads an address of 4 or 16 bytes, each 4 of which are a word in the machine's own order, and a
// port. All machines that this runs on are little-endian.
func parseKernelAddress(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || err2 != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	a, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), true
}

// maxHolders bounds the sockets of one process that are looked at.
const maxHolders = 100_000

// held lists the inodes of the sockets of the process that holds one, as far as we may see that; nil if not.
func held(inode string) map[string]bool {
	dirs, err := filepath.Glob("/proc/[0-9]*/fd")
	if err != nil {
		return nil
	}
	for _, dir := range dirs {
		if all := socketsIn(dir); all[inode] {
			return all
		}
	}
	return nil
}

func socketsIn(dir string) map[string]bool {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(maxHolders)
	all := map[string]bool{}
	for _, n := range names {
		to, err := os.Readlink(filepath.Join(dir, n))
		if inode, ok := strings.CutPrefix(to, "socket:["); err == nil && ok {
			all[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return all
}

// direct lists connections that the program which listens at a client's address has with other machines, by itself.
// Known says whether its sockets could be seen at all. Web servers' ports are left out: trackers are there.
func direct(address string) (out []netip.AddrPort, known bool) {
	all, err := sockets()
	if err != nil {
		return nil, false
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, false
	}
	var own map[string]bool
	for _, s := range all {
		if s.State == listening && s.Local.Port() == at.Port() && (s.Local.Addr() == at.Addr() || s.Local.Addr().IsUnspecified()) {
			if own = held(s.Inode); own != nil {
				break
			}
		}
	}
	for _, s := range all {
		if s.State == established && own[s.Inode] && !s.Remote.Addr().IsLoopback() && s.Remote.Port() != 80 && s.Remote.Port() != 443 {
			out = append(out, s.Remote)
		}
	}
	return out, own != nil
}
