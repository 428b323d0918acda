package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"paygate/admin"
	"paygate/doctor"
	"paygate/lnclient"
	"paygate/lnclient/sandbox"
	"paygate/test/process"
	"paygate/units"
)

// patient is an owner whose paygate is to be examined: a directory with a configuration, a node with one channel, a
// client. Everything is well at first.
type patient struct {
	t        *testing.T
	dir      string
	network  *sandbox.Network
	node     *sandbox.Node
	peer     *sandbox.Node
	client   net.Listener
	macaroon units.Secret
	cert     []byte
	options  map[string]string // by the words that stand for them in the template
	machine  doctor.Machine
}

const patientConfig = `data_dir: data
listen: {peers: "PEERS", socks5: "SOCKS"}
client: {address: "CLIENT", aliases: 127.201.0.0/16}
lightning: {address: "NODE", tls_cert: tls.cert, macaroon: paygate.macaroon, network: NETWORK}
sell:
  rules:
    - {name: films, torrents: [0123456789abcdef0123456789abcdef01234567], price: 25 sat per GiB, rights: own, max: 5000 sat}
buy:
  per_torrent: 500 sat
  per_day: 1000 sat
  total: 10000 sat
  max: 500 sat
  rules:
    - {torrents: any, max_price: 40 sat per GiB}
`

func newPatient(t *testing.T) *patient {
	p := &patient{t: t, dir: t.TempDir(), options: map[string]string{"NETWORK": "regtest"}}
	var err error
	p.network, err = sandbox.New(sandbox.Config{})
	p.must(err)
	t.Cleanup(func() { p.must(p.network.Close()) })
	p.node, err = p.network.AddNode("alice", "127.0.0.1:0")
	p.must(err)
	p.peer, err = p.network.AddNode("bob", "127.0.0.1:0")
	p.must(err)
	p.must(p.network.OpenChannel(p.node, p.peer, 20_000*units.Sat, 10_000*units.Sat))
	p.macaroon, p.cert = baked(t, p.node, lnclient.Permissions(true, true)...), p.node.TLSCert()
	p.serveClient()
	p.options["NODE"], p.options["CLIENT"] = p.node.Address(), p.client.Addr().String()
	p.options["PEERS"], p.options["SOCKS"] = p.unused("0.0.0.0"), p.unused("127.0.0.1")
	p.must(os.Mkdir(p.file("data"), 0o700))
	p.machine = doctor.Machine{
		Now: time.Now, Free: func(string) (units.Bytes, error) { return 5 * units.GiB, nil },
		Files: func() (uint64, error) { return 20_000, nil }, Addresses: func() ([]netip.Addr, error) { return nil, nil },
	}
	return p
}

func (p *patient) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *patient) file(name string) string { return filepath.Join(p.dir, name) }

func (p *patient) unused(host string) string {
	l, err := net.Listen("tcp", host+":0")
	p.must(err)
	p.must(l.Close())
	return l.Addr().String()
}

// serveClient repeats every handshake, as a client that has every torrent would.
func (p *patient) serveClient() {
	var err error
	p.client, err = net.Listen("tcp", "127.0.0.1:0")
	p.must(err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := p.client.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer conn.Close(); _, _ = io.CopyN(conn, conn, 68) })
		}
	})
	p.t.Cleanup(func() { p.client.Close(); wg.Wait() })
}

// write makes the files anew.
func (p *patient) write() {
	text := patientConfig
	for word, value := range p.options {
		text = strings.ReplaceAll(text, word, value)
	}
	writeFile(p.t, p.file("paygate.yaml"), text)
	writeFile(p.t, p.file("tls.cert"), string(p.cert))
	writeFile(p.t, p.file("paygate.macaroon"), p.macaroon.Reveal())
}

