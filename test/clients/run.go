package clients

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"paygate/test/process"
	"paygate/units"
)

// pollEvery is how often a client is asked again while waiting for something to become true.
const pollEvery = 100 * time.Millisecond

// startTimeout and checkTimeout bound how long a client may take to answer, and to check a torrent's files.
const (
	startTimeout = 60 * time.Second
	checkTimeout = 120 * time.Second
)

// client is a process and the driver that speaks with it.
type client struct {
	kind   Kind
	spec   Spec
	driver driver
	api    string
	proc   *process.Process
	added  []addition

	mu      sync.Mutex // of reviving it
	revived bool
}

type addition struct {
	torrent []byte
	dir     string
}

func (c *client) start(ctx context.Context) error {
	cmd, err := c.driver.command(c.spec)
	if err != nil {
		return fmt.Errorf("configure %s: %w", c.kind, err)
	}
	if err := handOver(c.spec); err != nil {
		return fmt.Errorf("configure %s: %w", c.kind, err)
	}
	if err := place(cmd, c.kind, c.spec); err != nil {
		return fmt.Errorf("place %s: %w", c.kind, err)
	}
	cmd.Dir = c.spec.Dir
	cmd.Env = append(environment(c.spec.Dir), cmd.Env...)
	c.proc, err = process.Start(cmd, c.spec.Dir+"/output.log")
	if err != nil {
		return fmt.Errorf("start %s: %w", c.kind, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = process.Poll(ctx, pollEvery, func() error {
		if err := c.proc.Ended(); err != nil {
			return process.Final(err)
		}
		return c.driver.ready(ctx)
	})
	if err != nil {
		return fmt.Errorf("wait for %s to answer (its output is in %s): %w", c.kind, c.spec.Dir, err)
	}
	return nil
}

// handOver gives the client's directory to the user whom the client runs as.
func handOver(spec Spec) error {
	if spec.User == 0 {
		return nil
	}
	return filepath.WalkDir(spec.Dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(spec.User), int(spec.User))
	})
}

// environment keeps the caller's proxies, display and home directory from the client.
func environment(dir string) []string {
	return []string{
		"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CACHE_HOME=" + dir,
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
	}
}

func (c *client) Name() string     { return string(c.kind) }
func (c *client) API() string      { return c.api }
func (c *client) PeerAddr() string { return c.spec.Listen.String() }

func (c *client) Add(ctx context.Context, torrent []byte, dir string) error {
	ih, complete, err := inspect(torrent, dir)
	if err != nil {
		return err
	}
	if err := c.driver.add(ctx, torrent, dir); err != nil {
		return fmt.Errorf("add torrent to %s: %w", c.kind, err)
	}
	c.added = append(c.added, addition{torrent, dir})
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err = process.Poll(ctx, pollEvery, func() error {
		st, err := c.driver.status(ctx, ih)
		switch {
		case err != nil:
			return err
		case st.problem != "":
			return process.Final(errors.New(st.problem))
		case st.checking, complete && !(st.seeding && st.done == st.total):
			return fmt.Errorf("%d of %d bytes checked", st.done, st.total)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait for %s to check the torrent: %w", c.kind, err)
	}
	return nil
}

// status asks the client. That it has ended on its own is a Final error, unless it is to be revived.
func (c *client) status(ctx context.Context, ih units.InfoHash) (status, error) {
	st, err := c.driver.status(ctx, ih)
	if err == nil {
		return st, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ended := c.proc.Ended(); ended != nil {
		return st, c.revive(ctx, ended)
	}
	return st, err
}

// revive starts a client that has crashed again, once. It returns why the client could not answer.
func (c *client) revive(ctx context.Context, ended error) error {
	if !c.spec.Revive || c.revived || !process.Crashed(ended) {
		return process.Final(ended)
	}
	c.revived = true
	fmt.Fprintf(os.Stderr, "%s has crashed by itself (%v) and is started again\n", c.kind, ended)
	if err := c.Restart(ctx); err != nil {
		return process.Final(errors.Join(ended, err))
	}
	return fmt.Errorf("started again: %w", ended)
}

func (c *client) Progress(ctx context.Context, ih units.InfoHash) (done, total int64, err error) {
	st, err := c.status(ctx, ih)
	if err == nil && st.problem != "" {
		err = errors.New(st.problem)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("ask %s for progress: %w", c.kind, err)
	}
	return st.done, st.total, nil
}

func (c *client) Peers(ctx context.Context, ih units.InfoHash) (int, error) {
	st, err := c.status(ctx, ih)
	if err != nil {
		return 0, fmt.Errorf("ask %s for its peers: %w", c.kind, err)
	}
	return st.peers, nil
}

func (c *client) Kill() { c.Close() }

func (c *client) Restart(ctx context.Context) error {
	if err := c.start(ctx); err != nil {
		return err
	}
	again := c.added
	c.added = nil
	for _, a := range again {
		if err := c.Add(ctx, a.torrent, a.dir); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) Close() {
	if c.proc != nil {
		c.proc.Kill()
	}
}

// program returns the executable to run: the one that the spec names, or the one on the search path. In Debian 13 the
// path is searched there.
func program(spec Spec, kind Kind) (string, error) {
	switch {
	case spec.Program != "":
		return spec.Program, nil
	case kinds[kind].trixie:
		return "/usr/bin/" + kind.Program(), nil
	}
	return exec.LookPath(kind.Program())
}
