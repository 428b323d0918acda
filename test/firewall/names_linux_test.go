package firewall

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGatewayCarriesLookups has the resolver of the system library ask over TCP, as docs/firewall.md tells it to.
func TestGatewayCarriesLookups(t *testing.T) {
	inside, gateway, world := homes(t)
	s := newSite(t, gateway, transparentConfig+`{redirect: ":17000", tproxy: ":17001"}`)
	s.firewall("apply", "--client-if", "g1", "--peers-if", "g2")
	l := world.Listen("198.51.100.7:53")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			answerLookups(conn)
		}
	}()
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("nameserver 198.51.100.7\noptions use-vc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := inside.Try("", "unshare", "-m", "sh", "-c", `mount --bind "$1" /etc/resolv.conf && exec getent ahostsv4 tracker.example`, "sh", file)
	if err != nil || !strings.Contains(out, "203.0.113.9") {
		t.Errorf("getent: %v: %s", err, out)
	}
}

// answerLookups says 203.0.113.9 to whoever asks for an IPv4 address (RFC 1035), until there are no more questions.
func answerLookups(conn net.Conn) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		q := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, q); err != nil || len(q) < 17 {
			return
		}
		end := 12
		for end < len(q)-5 && q[end] != 0 {
			end += 1 + int(q[end])
		}
		a := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}, q[12:min(end+5, len(q))]...)
		a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 9)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...)); err != nil {
			return
		}
	}
}
