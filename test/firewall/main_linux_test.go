package firewall

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paygate/proxy/wire"
	"paygate/test/netns"
	"paygate/test/process"
	"paygate/units"
)

// paygate is the program under test, built once.
var paygate string

func TestMain(m *testing.M) {
	if address := os.Getenv(callVariable); address != "" {
		os.Exit(call(address))
	}
	os.Exit(func() int {
		if netns.Reason("nft") == "" {
			dir, err := os.MkdirTemp("", "paygate-firewall")
			if err != nil {
				panic(err)
			}
			defer os.RemoveAll(dir)
			paygate = filepath.Join(dir, "paygate")
			if out, err := exec.Command("go", "build", "-o", paygate, "paygate/cmd/paygate").CombinedOutput(); err != nil {
				panic(fmt.Sprintf("build paygate: %v\n%s", err, out))
			}
		}
		code := m.Run()
		if err := goleak.Find(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}())
}

// program makes a command that runs paygate.
var program = func(args ...string) *exec.Cmd { return exec.Command(paygate, args...) }

// client is the user id of the fake client.
const client = 4242

var hash = units.InfoHash{1, 2, 3}

// hand is a handshake.
func hand(name string) []byte {
	head := wire.NewHead(hash)
	return append(head[:], fmt.Sprintf("%-20s", name)...)
}

// site is a paygate with its configuration, in a namespace.
type site struct {
	t      *testing.T
	at     *netns.Namespace
	config string
	log    string
	run    *process.Process
}

// newSite writes the configuration and starts paygate.
func newSite(t *testing.T, at *netns.Namespace, config string) *site {
	t.Helper()
	return newSiteAs(t, at, 0, config)
}

// newSiteAs runs paygate as a user.
func newSiteAs(t *testing.T, at *netns.Namespace, uid uint32, config string) *site {
	t.Helper()
	return newSiteWith(t, at, uid, uid, config)
}

// newSiteWith gives paygate's files to one user and starts the program as another, which may then change that.
func newSiteWith(t *testing.T, at *netns.Namespace, uid, runAs uint32, config string) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{t: t, at: at, config: writeConfig(t, dir, config), log: filepath.Join(dir, "log")}
	if uid != 0 {
		giveTo(t, at, uid, dir)
	}
	s.run = at.StartAs(runAs, program("run", "-c", s.config), s.log)
	err := process.Poll(t.Context(), 20*time.Millisecond, func() error {
		if s.run.Exited() {
			return process.Final(fmt.Errorf("paygate has ended"))
		}
		if !strings.Contains(s.logged(), "paygate stands in front") {
			return fmt.Errorf("paygate is not up yet")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func writeConfig(t *testing.T, dir, config string) string {
	t.Helper()
	file := filepath.Join(dir, "paygate.yaml")
	if err := os.WriteFile(file, []byte("data_dir: data\nlog: {format: json}\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// giveTo lets a user own a directory, and reach it and the program.
func giveTo(t *testing.T, at *netns.Namespace, uid uint32, dir string) {
	t.Helper()
	at.Run("chown", "-R", fmt.Sprint(uid), dir)
	at.Run("chmod", "a+x", dir, filepath.Dir(dir), filepath.Dir(paygate))
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("it does not happen")
		}
	}
}

func (s *site) logged() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// forget takes away what was written down of rules that go with their namespace.
func forget(t *testing.T, n *netns.Namespace) {
	t.Cleanup(func() {
		n.Run("sh", "-c", "rm -rf /run/paygate/firewall/$(readlink /proc/self/ns/net | tr -dc 0-9)")
	})
}

// firewall runs `paygate firewall` with the site's configuration.
func (s *site) firewall(args ...string) string {
	s.t.Helper()
	return s.at.Run(paygate, append(append([]string{"firewall"}, args...), "-c", s.config)...)
}

// dialAs dials from a namespace as a user, from an address or interface if d says so.
func dialAs(n *netns.Namespace, uid uint32, d net.Dialer, address string) (conn *net.TCPConn, err error) {
	if d.Timeout == 0 {
		d.Timeout = 5 * time.Second
	}
	err = n.As(uid, func() error {
		c, err := d.Dial("tcp", address)
		if err == nil {
			conn = c.(*net.TCPConn)
			err = conn.SetDeadline(time.Now().Add(10 * time.Second))
		}
		return err
	})
	return conn, err
}

// listenAs listens on TCP as a user.
func listenAs(t *testing.T, n *netns.Namespace, uid uint32, address string) *net.TCPListener {
	t.Helper()
	var l net.Listener
	err := n.As(uid, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// accept takes one connection, or nil if none comes for a while.
func accept(t *testing.T, l *net.TCPListener, patience time.Duration) *net.TCPConn {
	t.Helper()
	if err := l.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.AcceptTCP()
	if err != nil {
		return nil
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// shake lets two ends of a session say their handshakes and a few bytes, caller first.
func shake(t *testing.T, caller, called net.Conn) {
	t.Helper()
	say(t, caller, called, hand("caller"))
	say(t, called, caller, hand("called"))
	say(t, caller, called, []byte("bytes that follow"))
	say(t, called, caller, bytes.Repeat([]byte("more of them"), 10_000))
}

// say sends from one end and expects the same at the other.
func say(t *testing.T, from, to net.Conn, b []byte) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(b)
		sent <- err
	}()
	got := make([]byte, len(b))
	if n, err := io.ReadFull(to, got); err != nil {
		t.Fatalf("%d of %d bytes arrived: %v", n, len(b), err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b) {
		t.Fatalf("%d bytes arrived changed", len(b))
	}
}

func port(a net.Addr) int { return a.(*net.TCPAddr).Port }

func host(a net.Addr) string { return a.(*net.TCPAddr).AddrPort().Addr().Unmap().String() }

// callVariable makes this program connect to an address, send a handshake and print what the other end says.
const callVariable = "PAYGATE_TEST_CALL"

func call(address string) int {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer conn.Close()
	if _, err := conn.Write(hand("caller")); err != nil {
		fmt.Println(err)
		return 1
	}
	answer := make([]byte, wire.HandshakeLen)
	if _, err := io.ReadFull(conn, answer); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(port(conn.LocalAddr()), string(answer[wire.HandshakeLen-wire.PeerIDLen:]))
	return 0
}
