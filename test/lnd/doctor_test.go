package lnd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paygate/doctor"
	"paygate/test/lnd"
	"paygate/units"
)

// TestSetupAndDoctor goes the way of docs/lightning.md with real programs: lncli makes the macaroon, what is printed
// goes into a configuration, and the doctor finds nothing wrong, until the node is gone.
func TestSetupAndDoctor(t *testing.T) {
	n := start(t, []string{"alice", "bob"}, lnd.Channel{From: "alice", To: "bob", Capacity: capacity, Balance: buyers})
	programs, err := lnd.Find()
	check(t, err)
	dir, alice := t.TempDir(), n.Node("alice")
	paygate := filepath.Join(dir, "paygate")
	out, err := exec.CommandContext(bounded(t), "go", "build", "-o", paygate, "paygate/cmd/paygate").CombinedOutput()
	if err != nil {
		t.Fatalf("build paygate: %v\n%s", err, out)
	}
	mac, yaml := filepath.Join(dir, "paygate.macaroon"), filepath.Join(dir, "paygate.yaml")
	printed := runs(t, 0, paygate, "lnd", "setup", "--run", "--lncli", filepath.Join(filepath.Dir(programs.LND), "lncli"),
		"--lnddir", filepath.Dir(alice.LogFile()), "--rpcserver", alice.Address(), "--network", "simnet", "--save-to", mac)
	if info, err := os.Stat(mac); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the macaroon's file: %v, %v", info, err)
	}
	check(t, os.WriteFile(yaml, []byte(string(printed)+`
data_dir: `+dir+`/data
listen: {socks5: "127.0.0.1:0"}
sell: {rules: [{all_torrents: true, price: 25 sat per GiB, rights: own}]}
buy: {per_torrent: 500 sat, per_day: 500 sat, total: 500 sat, max: 500 sat, rules: [{torrents: any, max_price: 40 sat per GiB}]}
`), 0o600))
	found := findings(t, runs(t, 0, paygate, "doctor", "-c", yaml))
	for _, want := range []string{doctor.CheckNode, doctor.CheckVersion, doctor.CheckNetwork, doctor.CheckMacaroon, doctor.CheckInbound, doctor.CheckOutbound} {
		if f := found[want]; f.Verdict != doctor.Pass {
			t.Errorf("%+v", f)
		}
	}
	if f := found[doctor.CheckInbound]; !strings.Contains(f.Text, fmt.Sprintf("can receive %s;", capacity-buyers-reserve)) {
		t.Errorf("%+v", f)
	}
	alice.Kill()
	if f := findings(t, runs(t, 1, paygate, "doctor", "-c", yaml))[doctor.CheckNode]; f.Verdict != doctor.Fail || !strings.HasSuffix(f.Text, "does not answer") {
		t.Errorf("%+v", f)
	}
}

// reserve is what each side of a channel must keep in it: lnd asks for a hundredth.
const reserve = capacity / 100 / units.Sat * units.Sat

// runs runs a program and returns what it printed.
func runs(t *testing.T, code int, program string, args ...string) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(bounded(t), program, args...)
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || c.ProcessState.ExitCode() != code {
		t.Fatalf("%q: %v\n%s%s", args, err, stdout.String(), stderr.String())
	}
	return stdout.Bytes()
}

func findings(t *testing.T, printed []byte) map[string]doctor.Finding {
	t.Helper()
	var r struct{ Findings []doctor.Finding }
	check(t, json.Unmarshal(printed, &r))
	found := map[string]doctor.Finding{}
	for _, f := range r.Findings {
		found[f.Check] = f
	}
	return found
}
