package clients

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// trixieRoot is where test/install/trixie.sh puts Debian 13, and trixieMark the file that says that it is whole.
func trixieRoot() string {
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	return filepath.Join(cache, "paygate-trixie", "root")
}

const trixieMark = ".paygate-complete"

// trixieMissing says why the clients of Debian 13 cannot be run; empty: they can.
func trixieMissing() string {
	if os.Geteuid() != 0 {
		return "the newer clients need root, for chroot"
	}
	if _, err := os.Stat(filepath.Join(trixieRoot(), trixieMark)); err != nil {
		return "the newer clients are not installed: test/install/trixie.sh"
	}
	return ""
}

// place wraps a client's command so that it runs where the spec has it: in Debian 13, in a network namespace, as
// another user. Each wrapper replaces itself by what it starts, so that the process stays one and the same.
func place(cmd *exec.Cmd, kind Kind, spec Spec) error {
	var before []string
	if spec.Namespace != "" {
		before = append(before, "nsenter", "--net="+spec.Namespace, "--")
	}
	if kinds[kind].trixie {
		wrap, err := inTrixie(spec.Dir)
		if err != nil {
			return err
		}
		before = append(before, wrap...)
	}
	if spec.User != 0 {
		id := strconv.Itoa(int(spec.User))
		// Whoever changes his user is no longer ended by the kernel with his parent, unless he asks for it again.
		before = append(before, "setpriv", "--reuid="+id, "--regid="+id, "--clear-groups", "--pdeathsig=KILL", "--")
	}
	if before == nil {
		return nil
	}
	path, err := exec.LookPath(before[0])
	if err != nil {
		return err
	}
	cmd.Args = append(append(before, cmd.Path), cmd.Args[1:]...)
	cmd.Path, cmd.Err = path, nil
	return nil
}

// inTrixie returns the beginning of a command whose rest runs in Debian 13 and sees dir there, too. What it mounts is
// mounted in a namespace of its own: with the process it is gone.
func inTrixie(dir string) ([]string, error) {
	root := trixieRoot()
	bind, err := deepestShared(root, dir)
	if err != nil {
		return nil, err
	}
	const script = `set -e; for d in /proc /dev "$2"; do mount --rbind "$d" "$1$d"; done; root="$1"; shift 2; exec chroot "$root" "$@"`
	return []string{"unshare", "--mount", "--propagation=private", "--", "sh", "-c", script, "sh", root, bind}, nil
}

// deepestShared returns the longest beginning of dir that is a directory below root, too.
func deepestShared(root, dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := filepath.Dir(dir); at != "/"; at = filepath.Dir(at) {
		if st, err := os.Stat(filepath.Join(root, at)); err == nil && st.IsDir() {
			return at, nil
		}
	}
	top := "/" + strings.SplitN(dir, "/", 3)[1]
	if err := os.Mkdir(filepath.Join(root, top), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("make a place for %s in Debian 13: %w", top, err)
	}
	return top, nil
}

// InNamespace calls f, and whatever socket f opens belongs to the network namespace of that path, for good. An empty
// path is the caller's own.
func InNamespace(path string, f func() error) error {
	if path == "" {
		return f()
	}
	runtime.LockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() { _ = own.Close() }()
	other, err := os.Open(path)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("network namespace: %w", err)
	}
	defer func() { _ = other.Close() }()
	if err := unix.Setns(int(other.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace %s: %w", path, err)
	}
	result := f()
	if err := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); err != nil {
		// The thread stays locked and ends with its goroutine: nothing else may run in the wrong namespace.
		return errors.Join(result, fmt.Errorf("leave network namespace %s: %w", path, err))
	}
	runtime.UnlockOSThread()
	return result
}

// dialer returns what connects to addresses of a network namespace; nil for the caller's own.
func dialer(namespace string) func(ctx context.Context, network, address string) (net.Conn, error) {
	if namespace == "" {
		return nil
	}
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = InNamespace(namespace, func() (err error) {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}
