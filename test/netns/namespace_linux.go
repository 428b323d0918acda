package netns

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paygate/test/process"
)

// Namespace is a network namespace. A failure of its methods that return no error ends the test.
type Namespace struct {
	Name string // as `ip netns` knows it
	t    testing.TB
	fd   int
	do   chan func() // to the thread that lives in the namespace
}

func open(t testing.TB, name string) (*Namespace, error) {
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	n := &Namespace{Name: name, t: t, fd: -1, do: make(chan func())}
	t.Cleanup(n.close)
	fd, err := unix.Open(filepath.Join("/run/netns", name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	n.fd = fd
	entered := make(chan error)
	go n.inhabit(entered)
	if err := <-entered; err != nil {
		return nil, err
	}
	n.Run("ip", "link", "set", "lo", "up")
	return n, nil
}

// inhabit keeps a thread in the namespace for as long as it exists, and does there what it is asked to. Processes are
// started from it, since the kernel ends them with the thread that has started them.
func (n *Namespace) inhabit(entered chan<- error) {
	runtime.LockOSThread() // for good: the thread ends with this goroutine
	err := unix.Setns(n.fd, unix.CLONE_NEWNET)
	entered <- err
	if err != nil {
		return
	}
	for f := range n.do {
		f()
	}
}

func (n *Namespace) close() {
	close(n.do)
	if n.fd >= 0 {
		unix.Close(n.fd)
	}
	if out, err := exec.Command("ip", "netns", "delete", n.Name).CombinedOutput(); err != nil {
		n.t.Errorf("remove namespace %s: %v: %s", n.Name, err, out)
	}
}

// Do calls f on a thread in the namespace: sockets that f opens and processes that it starts belong there. What f
// leaves to other goroutines does not. One f runs at a time, so it should not wait.
func (n *Namespace) Do(f func() error) error {
	done := make(chan error)
	n.do <- func() { done <- f() }
	return <-done
}

// aside is Do on a thread of its own, for what may wait.
func (n *Namespace) aside(f func() error) error { return n.As(0, f) }

// As is Do on a thread of its own, so that f may wait, and sockets that f opens are owned by a user, who need not have a
// name. Processes that f starts are not: see StartAs.
func (n *Namespace) As(uid uint32, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		err := unix.Setns(n.fd, unix.CLONE_NEWNET)
		if err == nil && uid != 0 {
			err = unix.Setfsuid(int(uid))
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// Try runs a program in the namespace to its end, with input on its standard input, and returns what it printed.
func (n *Namespace) Try(input, program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	var out []byte
	err := n.aside(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	return string(out), err
}

// Feed is Try for a program that must succeed.
func (n *Namespace) Feed(input, program string, args ...string) string {
	n.t.Helper()
	out, err := n.Try(input, program, args...)
	if err != nil {
		n.t.Fatalf("%s: %s %s: %v\n%s", n.Name, program, strings.Join(args, " "), err, out)
	}
	return out
}

// Run is Feed without input.
func (n *Namespace) Run(program string, args ...string) string {
	n.t.Helper()
	return n.Feed("", program, args...)
}

// Set sets a sysctl of the namespace.
func (n *Namespace) Set(key, value string) {
	n.t.Helper()
	file := filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
	if err := n.Do(func() error { return os.WriteFile(file, []byte(value), 0) }); err != nil {
		n.t.Fatalf("%s: set %s: %v", n.Name, key, err)
	}
}

// Start runs a program in the namespace, its output appended to a file. It is killed when the test ends.
func (n *Namespace) Start(cmd *exec.Cmd, log string) *process.Process {
	n.t.Helper()
	var p *process.Process
	err := n.Do(func() (err error) {
		p, err = process.StartHere(cmd, log)
		return err
	})
	if err != nil {
		n.t.Fatalf("%s: start %s: %v", n.Name, cmd.Path, err)
	}
	n.t.Cleanup(func() {
		p.Kill()
		if out, err := os.ReadFile(log); err == nil && n.t.Failed() {
			n.t.Logf("%s: output of %s:\n%s", n.Name, filepath.Base(cmd.Path), out)
		}
	})
	return p
}

// StartAs is Start with a user id, which need not have a name, and no rights beyond that user's.
func (n *Namespace) StartAs(uid uint32, cmd *exec.Cmd, log string) *process.Process {
	n.t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return n.Start(cmd, log)
}

// Dial dials from the namespace. Addresses must be literal.
func (n *Namespace) Dial(network, address string) (net.Conn, error) {
	return n.DialContext(context.Background(), network, address)
}

// DialContext is Dial, for http.Transport.
func (n *Namespace) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	err = n.aside(func() (err error) {
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen listens on TCP in the namespace. The listener is closed when the test ends.
func (n *Namespace) Listen(address string) *net.TCPListener {
	n.t.Helper()
	var l net.Listener
	err := n.Do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		n.t.Fatalf("%s: %v", n.Name, err)
	}
	n.t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// ListenUDP listens on UDP in the namespace. The socket is closed when the test ends.
func (n *Namespace) ListenUDP(address string) net.PacketConn {
	n.t.Helper()
	var c net.PacketConn
	err := n.Do(func() (err error) {
		c, err = net.ListenPacket("udp", address)
		return err
	})
	if err != nil {
		n.t.Fatalf("%s: %v", n.Name, err)
	}
	n.t.Cleanup(func() { c.Close() })
	return c
}

// HTTP is a client whose connections start in the namespace.
func (n *Namespace) HTTP() *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: n.DialContext, DisableKeepAlives: true}}
}
