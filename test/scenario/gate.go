package scenario

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"paygate/admin"
	"paygate/test/process"
	"paygate/units"
)

const (
	pollEvery    = 100 * time.Millisecond
	startTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
)

// Options is a part of a configuration file, by its keys.
type Options map[string]any

// Gate is one paygate process and its directory: configuration, log, and the data that survives it.
type Gate struct {
	command []string // the program, and what it is started by
	dir     string
	proc    *process.Process
}

// StartGate writes the configuration, to which it adds data_dir, and starts `paygate run`. It returns once the status
// socket answers. The directory's path must be short: a socket lies below it.
func StartGate(ctx context.Context, program, dir string, config Options) (*Gate, error) {
	return StartGateIn(ctx, "", program, dir, config)
}

// StartGateIn is StartGate in a network namespace, named by its path; empty: the caller's.
func StartGateIn(ctx context.Context, namespace, program, dir string, config Options) (*Gate, error) {
	g := &Gate{command: []string{program}, dir: dir}
	if namespace != "" {
		g.command = []string{"nsenter", "--net=" + namespace, "--", program}
	}
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	config["data_dir"] = data
	if err := g.Configure(config); err != nil {
		return nil, err
	}
	if err := g.Start(ctx); err != nil {
		g.Kill()
		return nil, err
	}
	return g, nil
}

// Configure replaces the configuration file; it counts from the next Start on.
func (g *Gate) Configure(config Options) error {
	config["data_dir"] = filepath.Join(g.dir, "data")
	text, err := yaml.Marshal(config)
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := os.WriteFile(g.ConfigFile(), text, 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// Rewrite edits the configuration file; it counts from the next Start or reload on.
func (g *Gate) Rewrite(edit func(text string) string) error {
	text, err := os.ReadFile(g.ConfigFile())
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if err := os.WriteFile(g.ConfigFile(), []byte(edit(string(text))), 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// DataDir is the path of the data directory.
func (g *Gate) DataDir() string { return filepath.Join(g.dir, "data") }

// ConfigFile is the path of the configuration.
func (g *Gate) ConfigFile() string { return filepath.Join(g.dir, "paygate.yaml") }

// LogFile is the path of what the process printed, in every life.
func (g *Gate) LogFile() string { return filepath.Join(g.dir, "paygate.log") }

// Start starts the process, the first time or after Kill or Stop, and waits until its status socket answers.
func (g *Gate) Start(ctx context.Context) error {
	var err error
	args := append(slices.Clone(g.command[1:]), "run", "-c", g.ConfigFile())
	g.proc, err = process.Start(exec.Command(g.command[0], args...), g.LogFile())
	if err != nil {
		return fmt.Errorf("start paygate: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = process.Poll(ctx, pollEvery, func() error {
		if g.proc.Exited() {
			return process.Final(errors.New("it ended"))
		}
		_, err := g.Status(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for paygate to answer: %w\n%s", err, g.tail())
	}
	return nil
}

// tail is the end of the log, for messages.
func (g *Gate) tail() string {
	text, _ := os.ReadFile(g.LogFile())
	return string(text[max(0, len(text)-2000):])
}

// Kill ends the process at once (SIGKILL).
func (g *Gate) Kill() {
	if g.proc != nil {
		g.proc.Kill()
	}
}

// Stop asks the process to end (SIGTERM) and returns an error unless it does so in good order.
func (g *Gate) Stop() error { return g.proc.Stop(stopTimeout) }

// Status asks the running process.
func (g *Gate) Status(ctx context.Context) (admin.Status, error) {
	return admin.Fetch(ctx, filepath.Join(g.dir, "data", admin.SocketName))
}

// Process is the running paygate, for what the others here do not tell.
func (g *Gate) Process() *process.Process { return g.proc }

// Command runs a subcommand of the program with the gate's configuration, as its owner would, and returns what it prints.
func (g *Gate) Command(ctx context.Context, args ...string) (string, error) {
	args = append(args, "-c", g.ConfigFile())
	cmd := exec.CommandContext(ctx, g.command[0], append(slices.Clone(g.command[1:]), args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("paygate %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// RSS is the memory that the process occupies now.
func (g *Gate) RSS() (units.Bytes, error) { return g.memory("VmRSS:") }

// PeakRSS is the most memory that the process has ever occupied.
func (g *Gate) PeakRSS() (units.Bytes, error) { return g.memory("VmHWM:") }

func (g *Gate) memory(field string) (units.Bytes, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.proc.PID()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return units.Bytes(kib) * units.KiB, err
		}
	}
	return 0, errors.New("no " + field)
}

// LogLine is one line of paygate's log.
type LogLine struct {
	Level   string `json:"level"`
	Message string `json:"msg"`
	Peer    string `json:"peer"`
	Text    string `json:"-"`
}

// Log reads the whole log, of every life of the process.
func (g *Gate) Log() ([]LogLine, error) {
	f, err := os.Open(g.LogFile())
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var lines []LogLine
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := LogLine{Text: scanner.Text()}
		if json.Unmarshal(scanner.Bytes(), &line) != nil {
			line.Level = "not a log line" // a panic, for example
		}
		lines = append(lines, line)
	}
	return lines, scanner.Err()
}

// CheckLog returns an error that names every line that tells of a defect or of lost money.
func (g *Gate) CheckLog() error {
	lines, err := g.Log()
	if err != nil {
		return err
	}
	var bad []error
	for _, l := range lines {
		switch l.Level {
		case "debug", "info", "warn":
		default:
			bad = append(bad, errors.New(l.Text))
		}
	}
	return errors.Join(bad...)
}
