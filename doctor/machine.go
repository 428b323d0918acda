package doctor

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"paygate/units"
)

// Machine is what can be asked of the machine. Its functions are called one at a time.
type Machine struct {
	Now       func() time.Time
	Free      func(dir string) (units.Bytes, error) // room on the file system for an unprivileged user
	Files     func() (uint64, error)                // how many files this process may have open
	Addresses func() ([]netip.Addr, error)          // its own
}

// ThisMachine asks the operating system.
func ThisMachine() Machine {
	return Machine{Now: time.Now, Free: freeDisk, Files: fileLimit, Addresses: ownAddresses}
}

func freeDisk(dir string) (units.Bytes, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return units.Bytes(st.Bavail) * units.Bytes(st.Bsize), nil
}

func fileLimit() (uint64, error) {
	var l unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
	return l.Cur, err
}

func ownAddresses() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap())
		}
	}
	return own, nil
}
