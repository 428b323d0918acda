//go:build !linux

package doctor

import "net/netip"

// direct cannot be told here.
func direct(string) (out []netip.AddrPort, known bool) { return nil, false }
