package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paygate/admin"
	"paygate/lnclient/sandbox"
)

// TestReadinessOfARunningPaygate takes the node away from a paygate that runs, and gives it back.
func TestReadinessOfARunningPaygate(t *testing.T) {
	p := newPatient(t)
	p.write()
	c := command(t.Context(), p.dir, "run", "--no-table")
	var log bytes.Buffer
	c.Stderr = &log
	p.must(c.Start())
	socket := p.file(filepath.Join("data", admin.SocketName))
	p.await(func() bool { _, err := os.Stat(socket); return err == nil })
	for _, tt := range []struct {
		make func()
		code int
		want string
	}{
		{func() {}, 0, "ready\n"},
		{func() { p.fault(sandbox.RefuseAll) }, exitFailure, "not ready: lnd at NODE waits for the password of its wallet; unlock the wallet: lncli unlock\n"},
		{p.network.ClearFaults, 0, "ready\n"},
		{func() { p.must(p.peer.Stop()) }, exitFailure, "not ready: none of the node's channels is active (1); see that the node's peers are online: lncli listpeers\n"},
	} {
		tt.make()
		if got := runIn(t, p.dir, "status", "--ready"); got.code != tt.code || p.words(got.stdout) != tt.want || got.stderr != "" {
			t.Errorf("%+v, want %q", got, tt.want)
		}
	}
	text, failed := p.examined()
	if !failed || !strings.Contains(text, "pass  public port    PEERS is held by the paygate that runs\n") {
		t.Errorf("%s", text)
	}
	if err := errors.Join(c.Process.Signal(syscall.SIGTERM), c.Wait()); err != nil {
		t.Errorf("%v\n%s", err, log.String())
	}
}

// await waits for what comes by itself; it measures nothing.
func (p *patient) await(done func() bool) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatal("it does not come")
		}
	}
}
