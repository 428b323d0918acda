//go:build !linux

package clients

import (
	"context"
	"errors"
	"net"
	"os/exec"
)

func trixieMissing() string { return "the newer clients need Linux" }

func place(_ *exec.Cmd, _ Kind, spec Spec) error {
	if spec.Namespace != "" || spec.User != 0 {
		return errors.ErrUnsupported
	}
	return nil
}

// InNamespace calls f. Where this is built there are no network namespaces: path must be empty.
func InNamespace(path string, f func() error) error {
	if path != "" {
		return errors.ErrUnsupported
	}
	return f()
}

func dialer(string) func(ctx context.Context, network, address string) (net.Conn, error) { return nil }
