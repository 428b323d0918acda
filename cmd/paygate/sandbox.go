package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"paygate/lnclient/sandbox"
	"paygate/units"
)

const sandboxHelp = `Runs a Lightning network that exists only on this machine: several nodes that paygate cannot tell from lnd, with
channels between every two of them, and regtest invoices that no real node pays. Use it to try paygate, or to test
against it. It runs until interrupted; everything is kept in --dir, so that the next start goes on where this ended.

It prints what to put into each side's configuration. Into a pipe it prints one JSON object instead.`

const sandboxExample = `  # two nodes; paste the printed lines into the seller's and the buyer's configuration
  paygate sandbox --dir sandbox --nodes seller,buyer

  # payments that take as long as on a good day in the real network
  paygate sandbox --dir sandbox --latency 70ms --fee-base "1 sat"

  # for a script: wait for the line, then read the addresses out of it
  paygate sandbox --dir sandbox --port 0 | jq -r '.nodes[].address'`

type sandboxOptions struct {
	dir      string
	nodes    []string
	host     string
	port     uint16
	latency  time.Duration
	capacity string
	feeBase  string
	feePPM   int64
	json     bool
}

func newSandboxCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "sandbox", Short: "Run a Lightning network for trying things out (no real money)",
		Long: sandboxHelp, Example: sandboxExample,
	}
	var o sandboxOptions
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "paygate-sandbox", "`directory` for state, certificates and macaroons")
	f.StringSliceVar(&o.nodes, "nodes", []string{"seller", "buyer"}, "`names` of the nodes")
	f.StringVar(&o.host, "host", "127.0.0.1", "`address` to listen on; loopback only")
	f.Uint16Var(&o.port, "port", 10009, "`port` of the first node, each next one takes the next; 0 takes any that are free")
	f.DurationVar(&o.latency, "latency", 0, "how long a payment takes")
	f.StringVar(&o.capacity, "capacity", "10000000 sat", "`amount` in each new channel, half on either side")
	f.StringVar(&o.feeBase, "fee-base", "0 sat", "routing fee, a fixed `amount` for each payment ...")
	f.Int64Var(&o.feePPM, "fee-ppm", 0, "... and a millionth `share` of what is paid")
	f.BoolVar(&o.json, "json", false, "print JSON on a terminal too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		plan, err := o.plan()
		if err != nil {
			return usageError(cmd, err)
		}
		return runSandbox(cmd.Context(), cmd.OutOrStdout(), plan)
	}
	return cmd
}

// sandboxPlan is a checked set of options.
type sandboxPlan struct {
	sandboxOptions
	capacity, feeBase units.Msat
}

var aliasPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)

const maxSandboxNodes = 16

func (o sandboxOptions) plan() (sandboxPlan, error) {
	p := sandboxPlan{sandboxOptions: o}
	var capErr, feeErr error
	p.capacity, capErr = units.ParseMsat(o.capacity)
	p.feeBase, feeErr = units.ParseMsat(o.feeBase)
	if err := errors.Join(capErr, feeErr, o.checkNodes(), o.checkAddress()); err != nil {
		return p, err
	}
	if o.latency < 0 || o.feePPM < 0 || o.feePPM > 1_000_000 || p.capacity < 2*units.Sat {
		return p, errors.New("latency and fees cannot be negative, fee-ppm is at most 1000000, and a channel holds at least 2 sat")
	}
	return p, nil
}

func (o sandboxOptions) checkNodes() error {
	if len(o.nodes) < 1 || len(o.nodes) > maxSandboxNodes {
		return fmt.Errorf("name 1 to %d nodes", maxSandboxNodes)
	}
	for i, n := range o.nodes {
		if !aliasPattern.MatchString(n) || slices.Contains(o.nodes[:i], n) {
			return fmt.Errorf("%q is not a node's name: small letters, digits and hyphens, each name once", n)
		}
	}
	return nil
}

func (o sandboxOptions) checkAddress() error {
	if ip := net.ParseIP(o.host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("--host %s is not a loopback address: the sandbox is for this machine only", o.host)
	}
	if int(o.port)+len(o.nodes)-1 > 65535 {
		return fmt.Errorf("--port %d leaves no room for %d nodes", o.port, len(o.nodes))
	}
	return nil
}

func runSandbox(ctx context.Context, w io.Writer, p sandboxPlan) (err error) {
	dir, err := filepath.Abs(p.dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make sandbox directory: %w", err)
	}
	network, err := sandbox.New(sandbox.Config{Dir: dir, Latency: p.latency, FeeBase: p.feeBase, FeePPM: p.feePPM})
	if err != nil {
		return fmt.Errorf("start sandbox: %w", err)
	}
	defer func() { err = errors.Join(err, network.Close()) }()
	nodes, err := openNodes(network, p)
	if err != nil {
		return err
	}
	views, err := bakeMacaroons(dir, p.nodes, nodes)
	if err != nil {
		return err
	}
	if err := printSandbox(w, p, views); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// openNodes starts the nodes and sees to a channel between every two of them. Channels of an earlier run stay as they
// are: OpenChannel finds them.
func openNodes(network *sandbox.Network, p sandboxPlan) ([]*sandbox.Node, error) {
	nodes := make([]*sandbox.Node, len(p.nodes))
	for i, alias := range p.nodes {
		n, err := network.AddNode(alias, p.listen(i))
		if err != nil {
			return nil, fmt.Errorf("start sandbox node %s: %w", alias, err)
		}
		nodes[i] = n
		for j, other := range nodes[:i] {
			if err := network.OpenChannel(other, n, p.capacity, p.capacity/2); err != nil {
				return nil, fmt.Errorf("open channel from %s to %s: %w", p.nodes[j], alias, err)
			}
		}
	}
	return nodes, nil
}

func (p sandboxPlan) listen(i int) string {
	port := 0
	if p.port != 0 {
		port = int(p.port) + i
	}
	return net.JoinHostPort(p.host, strconv.Itoa(port))
}