var anyTime = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d UTC`)

// words replaces what differs from run to run.
func (p *patient) words(text string) string {
	pairs := []string{p.dir, "DIR"}
	for _, word := range []string{"NODE", "CLIENT", "PEERS", "SOCKS"} {
		pairs = append(pairs, p.options[word], word)
	}
	return anyTime.ReplaceAllString(strings.NewReplacer(pairs...).Replace(text), "TIME")
}

// examined returns what is printed for a person, and whether something fails.
func (p *patient) examined() (string, bool) {
	p.t.Helper()
	var b bytes.Buffer
	err := examine(p.t.Context(), &doctorText{w: &b}, p.file("paygate.yaml"), p.machine)
	var exit *exitError
	if err != nil && (!errors.As(err, &exit) || exit.code != exitFailure || exit.err != nil) {
		p.t.Fatal(err)
	}
	return p.words(b.String()), err != nil
}

// badStates are what can be wrong, one at a time.
var badStates = []struct {
	name  string
	fails bool
	make  func(p *patient)
}{
	{"no configuration", true, func(p *patient) { p.must(os.Remove(p.file("paygate.yaml"))) }},
	{"configuration not valid", true, func(p *patient) { writeFile(p.t, p.file("paygate.yaml"), "listen: {}\nbuy: {max: 5}\n") }},
	{"macaroon file open to others", false, func(p *patient) { p.must(os.Chmod(p.file("paygate.macaroon"), 0o644)) }},
	{"data_dir open to others", false, func(p *patient) { p.must(os.Chmod(p.file("data"), 0o755)) }},
	{"data_dir missing", false, func(p *patient) { p.must(os.Remove(p.file("data"))) }},
	{"data_dir a file", true, func(p *patient) { p.must(os.Remove(p.file("data"))); writeFile(p.t, p.file("data"), "") }},
	{"identity open to others", true, func(p *patient) {
		writeFile(p.t, p.file("data/identity.key"), "")
		p.must(os.Chmod(p.file("data"), 0o755))
		p.must(os.Chmod(p.file("data/identity.key"), 0o644))
	}},
	{"disk full", true, func(p *patient) {
		p.machine.Free = func(string) (units.Bytes, error) { return 10 * units.MiB, nil }
	}},
	{"few files", true, func(p *patient) { p.machine.Files = func() (uint64, error) { return 1024, nil } }},
	{"node away", true, func(p *patient) { p.must(p.node.Stop()) }},
	{"wallet locked", true, func(p *patient) { p.fault(sandbox.RefuseAll) }},
	{"no wallet", true, func(p *patient) { p.fault(sandbox.NoWallet) }},
	{"node starting", true, func(p *patient) { p.fault(sandbox.Starting) }},
	{"node never synced", true, func(p *patient) { p.fault(sandbox.Unsynced) }},
	{"another network", true, func(p *patient) { p.options["NETWORK"] = "signet"; p.write() }},
	{"another node's certificate", true, func(p *patient) { p.cert = p.peer.TLSCert(); p.write() }},
	{"another node's macaroon", true, func(p *patient) {
		p.macaroon = baked(p.t, p.peer, lnclient.Permissions(true, true)...)
		p.write()
	}},
	{"no macaroon at all", true, func(p *patient) { p.macaroon = units.Secret(strings.Repeat("0a", 60)); p.write() }},
	{"macaroon with too few rights", true, func(p *patient) { p.macaroon = baked(p.t, p.node, lnclient.SellPermissions()...); p.write() }},
	{"macaroon that denies everything asked", true, func(p *patient) {
		p.macaroon = baked(p.t, p.node, "/lnrpc.Lightning/AddInvoice")
		p.write()
	}},
	{"macaroon with all rights", true, func(p *patient) { p.macaroon = p.node.Macaroon(); p.write() }},
	{"clock behind", true, func(p *patient) {
		p.machine.Now = func() time.Time { return time.Now().Add(-26 * time.Hour) }
	}},
	{"no channel", true, func(p *patient) {
		lonely, err := p.network.AddNode("carol", "127.0.0.1:0")
		p.must(err)
		p.options["NODE"], p.cert, p.macaroon = lonely.Address(), lonely.TLSCert(), baked(p.t, lonely, lnclient.Permissions(true, true)...)
		p.write()
	}},
	{"channel's peer away", true, func(p *patient) { p.must(p.peer.Stop()) }},
	{"nothing to receive with", true, func(p *patient) { p.channel(1000*units.Sat, 995*units.Sat) }},
	{"little to receive with", false, func(p *patient) { p.channel(2000*units.Sat, 1000*units.Sat) }},
	{"nothing to send with", true, func(p *patient) { p.channel(10_000*units.Sat, 5*units.Sat) }},
	{"little to send with", false, func(p *patient) { p.channel(10_000*units.Sat, 400*units.Sat) }},
	{"public port taken", true, func(p *patient) { p.take("PEERS") }},
	{"socks5 port taken", true, func(p *patient) { p.take("SOCKS") }},
	{"client away", true, func(p *patient) { p.must(p.client.Close()) }},
}

func (p *patient) fault(k sandbox.FaultKind) {
	p.network.SetFault(sandbox.Fault{Kind: k, Node: "alice"})
}

// channel gives the node another life, with one channel of that capacity and balance.
func (p *patient) channel(capacity, balance units.Msat) {
	n, err := p.network.AddNode("dave", "127.0.0.1:0")
	p.must(err)
	p.must(p.network.OpenChannel(n, p.peer, capacity, balance))
	p.options["NODE"], p.cert, p.macaroon = n.Address(), n.TLSCert(), baked(p.t, n, lnclient.Permissions(true, true)...)
	p.write()
}

// take lets another program listen.
func (p *patient) take(word string) {
	l, err := net.Listen("tcp", p.options[word])
	p.must(err)
	p.t.Cleanup(func() { p.must(l.Close()) })
}

func TestDoctorOnAHealthyPaygate(t *testing.T) {
	p := newPatient(t)
	p.write()
	text, failed := p.examined()
	if failed {
		t.Error("something fails")
	}
	golden(t, "doctor-healthy.txt", text)
}

// TestDoctorFindsEachTrouble shows, for each bad state, the lines that differ from those of a healthy paygate.
func TestDoctorFindsEachTrouble(t *testing.T) {
	var all strings.Builder
	for _, s := range badStates {
		ok := t.Run(s.name, func(t *testing.T) {
			p := newPatient(t)
			p.write()
			healthy, _ := p.examined()
			s.make(p)
			text, failed := p.examined()
			if failed != s.fails {
				t.Errorf("fails: %t, want %t", failed, s.fails)
			}
			fmt.Fprintf(&all, "== %s\n", s.name)
			known := strings.Split(healthy, "\n")
			for line := range strings.SplitSeq(text, "\n") {
				if !slices.Contains(known, line) && !strings.Contains(line, " passed, ") {
					all.WriteString(line + "\n")
				}
			}
		})
		if !ok {
			return
		}
	}
	golden(t, "doctor-states.txt", all.String())
}

// TestDoctorIsJSONWhenPiped runs the program, on this machine as it is.
func TestDoctorIsJSONWhenPiped(t *testing.T) {
	p := newPatient(t)
	p.write()
	verdicts := func(code int, args ...string) map[string]doctor.Verdict {
		got := runIn(t, p.dir, append([]string{"doctor"}, args...)...)
		var r struct {
			OK       bool             `json:"ok"`
			Findings []doctor.Finding `json:"findings"`
		}
		if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || got.code != code || r.OK != (code == 0) || got.stderr != "" || strings.Count(got.stdout, "\n") != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		m := map[string]doctor.Verdict{}
		for _, f := range r.Findings {
			m[f.Check] = f.Verdict
			if (f.Verdict == doctor.Fail || f.Verdict == doctor.Warn) != (f.Remedy != "") {
				t.Errorf("%+v", f)
			}
		}
		return m
	}
	if v := verdicts(0); v[doctor.CheckNode] != doctor.Pass || v[doctor.CheckClient] != doctor.Pass || len(v) != 18 {
		t.Errorf("%v", v)
	}
	p.fault(sandbox.RefuseAll)
	if v := verdicts(exitFailure); v[doctor.CheckNode] != doctor.Fail || v[doctor.CheckInbound] != doctor.Skip {
		t.Errorf("%v", v)
	}
	if v := verdicts(exitFailure, "-c", "none.yaml"); v[doctor.CheckConfiguration] != doctor.Fail || len(v) != 1 {
		t.Errorf("%v", v)
	}
}

// TestDoctorKnowsThePaygateThatRuns: its ports are taken, and that is well.
func TestDoctorKnowsThePaygateThatRuns(t *testing.T) {
	p := newPatient(t)
	p.write()
	p.take("PEERS")
	p.take("SOCKS")
	serveStatus(t, p.file("data"), admin.Status{Clients: []admin.Client{{Peers: p.options["PEERS"], SOCKS5: p.options["SOCKS"]}}})
	text, failed := p.examined()
	if failed || !strings.Contains(text, "pass  public port    PEERS is held by the paygate that runs\n") ||
		!strings.Contains(text, "pass  socks5 port    SOCKS is held by the paygate that runs\n") {
		t.Errorf("%s", text)
	}
}

// TestDoctorWithoutRights runs the program as a user who may not write to data_dir, or not open what is in it.
func TestDoctorWithoutRights(t *testing.T) {
	for _, tt := range []struct {
		name  string
		shut  string
		mode  os.FileMode
		check string
		want  string
	}{
		{"data_dir is read-only", "data", 0o500, doctor.CheckDataDir, "cannot write to DIR/data: permission denied"},
		{"data_dir cannot be made", ".", 0o500, doctor.CheckDataDir, "DIR/data does not exist, and cannot be made in DIR: permission denied"},
		{"the identity is another user's", "data/identity.key", 0, doctor.CheckSecrets, "cannot read and write DIR/data/identity.key: permission denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "paygate.yaml"), "data_dir: data\nlisten: {socks5: 127.0.0.1:1080}\n")
			path := filepath.Join(dir, tt.shut)
			if tt.shut != "." {
				if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(tt.shut, ".key") {
					writeFile(t, path, "")
				}
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := os.Chmod(path, 0o700); err != nil {
					t.Error(err)
				}
			})
			f := findingWithoutRights(t, dir, tt.check)
			if f.Verdict != doctor.Fail || strings.ReplaceAll(f.Text, dir, "DIR") != tt.want {
				t.Errorf("%+v, want %q", f, tt.want)
			}
		})
	}
}

func findingWithoutRights(t *testing.T, dir, check string) doctor.Finding {
	t.Helper()
	var out bytes.Buffer
	c := command(t.Context(), dir, "doctor")
	c.Stdout = &out
	if err := process.Unprivileged(c.Start); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitFailure {
		t.Errorf("ended with %v", err)
	}
	var r struct{ Findings []doctor.Finding }
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Check == check })
	if i < 0 {
		t.Fatalf("no finding in %+v", r)
	}
	return r.Findings[i]
}

func TestVerdictsTellChanges(t *testing.T) {
	v := verdicts{}
	for i, tt := range []struct {
		verdict doctor.Verdict
		news    bool
	}{
		{doctor.Pass, false},
		{doctor.Warn, true},
		{doctor.Warn, false},
		{doctor.Skip, false},
		{doctor.Warn, false},
		{doctor.Fail, true},
		{doctor.Pass, true},
		{doctor.Pass, false},
		{doctor.Fail, true},
	} {
		if got := v.change(doctor.Finding{Check: "x", Verdict: tt.verdict}); got != tt.news {
			t.Errorf("step %d, %s: news %t", i, tt.verdict, got)
		}
	}
	if !v.change(doctor.Finding{Check: "y", Verdict: doctor.Fail}) {
		t.Error("a check that fails at first is news")
	}
}
