package lnd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"paygate/test/process"
)

const (
	pollEvery  = 50 * time.Millisecond
	firstBlock = 450 // blocks to begin with: every rule of simnet is in force, and the first blocks' coins can be spent
	batch      = 100 // blocks that btcd is asked for at once
)

// chain is a btcd on simnet that mines only when it is asked to, and its coins.
type chain struct {
	rpc      *rpc
	purse    *purse
	proc     *process.Process
	address  string // of its RPC
	password string
	certFile string
}

const rpcUser = "paygate"

func startChain(ctx context.Context, program, dir string) (*chain, error) {
	c := &chain{password: rand.Text(), certFile: filepath.Join(dir, "rpc.cert")}
	var err error
	if c.purse, err = newPurse(); err != nil {
		return nil, fmt.Errorf("make key for coins: %w", err)
	}
	if c.address, err = freeAddress(); err != nil {
		return nil, err
	}
	if err := c.start(ctx, program, dir); err != nil {
		c.close()
		return nil, fmt.Errorf("start btcd: %w\n%s", err, tail(filepath.Join(dir, "btcd.log")))
	}
	return c, nil
}

func (c *chain) start(ctx context.Context, program, dir string) error {
	empty := filepath.Join(dir, "btcd.conf")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(empty, nil, 0o600)); err != nil {
		return err
	}
	cmd := exec.Command(program,
		"--simnet", "--txindex", "--nolisten", "--rejectnonstd",
		"--configfile="+empty, "--datadir="+filepath.Join(dir, "data"), "--logdir="+filepath.Join(dir, "logs"),
		"--rpclisten="+c.address, "--rpcuser="+rpcUser, "--rpcpass="+c.password,
		"--rpccert="+c.certFile, "--rpckey="+filepath.Join(dir, "rpc.key"), "--rpcmaxwebsockets=100",
		"--miningaddr="+c.purse.address.EncodeAddress(),
	)
	var err error
	if c.proc, err = process.Start(cmd, filepath.Join(dir, "btcd.log")); err != nil {
		return err
	}
	if err := process.Poll(ctx, pollEvery, func() error { return c.answers(ctx) }); err != nil {
		return err
	}
	return c.mine(ctx, firstBlock)
}

// answers connects to a btcd that may still be starting.
func (c *chain) answers(ctx context.Context) error {
	if c.proc.Exited() {
		return process.Final(errors.New("it ended"))
	}
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return err
	}
	if c.rpc, err = newRPC(c.address, rpcUser, c.password, cert); err != nil {
		return err
	}
	_, err = c.height(ctx)
	return err
}

func (c *chain) height(ctx context.Context) (height int64, err error) {
	err = c.rpc.call(ctx, &height, "getblockcount")
	return height, err
}

func (c *chain) mine(ctx context.Context, blocks int) error {
	for ; blocks > 0; blocks -= batch {
		if err := c.rpc.call(ctx, nil, "generate", min(blocks, batch)); err != nil {
			return err
		}
	}
	return nil
}

// waiting tells whether a transaction waits for the next block.
func (c *chain) waiting(ctx context.Context, id string) (bool, error) {
	var ids []string
	if err := c.rpc.call(ctx, &ids, "getrawmempool"); err != nil {
		return false, err
	}
	for _, other := range ids {
		if other == id {
			return true, nil
		}
	}
	return false, nil
}

func (c *chain) close() {
	if c.rpc != nil {
		c.rpc.close()
	}
	if c.proc != nil {
		c.proc.Kill()
	}
}

// tail is the end of a log, for messages.
func tail(path string) string {
	text, _ := os.ReadFile(path)
	return string(text[max(0, len(text)-2000):])
}
