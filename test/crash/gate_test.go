package crash

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"paygate/test/process"
)

// newProgram is a gate around some other program that ignores its arguments.
func newProgram(t *testing.T, script string) *gate {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no shell")
	}
	dir := t.TempDir()
	program := dir + "/program"
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	g, err := newGate(program, dir, options{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func live(t *testing.T, g *gate, point string) {
	t.Helper()
	if err := g.start(point); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := process.Poll(ctx, time.Millisecond, func() error {
		if !g.dead() {
			return errNotAtRest
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAutopsy(t *testing.T) {
	for _, tt := range []struct {
		name, script, point string
		sound               bool
	}{
		{"killed at its point", `test "$PAYGATE_FAULT" = here && kill -9 $$`, "here", true},
		{"killed by nobody knows whom", "kill -9 $$", "", false},
		{"ended by itself", "exit 0", "here", false},
		{"ended with an error", "exit 1", "here", false},
		{"another signal", "kill -15 $$", "here", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newProgram(t, tt.script)
			live(t, g, tt.point)
			if err := g.autopsy(); (err == nil) != tt.sound || err != nil && !errors.Is(err, errNotKilled) {
				t.Errorf("the autopsy says %v", err)
			}
		})
	}
}

func TestAutopsyByHand(t *testing.T) {
	g := newProgram(t, "sleep 60")
	if err := g.start(anywhere); err != nil {
		t.Fatal(err)
	}
	g.kill()
	if err := g.autopsy(); err != nil || !g.byHand {
		t.Errorf("the autopsy says %v", err)
	}
}

func TestCheckLog(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		sound      bool
	}{
		{"information", `{"level":"info","msg":"session ended"}`, true},
		{"warning", `{"level":"warn","msg":"no node"}`, true},
		{"cut short by a kill", `{"level":"info","ms`, true},
		{"error", `{"level":"error","msg":"cannot encode a message of our own"}`, false},
		{"panic of a logger", `{"level":"dpanic","msg":"odd"}`, false},
		{"panic", "panic: runtime error: index out of range", false},
		{"race", "WARNING: DATA RACE", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newProgram(t, "exit 0")
			text := `{"level":"debug"}` + "\n" + tt.line + "\n"
			if err := os.WriteFile(g.file("paygate.log"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := g.checkLog()
			if (err == nil) != tt.sound || err != nil && !strings.Contains(err.Error(), tt.line) {
				t.Errorf("the log is said to have: %v", err)
			}
		})
	}
}
