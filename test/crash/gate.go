package crash

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gopkg.in/yaml.v3"

	"paygate/admin"
	"paygate/test/process"
)

// gate is one paygate, over all of its lives.
type gate struct {
	program, dir string

	proc   *process.Process // nil before the first start
	armed  string           // the point at which this life ends; empty: at none
	since  time.Time        // of this life
	byHand bool             // this life was ended by kill
}

// options is a part of a configuration file, by its keys.
type options map[string]any

// newGate writes the configuration. The directory's path must be short: a socket lies below it.
func newGate(program, dir string, config options) (*gate, error) {
	g := &gate{program: program, dir: dir}
	if err := os.MkdirAll(g.data(), 0o700); err != nil {
		return nil, err
	}
	config["data_dir"] = g.data()
	text, err := yaml.Marshal(config)
	if err != nil {
		return nil, err
	}
	return g, os.WriteFile(g.file("paygate.yaml"), text, 0o600)
}

func (g *gate) file(name string) string { return filepath.Join(g.dir, name) }
func (g *gate) data() string            { return g.file("data") }
func (g *gate) ledger() string          { return filepath.Join(g.data(), "ledger.sqlite") }

// start begins a life that is to end at a point, given as in PAYGATE_FAULT.
func (g *gate) start(point string) error {
	cmd := exec.Command(g.program, "run", "-c", g.file("paygate.yaml"), "--no-table")
	cmd.Env = append(os.Environ(), "PAYGATE_FAULT="+point)
	proc, err := process.Start(cmd, g.file("paygate.log"))
	if err != nil {
		return fmt.Errorf("start paygate in %s: %w", g.dir, err)
	}
	g.proc, g.armed, g.since, g.byHand = proc, point, time.Now(), false
	return nil
}

func (g *gate) dead() bool { return g.proc == nil || g.proc.Exited() }

// kill ends the process from outside.
func (g *gate) kill() {
	if !g.dead() {
		g.byHand = true
		g.proc.Kill()
	}
}

// stop ends the process in good order, if it runs.
func (g *gate) stop() error {
	if g.dead() {
		return nil
	}
	return g.proc.Stop(drainTime)
}

var errNotKilled = errors.New("paygate ended, but not by SIGKILL")

// autopsy returns an error unless the last life ended by SIGKILL, at its point or by our own hand.
func (g *gate) autopsy() error {
	err := g.proc.Stop(time.Second) // it has ended: this only tells how
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("%w: %w\n%s", errNotKilled, err, g.tail())
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL || g.armed == "" && !g.byHand {
		return fmt.Errorf("%w: %w\n%s", errNotKilled, err, g.tail())
	}
	return nil
}

// sessions is how many connections a running paygate has.
func (g *gate) sessions(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	st, err := admin.Fetch(ctx, filepath.Join(g.data(), admin.SocketName))
	return len(st.Sessions), err
}

func (g *gate) tail() string {
	text, _ := os.ReadFile(g.file("paygate.log"))
	return string(text[max(0, len(text)-3000):])
}

// checkLog returns an error that names every line, of any life, that tells of a defect or of lost money. The line
// that a kill has cut short is not one.
func (g *gate) checkLog() error {
	text, err := os.ReadFile(g.file("paygate.log"))
	if err != nil {
		return err
	}
	var bad []error
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l struct {
			Level string `json:"level"`
		}
		known := json.Unmarshal(lines.Bytes(), &l) == nil || strings.HasPrefix(lines.Text(), "{")
		if !known || l.Level == "error" || strings.Contains(l.Level, "panic") || l.Level == "fatal" {
			bad = append(bad, errors.New(lines.Text()))
		}
	}
	return errors.Join(append(bad, lines.Err())...)
}
