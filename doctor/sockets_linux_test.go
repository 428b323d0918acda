package doctor

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

const kernelSockets = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0000000000000000 100 0 0 10 0
   1: 010200C0:9C40 090200C0:1AE1 01 00000000:00000000 02:000A 00000000  1000        0 4243 1 0 20 4 30 10 -1
   2: nonsense
   3: B80D0120000000000000000001000000:9C40 B80D0120000000000000000009000000:1AE1 01 0:0 0:0 0 0 0 77 1
   4: 0000000000000000FFFF0000090200C0:0050 0:0 01 0:0 0:0 0 0 0 78 1
`

func TestParseSockets(t *testing.T) {
	got, err := parseSockets(strings.NewReader(kernelSockets))
	want := []Socket{
		{netip.MustParseAddrPort("127.0.0.1:8080"), netip.MustParseAddrPort("0.0.0.0:0"), listening, "4242"},
		{netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("192.0.2.9:6881"), established, "4243"},
		{netip.MustParseAddrPort("[2001:db8::1]:40000"), netip.MustParseAddrPort("[2001:db8::9]:6881"), established, "77"},
	}
	if err != nil || len(got) != len(want) {
		t.Fatalf("%v, %v", got, err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got[i], want[i])
		}
	}
}

func FuzzParseSockets(f *testing.F) {
	f.Add(kernelSockets)
	f.Fuzz(func(t *testing.T, text string) {
		list, _ := parseSockets(strings.NewReader(text))
		for _, s := range list {
			if !s.Local.IsValid() || !s.Remote.IsValid() || s.State < 0 || s.State > 255 {
				t.Fatalf("%+v", s)
			}
		}
	})
}

// TestDirect looks at this very process, which listens and has no connection with other machines.
func TestDirect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if out, known := direct(l.Addr().String()); !known || len(out) != 0 {
		t.Errorf("%v, %v", out, known)
	}
	address := l.Addr().String()
	l.Close()
	if _, known := direct(address); known {
		t.Error("nobody listens there")
	}
	if _, known := direct("a name:1"); known {
		t.Error("no address")
	}
}
