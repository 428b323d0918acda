package firewall

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paygate/test/netns"
)

// state is everything of a namespace that a firewall could change.
func state(n *netns.Namespace) map[string]string {
	return map[string]string{
		"ruleset":     n.Run("nft", "list", "ruleset"),
		"rules":       n.Run("ip", "-4", "rule"),
		"IPv6 rules":  n.Run("ip", "-6", "rule"),
		"routes":      n.Run("ip", "-4", "route", "show", "table", "all"),
		"IPv6 routes": settled(n.Run("ip", "-6", "route", "show", "table", "all")),
		"sysctls":     n.Run("sysctl", "-e", "-a", "--pattern", `^net\.(ipv4|ipv6)\.(conf|ip_forward|fwmark|tcp_fwmark|neigh|route\.[^f])`),
	}
}

// settled leaves out what the kernel adds by itself once an interface has been up for a while.
func settled(routes string) string {
	var kept []string
	for line := range strings.Lines(routes) {
		if !strings.Contains(line, "fe80::") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func same(t *testing.T, what string, before, after map[string]string) {
	t.Helper()
	for name, was := range before {
		if is := after[name]; is != was {
			t.Errorf("%s: %s changed:\n%s\nwas:\n%s", what, name, is, was)
		}
	}
}

// foreign are somebody else's rules, which stay.
const foreign = `table ip mine {
	chain c {
		type nat hook output priority -100; policy accept;
		meta skuid 77 tcp dport 80 redirect to :8080
	}
}
table inet filter {
	chain forward {
		type filter hook forward priority 0; policy drop;
	}
}
`

// TestRemoveLeavesEverythingAsItWas for each form, applied once or more.
func TestRemoveLeavesEverythingAsItWas(t *testing.T) {
	inside, gateway, _ := homes(t)
	_ = inside
	gateway.Feed(foreign, "nft", "-f", "-")
	gateway.Run("ip", "rule", "add", "pref", "1000", "fwmark", "9", "lookup", "main")
	gateway.Run("ip", "-6", "rule", "add", "pref", "1000", "fwmark", "9", "lookup", "main")
	config := writeConfig(t, t.TempDir(), transparentConfig+`{redirect: ":17000", tproxy: ":17001"}`)
	local := writeConfig(t, t.TempDir(), "client: {address: 127.0.0.1:6881, source: peer}\nlisten: {redirect: \":17000\", peers: \":16881\"}\n")
	before := state(gateway)
	if out := firewallIn(gateway, config, "remove"); !strings.Contains(out, "nothing to remove") {
		t.Errorf("remove: %s", out)
	}
	same(t, "remove of nothing", before, state(gateway))
	forms := []struct {
		name, config string
		args         []string
	}{
		{"user", local, []string{"--user", "4242"}},
		{"gateway", config, []string{"--client-if", "g1", "--peers-if", "g2"}},
		{"gateway for all peers", config, []string{"--client-if", "g1"}},
	}
	for _, f := range forms {
		apply := append([]string{"apply"}, f.args...)
		firewallIn(gateway, f.config, apply...)
		once := state(gateway)
		if once["ruleset"] == before["ruleset"] || once["rules"] == before["rules"] || once["IPv6 rules"] == before["IPv6 rules"] {
			t.Fatalf("%s: apply does nothing", f.name)
		}
		firewallIn(gateway, f.config, apply...)
		same(t, f.name+" twice", sorted(once), sorted(state(gateway)))
		if out := firewallIn(gateway, f.config, "remove"); !strings.Contains(out, "removed") {
			t.Errorf("remove: %s", out)
		}
		same(t, f.name+" removed", before, state(gateway))
	}
	for _, f := range forms { // one instead of the other
		firewallIn(gateway, f.config, append([]string{"apply"}, f.args...)...)
	}
	if strings.Contains(gateway.Run("nft", "list", "ruleset"), "skuid 4242") || strings.Contains(gateway.Run("ip", "rule"), "uidrange") {
		t.Error("rules of an earlier form are left")
	}
	firewallIn(gateway, config, "remove")
	same(t, "all removed", before, state(gateway))
}

// sorted leaves out what nft numbers anew: the order of our table among others.
func sorted(s map[string]string) map[string]string {
	tables := strings.SplitAfter(s["ruleset"], "\n}\n")
	for i := range tables {
		for j := range tables[:i] {
			if tables[i] < tables[j] {
				tables[i], tables[j] = tables[j], tables[i]
			}
		}
	}
	s["ruleset"] = strings.Join(tables, "")
	return s
}

func firewallIn(n *netns.Namespace, config string, args ...string) string {
	return n.Run(paygate, append(append([]string{"firewall"}, args...), "-c", config)...)
}

// TestPrintDoesWhatApplyDoes runs the printed script.
func TestPrintDoesWhatApplyDoes(t *testing.T) {
	_, gateway, _ := homes(t)
	config := writeConfig(t, t.TempDir(), transparentConfig+`{redirect: ":17000", tproxy: ":17001"}`)
	form := []string{"--client-if", "g1", "--peers-if", "g2"}
	firewallIn(gateway, config, append([]string{"apply"}, form...)...)
	want := state(gateway)
	firewallIn(gateway, config, "remove")
	script := firewallIn(gateway, config, append([]string{"print"}, form...)...)
	for range 2 {
		gateway.Feed(script, "sh")
		same(t, "script", want, state(gateway))
	}
	if out := firewallIn(gateway, config, "remove"); !strings.Contains(out, "removed") {
		t.Errorf("remove after the script: %s", out)
	}
}

// TestApplyChangesNothingIfTheRulesAreNotTaken has nft refuse: there is no such control group.
func TestApplyChangesNothingIfTheRulesAreNotTaken(t *testing.T) {
	_, gateway, _ := homes(t)
	config := writeConfig(t, t.TempDir(), "listen: {redirect: \":17000\"}\n")
	before := state(gateway)
	out, err := gateway.Try("", paygate, "firewall", "apply", "--cgroup", "no/such/group", "-c", config)
	if err == nil || !strings.Contains(out, "try the rules") {
		t.Errorf("apply: %v: %s", err, out)
	}
	same(t, "failed apply", before, state(gateway))
}

func TestOnlyRootApplies(t *testing.T) {
	_, gateway, _ := homes(t)
	dir := t.TempDir()
	config := writeConfig(t, dir, "listen: {redirect: \":17000\"}\n")
	giveTo(t, gateway, client, dir)
	for _, command := range []string{"apply --user 4242", "remove"} {
		log := filepath.Join(dir, strings.Fields(command)[0])
		args := append(append([]string{"firewall"}, strings.Fields(command)...), "-c", config)
		p := gateway.StartAs(client, exec.Command(paygate, args...), log)
		waitFor(t, p.Exited)
		if said := gateway.Run("cat", log); !strings.Contains(said, "sudo paygate firewall") {
			t.Errorf("%s: it says %s", command, said)
		}
	}
}

func TestDoctorSeesDrift(t *testing.T) {
	_, gateway, _ := homes(t)
	s := newSite(t, gateway, transparentConfig+`{redirect: ":17000", tproxy: ":17001"}`)
	check := func(want string) {
		t.Helper()
		out, _ := gateway.Try("", paygate, "doctor", "-c", s.config) // it fails for other reasons too
		var report struct {
			Findings []struct{ Check, Verdict, Text, Remedy string }
		}
		if err := json.NewDecoder(strings.NewReader(out)).Decode(&report); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, f := range report.Findings {
			if f.Check == "firewall" {
				if got := f.Verdict + ": " + f.Text; !strings.HasPrefix(got, want) {
					t.Errorf("doctor says %q, want %q", got, want)
				}
				return
			}
		}
		t.Errorf("doctor says nothing: %s", out)
	}
	check("warn: no rules are known")
	s.firewall("apply", "--client-if", "g1")
	check("pass: ")
	gateway.Run("nft", "add", "rule", "inet", "paygate", "forwarded", "counter")
	check("fail: the rules are not as they were applied")
	s.firewall("apply", "--client-if", "g1")
	gateway.Run("ip", "rule", "delete", "pref", "28775")
	check("fail: the rules are not as they were applied")
	s.firewall("apply", "--client-if", "g1")
	b, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.config, bytes.Replace(b, []byte("17000"), []byte("17009"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	check("fail: the configuration has changed since")
	s.firewall("remove")
	check("warn: no rules are known")
}

// unified is where control groups v2 are here, "" if they are not.
func unified() string {
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.controllers")); err == nil {
			return dir
		}
	}
	return ""
}

func TestCgroup(t *testing.T) {
	machine, world := sameHost(t)
	groups := unified()
	if groups == "" {
		t.Skip("there are no control groups v2")
	}
	name := fmt.Sprintf("pgfire%d/client", os.Getpid())
	dir := filepath.Join(groups, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Skipf("no control group can be made: %v", err)
	}
	t.Cleanup(func() {
		waitFor(t, func() bool { return os.Remove(dir) == nil })
		os.Remove(filepath.Dir(dir))
	})
	s := newSite(t, machine, hostConfig)
	// nft looks for control groups at /sys/fs/cgroup alone.
	const mounted = `[ -e /sys/fs/cgroup/cgroup.controllers ] || mount -t cgroup2 none /sys/fs/cgroup; exec "$@"`
	machine.Run("unshare", "-m", "sh", "-c", mounted, "sh", paygate, "firewall", "apply", "--cgroup", "/sys/fs/cgroup/"+name, "-c", s.config)
	for _, to := range []string{"198.51.100.7:7000", "[2001:db8:1::7]:7000"} {
		for _, inside := range []bool{true, false} {
			l := world.Listen(to)
			cmd := exec.Command("sh", "-c", `[ -z "$1" ] || echo $$ >"$1/cgroup.procs"; exec "$2"`, "sh", map[bool]string{true: dir}[inside], os.Args[0])
			cmd.Env = append(os.Environ(), callVariable+"="+to)
			log := filepath.Join(t.TempDir(), "log")
			p := machine.Start(cmd, log)
			peer := accept(t, l, 10*time.Second)
			if peer == nil {
				t.Fatalf("%s: nobody comes", to)
			}
			answerHand(t, peer)
			waitFor(t, p.Exited)
			own, name, _ := strings.Cut(machine.Run("cat", log), " ")
			if !strings.HasPrefix(name, "called") {
				t.Errorf("%s: the caller says %s %s", to, own, name)
			}
			if through := own != fmt.Sprint(port(peer.RemoteAddr())); through != inside {
				t.Errorf("%s: in the group %v, through paygate %v", to, inside, through)
			}
			l.Close()
		}
	}
}

func answerHand(t *testing.T, peer net.Conn) {
	t.Helper()
	if _, err := peer.Read(make([]byte, len(hand("")))); err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Write(hand("called")); err != nil {
		t.Fatal(err)
	}
}
