package country

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// database writes a file of the MaxMind DB format 2.0 with one record size, 24 bits, for 128-bit addresses. IPv4
// addresses stand below ::/96.
func database(countries map[string]string) []byte {
	type node [2]int // below -1: data at -2-n; -1: nothing
	nodes := []node{{-1, -1}}
	var data []byte
	for network, code := range countries {
		p := netip.MustParsePrefix(network)
		bits, a := p.Bits(), p.Addr().As16()
		if p.Addr().Is4() {
			bits, a = bits+96, netip.AddrFrom16([16]byte(append(make([]byte, 12), p.Addr().AsSlice()...))).As16()
		}
		at := 0
		for i := range bits {
			bit := a[i/8] >> (7 - i%8) & 1
			if i == bits-1 {
				nodes[at][bit] = -2 - len(data)
				break
			}
			if nodes[at][bit] < 0 {
				nodes = append(nodes, node{-1, -1})
				nodes[at][bit] = len(nodes) - 1
			}
			at = nodes[at][bit]
		}
		data = append(data, 0xe1)
		data = append(text(data, "country"), 0xe1)
		data = text(text(data, "iso_code"), code)
	}
	var out []byte
	for _, n := range nodes {
		for _, to := range n {
			switch {
			case to == -1:
				to = len(nodes)
			case to < -1:
				to = len(nodes) + 16 + (-2 - to)
			}
			out = append(out, byte(to>>16), byte(to>>8), byte(to))
		}
	}
	out = append(append(out, make([]byte, 16)...), data...)
	out = append(out, "\xab\xcd\xefMaxMind.com\xe6"...)
	out = binary.BigEndian.AppendUint32(append(text(out, "node_count"), 0xc4), uint32(len(nodes)))
	for key, n := range map[string]byte{"record_size": 24, "ip_version": 6, "binary_format_major_version": 2, "binary_format_minor_version": 0} {
		out = append(text(out, key), 0xa1, n)
	}
	return text(text(out, "database_type"), "Test")
}

func text(to []byte, s string) []byte { return append(append(to, 0x40|byte(len(s))), s...) }

func write(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.mmdb")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCountries(t *testing.T) {
	f, err := Open(write(t, database(map[string]string{"192.0.2.0/25": "DE", "192.0.2.128/25": "AT", "2001:db8::/32": "CH"})))
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"192.0.2.7": "DE", "192.0.2.200": "AT", "::ffff:192.0.2.7": "DE", "192.0.3.1": "", "2001:db8::7": "CH", "2001:db9::": "", "fe80::1%eth0": "",
	} {
		if got := f.Of(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	if got := f.Of(netip.Addr{}); got != "" {
		t.Errorf("no address: %q", got)
	}
}

func TestWrongFilesAreRefused(t *testing.T) {
	for name, path := range map[string]string{
		"missing":  filepath.Join(t.TempDir(), "none"),
		"empty":    write(t, nil),
		"no mmdb":  write(t, []byte("country,network\n")),
		"cut":      write(t, database(map[string]string{"192.0.2.0/25": "DE"})[:40]),
		"a folder": t.TempDir(),
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "geoip") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzOpen feeds what may be no database at all.
func FuzzOpen(f *testing.F) {
	f.Add(database(map[string]string{"192.0.2.0/25": "DE", "2001:db8::/32": "CH"}), "192.0.2.7")
	f.Add([]byte("\xab\xcd\xefMaxMind.com"), "::")
	f.Fuzz(func(t *testing.T, data []byte, address string) {
		file, err := parse(data)
		if err != nil {
			return
		}
		if a, err := netip.ParseAddr(address); err == nil {
			file.Of(a)
		}
	})
}
