package netns_test

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paygate/test/netns"
	"paygate/test/process"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTwoNamespacesSpeakBothFamilies(t *testing.T) {
	lab := netns.NewLab(t)
	a, b := lab.Namespace("a"), lab.Namespace("b")
	lab.Connect(a, "a0", "192.0.2.1/24 2001:db8::1/64", b, "b0", "192.0.2.2/24 2001:db8::2/64")
	for _, address := range []string{"192.0.2.2:7000", "[2001:db8::2]:7000", "127.0.0.1:7000", "[::1]:7000"} {
		l := b.Listen(address)
		from := map[bool]*netns.Namespace{true: b, false: a}[strings.HasPrefix(address, "127.") || strings.HasPrefix(address, "[::1]")]
		conn, err := from.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		far, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte("hello")) //nolint:errcheck // the other end tells
		conn.Close()
		if got, err := io.ReadAll(far); string(got) != "hello" || err != nil {
			t.Errorf("%s: read %q, %v", address, got, err)
		}
		far.Close()
	}
	if conn, err := net.DialTimeout("tcp", "127.0.0.1:7000", time.Second); err == nil {
		conn.Close()
		t.Error("the listener is reached from outside its namespace")
	}
}

func TestStartAsAnotherUserAndKill(t *testing.T) {
	lab := netns.NewLab(t, "sleep", "id")
	n := lab.Namespace("n")
	log := filepath.Join(t.TempDir(), "log")
	p := n.StartAs(4242, exec.Command("sh", "-c", "id -u; cat /proc/sys/net/ipv4/ip_forward; ip -br link; exec sleep 100"), log)
	if p.Exited() {
		t.Error("it has ended")
	}
	here, there := n.Run("readlink", "/proc/self/ns/net"), n.Run("readlink", fmt.Sprintf("/proc/%d/ns/net", p.PID()))
	if here != there {
		t.Errorf("it lives in %s, not in %s", there, here)
	}
	err := process.Poll(t.Context(), 10*time.Millisecond, func() error { return has(log, "4242\n0\nlo ") })
	if err != nil {
		t.Error(err)
	}
	p.Kill()
	if !p.Exited() {
		t.Error("it has not ended")
	}
}

func has(file, want string) error {
	out, err := exec.Command("cat", file).Output()
	if err != nil {
		return process.Final(err)
	}
	if !strings.Contains(string(out), want) {
		return &net.AddrError{Err: "not there yet", Addr: string(out)}
	}
	return nil
}
