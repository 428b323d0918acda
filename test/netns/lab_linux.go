package netns

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// Reason says why namespaces cannot be made here, or which of the programs is missing. It is empty if all is there.
func Reason(programs ...string) string {
	if os.Geteuid() != 0 {
		return "network namespaces take root"
	}
	for _, program := range append([]string{"ip"}, programs...) {
		if _, err := exec.LookPath(program); err != nil {
			return program + " is not installed"
		}
	}
	return ""
}

// Lab is the network of one test.
type Lab struct {
	t testing.TB
}

var count atomic.Int64 // of namespaces that this process has made

// NewLab starts a network for a test, and skips the test, with the reason, where that cannot be done.
func NewLab(t testing.TB, programs ...string) *Lab {
	t.Helper()
	if reason := Reason(programs...); reason != "" {
		t.Skip(reason)
	}
	return &Lab{t}
}

// Namespace makes a namespace. It goes away with the test.
func (l *Lab) Namespace(name string) *Namespace {
	l.t.Helper()
	n, err := open(l.t, fmt.Sprintf("pg%d-%d-%s", os.Getpid(), count.Add(1), name))
	if err != nil {
		l.t.Fatalf("make namespace %s: %v", name, err)
	}
	return n
}

// Connect lays a cable between two namespaces: an interface at each end, named as given, with its addresses (separated
// by blanks, with prefix length).
func (l *Lab) Connect(a *Namespace, nameA, addressesA string, b *Namespace, nameB, addressesB string) {
	l.t.Helper()
	a.Run("ip", "link", "add", nameA, "type", "veth", "peer", "name", nameB, "netns", b.Name)
	a.up(nameA, addressesA)
	b.up(nameB, addressesB)
}

// up gives an interface its addresses.
func (n *Namespace) up(name, addresses string) {
	n.t.Helper()
	n.Set("net.ipv6.conf."+name+".accept_dad", "0")
	for address := range strings.FieldsSeq(addresses) {
		args := []string{"address", "add", address, "dev", name}
		if strings.Contains(address, ":") {
			args = append(args, "nodad")
		}
		n.Run("ip", args...)
	}
	n.Run("ip", "link", "set", name, "up")
}
