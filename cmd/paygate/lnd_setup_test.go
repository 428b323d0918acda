package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paygate/config"
	"paygate/lnclient"
)

func TestLndSetupPrints(t *testing.T) {
	for _, c := range []struct {
		golden string
		args   []string
	}{
		{"lnd-setup-both.txt", nil},
		{"lnd-setup-sell.txt", []string{"--for", "sell", "--save-to", "seller's.macaroon"}},
		{"lnd-setup-buy.txt", []string{
			"--for", "buy", "--lncli", "/opt/lnd/lncli", "--lnddir", "/srv/my lnd/", "--rpcserver", "[::1]:10010", "--network", "signet",
			"--tlscertpath", "/srv/tls.cert", "--macaroonpath", "/srv/admin.macaroon",
		}},
	} {
		got := runIn(t, t.TempDir(), append([]string{"lnd", "setup"}, c.args...)...)
		if got.code != 0 || got.stderr != "" {
			t.Errorf("%q: %+v", c.args, got)
		}
		golden(t, c.golden, got.stdout)
	}
}

// fakeLncli makes a program that notes its arguments in dir/args and then runs the commands of a shell.
func fakeLncli(t *testing.T, dir, commands string) string {
	t.Helper()
	path := filepath.Join(dir, "lncli")
	writeFile(t, path, "#!/bin/sh\nprintf '%s\\n' \"$@\" >'"+filepath.Join(dir, "args")+"'\n"+commands+"\n")
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLndSetupRunsLncli(t *testing.T) {
	dir, n := t.TempDir(), node(t)
	mac := baked(t, n, lnclient.SellPermissions()...)
	lncli := fakeLncli(t, dir, "echo "+mac.Reveal())
	lnddir := filepath.Join(dir, ".lnd")
	if err := os.Mkdir(lnddir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(lnddir, "tls.cert"), string(n.TLSCert()))
	got := runIn(t, dir, "lnd", "setup", "--for", "sell", "--run", "--lncli", lncli, "--rpcserver", n.Address(), "--network", "regtest")
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	args, err := os.ReadFile(filepath.Join(dir, "args"))
	want := "--rpcserver\n" + n.Address() + "\n--network\nregtest\nbakemacaroon\nuri:" + strings.Join(lnclient.SellPermissions(), "\nuri:") + "\n"
	if err != nil || string(args) != want {
		t.Errorf("lncli was given %q, %v; want %q", args, err, want)
	}
	path := filepath.Join(lnddir, "paygate.macaroon")
	raw, err := os.ReadFile(path)
	if err != nil || hex.EncodeToString(raw) != mac.Reveal() {
		t.Errorf("the file holds %x, %v", raw, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(lnddir, ".macaroon*")); left != nil {
		t.Errorf("left %q", left)
	}
	text := got.stdout[strings.Index(got.stdout, "lightning:"):] + "listen: {peers: 192.0.2.1:6881}\nclient: {address: 127.0.0.1:6881}\ndata_dir: data\n"
	c, err := config.Parse("p.yaml", []byte(text), func(name string) (string, bool) { return dir, name == "HOME" })
	if err != nil || c.Lightning.Macaroon != mac || c.Lightning.Address != n.Address() || c.Lightning.Network != "regtest" {
		t.Errorf("the printed lines\n%s\nmake %+v, %v", text, c, err)
	}
}

func TestLndSetupRefuses(t *testing.T) {
	n := node(t)
	sell := lnclient.SellPermissions()
	for _, tt := range []struct {
		name     string
		commands string
		exists   bool
		args     []string
		code     int
		want     string
	}{
		{"an unknown purpose", "", false, []string{"--for", "rent"}, exitConfiguration, "paygate: --for rent is not sell, buy or both\nSee `paygate lnd setup --help`\n"},
		{"an argument", "", false, []string{"sell"}, exitConfiguration, "unknown command \"sell\" for \"paygate lnd setup\"\nSee `paygate lnd setup --help`\n"},
		{"no lncli", "", false, []string{"--run", "--lncli", "none/lncli"}, exitFailure, "no such file or directory\nname it with --lncli"},
		{"no lncli on the path", "", false, []string{"--run", "--lncli", "no-such-lncli"}, exitFailure, "executable file not found in $PATH\nname it with --lncli"},
		{"a file that exists", "exit 1", true, []string{"--run"}, exitFailure, "paygate.macaroon exists: choose another file with --save-to, or replace it with --force\n"},
		{"lncli that fails", `printf '[lncli] rpc error: \033[2Jno\n' >&2; exit 3`, false, []string{"--run"}, exitFailure, "exit status 3\n[lncli] rpc error: ?[2Jno\n"},
		{"lncli that prints something else", "echo hello", false, []string{"--run"}, exitFailure, "lncli printed: it is not hexadecimal\n"},
		{"a macaroon with fewer rights", "echo " + baked(t, n, sell[1:]...).Reveal(), false, []string{"--run"}, exitFailure, "other rights than it was asked for; it was not kept\n"},
		{
			"a macaroon with more rights", "echo " + baked(t, n, append(sell, "/lnrpc.Lightning/WalletBalance")...).Reveal(), false,
			[]string{"--run"},
			exitFailure, "other rights than it was asked for; it was not kept\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "paygate.macaroon")
			args := []string{"lnd", "setup", "--for", "sell", "--save-to", path, "--lncli", fakeLncli(t, dir, tt.commands)}
			if tt.exists {
				writeFile(t, path, "precious")
			}
			got := runIn(t, dir, append(args, tt.args...)...)
			if got.code != tt.code || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("%+v, want %q", got, tt.want)
			}
			if data, err := os.ReadFile(path); (err == nil) != tt.exists || tt.exists && string(data) != "precious" {
				t.Errorf("the file holds %q, %v", data, err)
			}
		})
	}
}

func TestLndSetupReplacesWhenForced(t *testing.T) {
	dir := t.TempDir()
	mac := baked(t, node(t), lnclient.BuyPermissions()...)
	writeFile(t, filepath.Join(dir, "m"), "old")
	got := runIn(t, dir, "lnd", "setup", "--for", "buy", "--save-to", "m", "--run", "--force", "--lncli", fakeLncli(t, dir, "echo "+mac.Reveal()))
	raw, err := os.ReadFile(filepath.Join(dir, "m"))
	if got.code != 0 || err != nil || fmt.Sprintf("%x", raw) != mac.Reveal() {
		t.Errorf("%+v, %x, %v", got, raw, err)
	}
}

func TestWordsAreQuoted(t *testing.T) {
	for _, tt := range []struct{ in, shell, yaml string }{
		{"~/.lnd/x.macaroon", "~/.lnd/x.macaroon", "~/.lnd/x.macaroon"},
		{"it's", `'it'\''s'`, `"it's"`},
		{"a b", "'a b'", `"a b"`},
		{"[::1]:1", "'[::1]:1'", `"[::1]:1"`},
		{"c:", "c:", `"c:"`},
		{"", "''", `""`},
	} {
		if shellWord(tt.in) != tt.shell || yamlWord(tt.in) != tt.yaml {
			t.Errorf("%q: %s and %s", tt.in, shellWord(tt.in), yamlWord(tt.in))
		}
	}
}
