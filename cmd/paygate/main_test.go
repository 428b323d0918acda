package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "rewrite the files in testdata/golden")

// program is the built command, which the tests run as a user would.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "paygate")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "paygate")
	if out, err := exec.Command("go", "build", "-ldflags", "-X main.version=v0.0.0-test", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build paygate: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// result is what a finished command left.
type result struct {
	code           int
	stdout, stderr string
}

// command prepares the program with a home directory of its own and nothing else of this machine's environment.
func command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, program, args...)
	c.Dir, c.Env = dir, []string{"HOME=" + dir}
	c.WaitDelay = 5 * time.Second
	return c
}

func runIn(t *testing.T, dir string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c := command(t.Context(), dir, args...)
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// golden compares text with a file under testdata/golden; places of this machine are written as words.
func golden(t *testing.T, name, got string, places ...string) {
	t.Helper()
	got = strings.NewReplacer(places...).Replace(got)
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update rewrites it); got\n%s\nwant\n%s", path, got, want)
	}
}

func writeFile(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestMistakesOnTheCommandLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"chekc"}, "paygate: unknown command \"chekc\" for \"paygate\"\nSee `paygate --help`\n"},
		{[]string{"check", "file"}, "paygate: unknown command \"file\" for \"paygate check\"\nSee `paygate check --help`\n"},
		{[]string{"check", "--confg", "x"}, "paygate: unknown flag: --confg\nSee `paygate check --help`\n"},
		{[]string{"sandbox", "--nodes", "a,a"}, "paygate: \"a\" is not a node's name: small letters, digits and hyphens, each name once\nSee `paygate sandbox --help`\n"},
		{[]string{"sandbox", "--nodes", "../x"}, "paygate: \"../x\" is not a node's name: small letters, digits and hyphens, each name once\nSee `paygate sandbox --help`\n"},
		{[]string{"sandbox", "--nodes", ""}, "paygate: name 1 to 16 nodes\nSee `paygate sandbox --help`\n"},
		{[]string{"sandbox", "--host", "0.0.0.0"}, "paygate: --host 0.0.0.0 is not a loopback address: the sandbox is for this machine only\nSee `paygate sandbox --help`\n"},
		{[]string{"sandbox", "--port", "65535"}, "paygate: --port 65535 leaves no room for 2 nodes\nSee `paygate sandbox --help`\n"},
		{[]string{"sandbox", "--capacity", "5"}, "paygate: \"5\" needs a unit: msat, sat or btc\nSee `paygate sandbox --help`\n"},
		{[]string{"sandbox", "--latency", "-1s"}, "paygate: latency and fees cannot be negative, fee-ppm is at most 1000000, and a channel holds at least 2 sat\nSee `paygate sandbox --help`\n"},
		{[]string{"check", "-c", "none.yaml"}, "paygate: read configuration: stat none.yaml: no such file or directory\nstart from config.example.yaml, or name your file with -c\n"},
		{[]string{"status", "-c", "none.yaml"}, "paygate: read configuration: stat none.yaml: no such file or directory\nstart from config.example.yaml, or name your file with -c\n"},
	} {
		got := runIn(t, t.TempDir(), c.args...)
		if got.code != exitConfiguration || got.stdout != "" || got.stderr != c.want {
			t.Errorf("%q: %+v, want %q", c.args, got, c.want)
		}
	}
}

func TestVersion(t *testing.T) {
	got := runIn(t, t.TempDir(), "version")
	if got.code != 0 || !strings.HasPrefix(got.stdout, "paygate v0.0.0-test (go1.") {
		t.Errorf("%+v", got)
	}
	if got := runIn(t, t.TempDir(), "version", "--json"); got.code != 0 || !strings.Contains(got.stdout, `"version":"v0.0.0-test"`) {
		t.Errorf("%+v", got)
	}
}

// TestExamplesWork parses every example line of every help text, so that help cannot name what does not exist.
func TestExamplesWork(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Example == "" || c.Short == "" {
			t.Errorf("`%s` has no example or no description", c.CommandPath())
		}
		for line := range strings.SplitSeq(c.Example, "\n") {
			checkExample(t, strings.TrimSpace(line))
		}
	}
	walk(newRootCommand())
}

func checkExample(t *testing.T, line string) {
	t.Helper()
	if line == "" || line[0] == '#' {
		return
	}
	line, _, _ = strings.Cut(line, " | ")
	line, _, _ = strings.Cut(line, "  #")
	line = strings.TrimPrefix(line, "sudo ")
	words := strings.Fields(strings.ReplaceAll(line, `"1 sat"`, "1sat"))
	cmd, rest, err := newRootCommand().Find(words[1:])
	if words[0] != "paygate" || err != nil || cmd.ParseFlags(rest) != nil || cmd.ValidateArgs(cmd.Flags().Args()) != nil {
		t.Errorf("example %q does not parse", line)
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	got := runIn(t, t.TempDir())
	if got.code != 0 || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	for _, c := range newRootCommand().Commands() {
		if !strings.Contains(got.stdout, c.Name()) || !strings.Contains(got.stdout, c.Short) {
			t.Errorf("help does not name %s", c.Name())
		}
	}
}
