package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is a running program.
type Process struct {
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}
	err  error // set before done is closed
}

// Start runs cmd with its output appended to the file named log. It takes over cmd's output and process attributes, but
// for its Credential.
//
// The program is started from a thread that is kept for its whole life, in the caller's network namespace: the kernel
// ends a program with the thread that started it, and threads end before the test does, as those do that have entered a
// namespace.
func Start(cmd *exec.Cmd, log string) (*Process, error) {
	enter, err := network()
	if err != nil {
		return nil, fmt.Errorf("find the network namespace: %w", err)
	}
	type started struct {
		p   *Process
		err error
	}
	result := make(chan started)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := enter(); err != nil {
			result <- started{nil, fmt.Errorf("enter the network namespace: %w", err)}
			return
		}
		p, err := StartHere(cmd, log)
		result <- started{p, err}
		if err == nil {
			<-p.done
		}
	}()
	r := <-result
	return r.p, r.err
}

// StartHere is Start from the calling thread, whose namespaces the program shares. The caller keeps that thread for as
// long as the program is to live.
func StartHere(cmd *exec.Cmd, log string) (*Process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open output file: %w", err)
	}
	cmd.Stdout, cmd.Stderr = f, f
	own := attributes()
	if cmd.SysProcAttr != nil {
		own.Credential = cmd.SysProcAttr.Credential
	}
	cmd.SysProcAttr = own
	if err := cmd.Start(); err != nil {
		_ = f.Close()
		return nil, err
	}
	p := &Process{cmd: cmd, log: f, done: make(chan struct{})}
	go p.wait()
	return p, nil
}

func (p *Process) wait() {
	p.err = p.cmd.Wait()
	_ = p.log.Close()
	close(p.done)
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited reports whether the program has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Ended says how the program ended on its own, nil while it runs.
func (p *Process) Ended() error {
	switch {
	case !p.Exited():
		return nil
	case p.err == nil:
		return fmt.Errorf("%s ended with status 0", p.cmd.Path)
	}
	return fmt.Errorf("%s ended: %w", p.cmd.Path, p.err)
}

// Crashed reports whether an error of Ended tells of a fault of the program itself, such as a segmentation fault.
func Crashed(ended error) bool {
	var died *exec.ExitError
	if !errors.As(ended, &died) {
		return false
	}
	status, ok := died.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return false
	}
	switch status.Signal() {
	case syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE:
		return true
	}
	return false
}

// Kill ends the program and its children at once (SIGKILL) and waits until it is gone.
func (p *Process) Kill() {
	if !p.Exited() {
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	}
	<-p.done
}

// Stop asks the program to end (SIGTERM), waits at most patience, then kills it. It returns how the program ended:
// nil for exit status 0.
func (p *Process) Stop(patience time.Duration) error {
	if !p.Exited() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM", p.cmd.Path, patience)
	}
	return p.err
}

// finalError ends Poll at once.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }

// Final marks an error that will not go away: Poll gives up on it.
func Final(err error) error { return &finalError{err} }

// Poll calls fn at once and then every so often until it returns nil, a Final error, or ctx ends; the last error of
// fn is then part of what Poll returns.
func Poll(ctx context.Context, every time.Duration, fn func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := fn()
		var final *finalError
		if err == nil || errors.As(err, &final) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last: %w)", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}
