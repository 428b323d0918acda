package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"paygate/config"
)

// policyHead is what a file needs beside its rules.
const policyHead = `data_dir: data
listen: {peers: 192.0.2.1:6881}
client: {address: 127.0.0.1:6881, api: {url: "http://127.0.0.1:1"}}
lightning: {address: 127.0.0.1:10009, tls_cert: tls.cert, macaroon: paygate.macaroon, network: regtest}
`

// workedPolicy is one of the policies of docs/policy.md.
type workedPolicy struct {
	name, yaml string
	rows       [][2]string // what is told, and what is decided
}

var (
	policyPart = regexp.MustCompile("(?ms)^### \\d+ ([^\n]+)\n\n.*?```yaml\n(.*?)```\n(.*?)(?:^###|\\z)")
	policyRow  = regexp.MustCompile("(?m)^\\| (?:`([^`\n]*)`|nothing) \\| (.*) \\|$")
	flagWord   = regexp.MustCompile(`"[^"]*"|\S+`)
)

func workedPolicies(t *testing.T) (all []workedPolicy) {
	t.Helper()
	data, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for {
		at := policyPart.FindStringSubmatchIndex(text)
		if at == nil {
			return all
		}
		p := workedPolicy{name: text[at[2]:at[3]], yaml: text[at[4]:at[5]]}
		for _, row := range policyRow.FindAllStringSubmatch(text[at[6]:at[7]], -1) {
			p.rows = append(p.rows, [2]string{row[1], row[2]})
		}
		all = append(all, p)
		text = text[at[7]:]
	}
}

// TestWorkedPolicies checks each policy of docs/policy.md and asks it all that the table below it tells.
func TestWorkedPolicies(t *testing.T) {
	all := workedPolicies(t)
	if len(all) != 10 {
		t.Fatalf("%d policies, want 10", len(all))
	}
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			dir := configDir(t)
			file := filepath.Join(dir, "paygate.yaml")
			writeFile(t, file, policyHead+p.yaml)
			got := runIn(t, dir, "check")
			if got.code != 0 || strings.Contains(got.stdout, "note:") {
				t.Fatalf("%+v", got)
			}
			c, err := config.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.rows) < 2 {
				t.Errorf("%d decisions", len(p.rows))
			}
			for _, row := range p.rows {
				if got := decided(t, c, row[0], strings.Contains(row[1], "ought")); got != row[1] {
					t.Errorf("%s\ngot  %s\nwant %s", row[0], got, row[1])
				}
			}
		})
	}
}

// decided is what explain says of a peer that is described by flags.
func decided(t *testing.T, c *config.Config, flags string, buys bool) string {
	t.Helper()
	cmd := &cobra.Command{Use: "explain"}
	args := []string{"--torrent", explained, "--file"}
	for _, w := range flagWord.FindAllString(flags, -1) {
		args = append(args, strings.Trim(w, `"`))
	}
	o := explainFlags(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	q, err := o.question(cmd.Flags().Changed)
	if err != nil {
		t.Fatal(err)
	}
	e, err := askFile(c, q)
	if err != nil {
		t.Fatal(err)
	}
	if buys {
		return buyText(e)
	}
	return sellText(e)
}

// TestExampleCarriesThePolicies holds the ones in config.example.yaml against those of docs/policy.md.
func TestExampleCarriesThePolicies(t *testing.T) {
	data, err := os.ReadFile("../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, tail, _ := strings.Cut(string(data), "\n# Ten policies")
	for _, p := range workedPolicies(t) {
		_, part, ok := strings.Cut(tail, " "+p.name+"\n")
		part, _, _ = strings.Cut(part, "\n#\n")
		var b strings.Builder
		for line := range strings.SplitSeq(strings.TrimRight(part, "\n"), "\n") {
			b.WriteString(strings.TrimPrefix(line, "#   ") + "\n")
		}
		if !ok || b.String() != p.yaml {
			t.Errorf("%s: the example has\n%s\ndocs/policy.md has\n%s", p.name, b.String(), p.yaml)
		}
	}
}

// TestRuleOfThePolicyPage reads the rule with which docs/policy.md begins.
func TestRuleOfThePolicyPage(t *testing.T) {
	data, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rule, _ := strings.Cut(string(data), "```yaml\n")
	rule, _, _ = strings.Cut(rule, "```")
	dir := configDir(t)
	writeFile(t, filepath.Join(dir, "paygate.yaml"), policyHead+"sell:\n  rules:\n    "+strings.ReplaceAll(strings.TrimSpace(rule), "\n", "\n    ")+"\n")
	if got := runIn(t, dir, "check"); got.code != 0 || strings.Contains(got.stdout, "note:") {
		t.Errorf("%+v", got)
	}
}
