package lnd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"
	"google.golang.org/grpc"

	"paygate/test/process"
	"paygate/units"
)

const (
	startPatience = 2 * time.Minute // until a node can pay and be paid again
	stopPatience  = 30 * time.Second
)

// Node is one lnd. It is safe for concurrent use.
type Node struct {
	net         *Network
	alias, dir  string
	address     string // of its gRPC
	peerAddress string // of its Lightning port

	// Set by launch, then constant.
	cert      []byte
	macaroon  units.Secret
	key       units.NodeKey
	conn      *grpc.ClientConn
	lightning lnrpc.LightningClient
	router    routerrpc.RouterClient
	state     lnrpc.StateClient

	run  sync.Mutex // one start or stop at a time
	mu   sync.Mutex
	proc *process.Process // nil before the first start
}

// Alias is the node's name.
func (n *Node) Alias() string { return n.alias }

// Address is where the node's gRPC listens, host:port; the same in every life of the process.
func (n *Node) Address() string { return n.address }

// TLSCert is the node's certificate, PEM.
func (n *Node) TLSCert() []byte { return n.cert }

// Macaroon is the node's admin.macaroon, which allows everything.
func (n *Node) Macaroon() units.Secret { return n.macaroon }

// Key is the node's identity, which signs its invoices.
func (n *Node) Key() units.NodeKey { return n.key }

// LogFile is the path of what lnd printed, in every life of the process.
func (n *Node) LogFile() string { return filepath.Join(n.dir, "lnd.log") }

// PID is the process id of the node's current or last life.
func (n *Node) PID() int { return n.process().PID() }

func (n *Node) process() *process.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc
}

// Running tells whether the process is up, ready or not.
func (n *Node) Running() bool {
	p := n.process()
	return p != nil && !p.Exited()
}

// launch starts a new node for the first time and learns who it is.
func (n *Node) launch(ctx context.Context) error {
	n.run.Lock()
	defer n.run.Unlock()
	err := n.spawn()
	if err == nil {
		err = process.Poll(ctx, pollEvery, n.dial)
	}
	if err == nil {
		err = n.awaitActive(ctx)
	}
	if err == nil {
		err = n.identify(ctx)
	}
	return n.explain("start", err)
}

// Start brings a node back that Stop or Kill has ended. It returns when the node can pay over its channels, and be
// paid, to and from every peer that is up. Starting a node that is up is no error.
func (n *Node) Start() error {
	n.run.Lock()
	defer n.run.Unlock()
	if n.Running() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	err := n.spawn()
	if err == nil {
		err = n.awaitActive(ctx)
	}
	if err == nil {
		err = n.net.rejoin(ctx, n)
	}
	return n.explain("start", err)
}

// Stop ends the node in good order, as its owner would. Stopping twice is no error.
func (n *Node) Stop() error {
	n.run.Lock()
	defer n.run.Unlock()
	if !n.Running() {
		return nil
	}
	if err := n.process().Stop(stopPatience); err != nil {
		return fmt.Errorf("stop node %s: %w", n.alias, err)
	}
	return nil
}

// Kill ends the node at once (SIGKILL), as a power failure would. Killing twice is no error.
func (n *Node) Kill() {
	n.run.Lock()
	defer n.run.Unlock()
	if p := n.process(); p != nil {
		p.Kill()
	}
}

func (n *Node) close() {
	n.Kill()
	if n.conn != nil {
		_ = n.conn.Close()
	}
}

// explain adds to an error which node it is about and the end of that node's log.
func (n *Node) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s node %s: %w\n%s", what, n.alias, err, tail(n.LogFile()))
}

func (n *Node) spawn() error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return err
	}
	chain := n.net.chain
	cmd := exec.Command(n.net.programs.LND,
		"--lnddir="+n.dir, "--alias="+n.alias, "--noseedbackup", "--norest", "--nobootstrap", "--logging.file.disable",
		"--rpclisten="+n.address, "--listen="+n.peerAddress, "--tlsdisableautofill", "--trickledelay=50",
		"--bitcoin.simnet", "--bitcoin.node=btcd", "--bitcoin.defaultchanconfs=1", "--maxpendingchannels=10",
		"--bitcoin.basefee="+strconv.FormatInt(int64(n.net.cfg.FeeBase), 10),
		"--bitcoin.feerate="+strconv.FormatInt(n.net.cfg.FeePPM, 10),
		"--btcd.rpchost="+chain.address, "--btcd.rpcuser="+rpcUser, "--btcd.rpcpass="+chain.password,
		"--btcd.rpccert="+chain.certFile,
	)
	p, err := process.Start(cmd, n.LogFile())
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.proc = p
	return nil
}

// dial prepares the connection once lnd has written its certificate and its macaroon.
func (n *Node) dial() error {
	if !n.Running() {
		return process.Final(errors.New("it ended"))
	}
	cert, err := os.ReadFile(filepath.Join(n.dir, "tls.cert"))
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(filepath.Join(n.dir, "data", "chain", "bitcoin", "simnet", "admin.macaroon"))
	if err != nil {
		return err
	}
	if len(raw) == 0 { // lnd makes the file first
		return errors.New("its macaroon is not written yet")
	}
	n.cert, n.macaroon = cert, units.Secret(hex.EncodeToString(raw))
	if n.conn, err = dial(n.address, n.cert, n.macaroon); err != nil {
		return err
	}
	n.lightning = lnrpc.NewLightningClient(n.conn)
	n.router = routerrpc.NewRouterClient(n.conn)
	n.state = lnrpc.NewStateClient(n.conn)
	return nil
}

// awaitActive waits until the node serves every call.
func (n *Node) awaitActive(ctx context.Context) error {
	return process.Poll(ctx, pollEvery, func() error {
		if !n.Running() {
			return process.Final(errors.New("it ended"))
		}
		ctx, cancel := context.WithTimeout(ctx, callPatience)
		defer cancel()
		r, err := n.state.GetState(ctx, &lnrpc.GetStateRequest{})
		if err != nil {
			return err
		}
		if r.State != lnrpc.WalletState_SERVER_ACTIVE {
			return fmt.Errorf("its state is %s", r.State)
		}
		return nil
	})
}

func (n *Node) identify(ctx context.Context) error {
	r, err := n.lightning.GetInfo(ctx, &lnrpc.GetInfoRequest{})
	if err != nil {
		return fmt.Errorf("ask for its identity: %w", err)
	}
	n.key, err = units.ParseNodeKey(r.IdentityPubkey)
	return err
}
