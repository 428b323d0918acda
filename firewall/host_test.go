package firewall

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// machine plays nft and ip: it remembers the table, rules and routes that are ours.
type machine struct {
	table  string
	rules  map[string][]string // by family
	routes map[string]bool
	calls  []string
	fail   string // a call that begins so fails
}

func newMachine(t *testing.T) (*machine, Host) {
	m := &machine{rules: map[string][]string{}, routes: map[string]bool{}}
	return m, Host{Run: m.run, Dir: t.TempDir() + "/state"}
}

func (m *machine) run(_ context.Context, input, program string, args ...string) (string, error) {
	call := program + " " + strings.Join(args, " ")
	m.calls = append(m.calls, call)
	if m.fail != "" && strings.HasPrefix(call, m.fail) {
		return "", errors.New("it does not work")
	}
	switch {
	case strings.HasPrefix(call, "nft --check"):
		return "", nil
	case call == "nft -f -":
		m.table = ""
		if parts := strings.SplitN(input, "delete table inet paygate\n", 2); parts[1] != "" {
			m.table = parts[1]
		}
		return "", nil
	case strings.HasPrefix(call, "nft --stateless list"):
		if m.table == "" {
			return "", errors.New("no such table")
		}
		return m.table, nil
	}
	return m.ip(args[0], strings.Join(args[1:3], " "), call)
}

func (m *machine) ip(family, command, call string) (string, error) {
	switch command {
	case "rule show":
		return strings.Join(m.rules[family], ""), nil
	case "rule add":
		m.rules[family] = append(m.rules[family], call+"\n")
	case "rule delete":
		m.rules[family] = m.rules[family][1:]
	case "route show":
		if !m.routes[family] {
			return "", errors.New("no such table")
		}
		return "local default dev lo\n", nil
	case "route replace":
		m.routes[family] = true
	case "route flush":
		delete(m.routes, family)
	default:
		return "", fmt.Errorf("what is %q", call)
	}
	return "", nil
}

func (m *machine) pristine() bool {
	return m.table == "" && len(m.rules["-4"])+len(m.rules["-6"])+len(m.routes) == 0
}

func mustPlan(t *testing.T, name string) *Plan {
	t.Helper()
	p, err := New(forms[name])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestApplyTwiceAndRemove(t *testing.T) {
	m, h := newMachine(t)
	p := mustPlan(t, "gateway")
	for range 2 {
		if err := h.Apply(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if m.table != p.Rules || len(m.rules["-4"]) != 1 || len(m.rules["-6"]) != 1 || len(m.routes) != 2 {
			t.Errorf("%+v", m)
		}
		m.calls = nil
	}
	a, err := h.Recall("paygate")
	if err != nil || a == nil || a.Plan.Rules != p.Rules || a.Options.ClientIf != "veth0" || a.Listing != m.table {
		t.Fatalf("%+v, %v", a, err)
	}
	if ok, err := h.Intact(t.Context(), a); !ok || err != nil {
		t.Errorf("intact: %v, %v", ok, err)
	}
	m.table += "\n# changed\n"
	if ok, err := h.Intact(t.Context(), a); ok || err != nil {
		t.Errorf("intact after a change: %v, %v", ok, err)
	}
	for i, want := range []bool{true, false} {
		found, err := h.Remove(t.Context(), Trace(forms["gateway"]))
		if found != want || err != nil || !m.pristine() {
			t.Errorf("removal %d: %v, %v, %+v", i, found, err, m)
		}
	}
	if _, err := os.Stat(h.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

func TestSecondApplyTouchesNoRoute(t *testing.T) {
	m, h := newMachine(t)
	p := mustPlan(t, "user")
	for range 2 {
		m.calls = nil
		if err := h.Apply(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if slices.ContainsFunc(m.calls, func(c string) bool {
		return strings.Contains(c, "add") || strings.Contains(c, "delete") || strings.Contains(c, "flush")
	}) {
		t.Errorf("%q", m.calls)
	}
}

func TestAnotherFormReplacesTheFirst(t *testing.T) {
	m, h := newMachine(t)
	for _, name := range []string{"gateway", "user", "gateway-redirect"} {
		if err := h.Apply(t.Context(), mustPlan(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.rules["-4"])+len(m.rules["-6"])+len(m.routes) != 0 || !strings.Contains(m.table, "redirect to :16881") {
		t.Errorf("%+v", m)
	}
}

func TestFailedApplyLeavesNothing(t *testing.T) {
	for _, fail := range []string{"nft --check", "ip -6 route replace", "ip -6 rule add", "ip -4 rule add"} {
		m, h := newMachine(t)
		m.fail = fail
		if err := h.Apply(t.Context(), mustPlan(t, "user")); err == nil || !m.pristine() {
			t.Errorf("%s: %v, %+v", fail, err, m)
		}
		if a, err := h.Recall("paygate"); a != nil || err != nil {
			t.Errorf("%s: it is remembered: %v, %v", fail, a, err)
		}
	}
}

func TestMachineWithoutIPv6(t *testing.T) {
	m, h := newMachine(t)
	m.fail = "ip -6"
	if err := h.Apply(t.Context(), mustPlan(t, "user-same-port")); err != nil || len(m.rules["-4"]) != 1 {
		t.Errorf("%v, %+v", err, m)
	}
	if _, err := h.Remove(t.Context(), Trace(forms["user-same-port"])); err != nil || !m.pristine() {
		t.Errorf("%v, %+v", err, m)
	}
}

func TestRecallOfRubbish(t *testing.T) {
	_, h := newMachine(t)
	if err := os.MkdirAll(h.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.file("paygate"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err := h.Recall("paygate"); a != nil || err == nil {
		t.Errorf("%v, %v", a, err)
	}
}

func TestMissingProgram(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := run(t.Context(), "", "paygate-no-such-program")
	if err == nil || !strings.Contains(err.Error(), "is not installed") {
		t.Error(err)
	}
}
