package firewall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ThisHost is the machine, or the network namespace, in which this process runs. dir holds what was applied, for each
// namespace by itself.
func ThisHost(dir string) Host {
	if ns, err := os.Readlink("/proc/self/ns/net"); err == nil { // net:[4026531840]
		dir = filepath.Join(dir, strings.Trim(strings.TrimPrefix(ns, "net:"), "[]"))
	}
	return Host{Run: run, Dir: dir}
}

// run finds programs also where only root's search path has them.
func run(ctx context.Context, input, program string, args ...string) (string, error) {
	found, err := exec.LookPath(program)
	if err != nil {
		if found, err = exec.LookPath(filepath.Join("/usr/sbin", program)); err != nil {
			return "", fmt.Errorf("%s is not installed: it comes with the package %s", program, packages[program])
		}
	}
	cmd := exec.CommandContext(ctx, found, args...)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &said
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(said.String()); text != "" {
			err = errors.New(text)
		}
		return "", fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
	}
	return out.String(), nil
}

var packages = map[string]string{"nft": "nftables", "ip": "iproute2"}
