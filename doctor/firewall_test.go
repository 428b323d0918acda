package doctor

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"paygate/client"
	"paygate/config"
)

func TestFirewall(t *testing.T) {
	for _, c := range []struct {
		name string
		f    Firewall
		want string
	}{
		{"untold", Firewall{Err: errors.New("no")}, "skip: it cannot be told what was applied: no"},
		{"never", Firewall{}, "warn: no rules are known"},
		{"other configuration", Firewall{Applied: true, About: "x", Looked: true, Intact: true}, "fail: the configuration has changed since the rules were applied for x"},
		{"not root", Firewall{Applied: true, Current: true, About: "x"}, "pass: rules were applied for x (only root"},
		{"changed", Firewall{Applied: true, Current: true, Looked: true, About: "x"}, "fail: the rules are not as they were applied for x"},
		{"well", Firewall{Applied: true, Current: true, Looked: true, Intact: true, About: "x"}, "pass: rules stand for x"},
	} {
		f := judgeFirewall(c.f)
		if got := string(f.Verdict) + ": " + f.Text; !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if (f.Verdict == Warn || f.Verdict == Fail) != (f.Remedy != "") {
			t.Errorf("%s: remedy %q", c.name, f.Remedy)
		}
	}
}

func TestCapability(t *testing.T) {
	for err, want := range map[error]Verdict{nil: Pass, syscall.EPERM: Warn, syscall.ENOPROTOOPT: Fail} {
		if f := capability(err); f.Verdict != want {
			t.Errorf("%v: %+v", err, f)
		}
	}
}

func TestFirewallIsAskedAboutOnlyWhereItMatters(t *testing.T) {
	for _, c := range []struct {
		name    string
		listen  config.Listen
		source  string
		running map[string]*Running
		want    string
	}{
		{"nothing", config.Listen{Peers: "127.0.0.1:0"}, "alias", nil, ""},
		{"redirect", config.Listen{Redirect: "127.0.0.1:0"}, "alias", nil, "redirect port,firewall"},
		{"tproxy", config.Listen{TProxy: "127.0.0.1:0"}, "alias", nil, "tproxy port,capability,firewall"},
		{"source", config.Listen{}, "peer", nil, "capability"},
		{"running", config.Listen{TProxy: "127.0.0.1:0"}, "peer", map[string]*Running{"": {}}, "tproxy port,firewall"},
	} {
		d := Deps{Running: c.running, Firewall: func(context.Context, *config.Config) Firewall { return Firewall{} }}
		var checks []string
		cfg := &config.Config{Listen: c.listen, Client: config.Client{Source: c.source}}
		examineFirewall(t.Context(), cfg, d, func(f Finding) { checks = append(checks, f.Check) })
		if got := strings.Join(checks, ","); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestTransportBehindTheFirewall: uTP that cannot get out is no leak.
func TestTransportBehindTheFirewall(t *testing.T) {
	s := client.Settings{Kind: "qBittorrent", TCP: true, UTP: true}
	for name, listen := range map[string]config.Listen{"redirect": {Redirect: ":1"}, "tproxy": {TProxy: ":1"}, "neither": {Peers: ":1"}} {
		want := Pass
		if name == "neither" {
			want = Fail
		}
		if f := transport(&config.Config{Listen: listen}, s); f.Verdict != want {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
