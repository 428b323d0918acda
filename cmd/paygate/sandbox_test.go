package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"paygate/lnclient"
	"paygate/units"
)

// startSandbox runs the command and returns what it printed, and how to stop it.
func startSandbox(t *testing.T, dir string, args ...string) (sandboxView, func()) {
	t.Helper()
	c := command(t.Context(), dir, append([]string{"sandbox", "--dir", "net", "--port", "0"}, args...)...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var v sandboxView
	line := bufio.NewScanner(out)
	if !line.Scan() || json.Unmarshal(line.Bytes(), &v) != nil {
		t.Fatalf("printed %q, %q, ended with %v", line.Text(), stderr.String(), stop(c))
	}
	return v, func() {
		if err := stop(c); err != nil || stderr.Len() > 0 {
			t.Errorf("ended with %v, told %q", err, stderr.String())
		}
	}
}

func stop(c *exec.Cmd) error { return errors.Join(c.Process.Signal(syscall.SIGTERM), c.Wait()) }

func TestSandboxServesNodesThatPaygateCanUse(t *testing.T) {
	dir := t.TempDir()
	v, end := startSandbox(t, dir, "--nodes", "seller,buyer,hub", "--latency", "70ms", "--capacity", "1000 sat")
	defer end()
	if v.Network != "regtest" || v.Latency != 70 || len(v.Nodes) != 3 {
		t.Fatalf("%+v", v)
	}
	for _, n := range v.Nodes {
		if n.Local != 1000*units.Sat || n.Remote != 1000*units.Sat {
			t.Errorf("%s has %s and %s", n.Alias, n.Local, n.Remote)
		}
		useNode(t, n)
		writeFile(t, filepath.Join(dir, "p.yaml"), snippet(n)+"listen: {peers: 192.0.2.1:6881}\nclient: {address: 127.0.0.1:6881}\n")
		if got := runIn(t, dir, "check", "-c", "p.yaml"); got.code != 0 || !strings.HasPrefix(got.stdout, "p.yaml is valid") {
			t.Errorf("the snippet for %s: %+v", n.Alias, got)
		}
	}
}

// useNode asks a node who it is, as paygate would, with the files that the sandbox wrote.
func useNode(t *testing.T, n nodeView) {
	t.Helper()
	cert, err := os.ReadFile(n.TLSCert)
	if err != nil {
		t.Fatal(err)
	}
	mac, err := os.ReadFile(n.Macaroon)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(n.Macaroon); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the macaroon of %s has mode %v", n.Alias, info.Mode())
	}
	c, err := lnclient.New(lnclient.Config{Address: n.Address, TLSCert: cert, Macaroon: units.Secret(hex.EncodeToString(mac)), Network: "regtest"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	info, err := c.Info(t.Context())
	if err != nil || info.Node.String() != n.Node || info.Alias != n.Alias {
		t.Errorf("%s says it is %+v, %v", n.Alias, info, err)
	}
}

func TestSandboxGoesOnWhereItEnded(t *testing.T) {
	dir := t.TempDir()
	first, end := startSandbox(t, dir)
	end()
	second, end := startSandbox(t, dir)
	end()
	if len(first.Nodes) != 2 || first.Nodes[0] != second.Nodes[0] || first.Nodes[1] != second.Nodes[1] {
		t.Errorf("first %+v, then %+v", first, second)
	}
}

func TestSandboxText(t *testing.T) {
	var b bytes.Buffer
	printNodes(&b, []nodeView{
		{Alias: "seller", Address: "127.0.0.1:10009", Node: "02aa", TLSCert: "/d/seller/tls.cert", Macaroon: "/d/seller/paygate.macaroon", Local: 5_000_000, Remote: 1500},
		{Alias: "b", Address: "127.0.0.1:10010", Node: "03bb", TLSCert: `/d/"b/tls.cert`, Macaroon: "/d/b/paygate.macaroon", Local: 1500, Remote: 5_000_000},
	})
	golden(t, "sandbox.txt", b.String())
}
