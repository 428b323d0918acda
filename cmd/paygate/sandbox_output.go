package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"paygate/lnclient"
	"paygate/lnclient/sandbox"
	"paygate/units"
)

// nodeView is what a person or a script needs to use a sandbox node.
type nodeView struct {
	Alias    string     `json:"alias"`
	Address  string     `json:"address"`
	Node     string     `json:"node"`
	TLSCert  string     `json:"tls_cert"`
	Macaroon string     `json:"macaroon"`
	Local    units.Msat `json:"local_msat"`
	Remote   units.Msat `json:"remote_msat"`
}

type sandboxView struct {
	Network string     `json:"network"`
	Latency int64      `json:"latency_ms"`
	Nodes   []nodeView `json:"nodes"`
}

// bakeMacaroons writes, beside what each node puts into its directory, a macaroon that allows only what paygate does.
func bakeMacaroons(dir string, aliases []string, nodes []*sandbox.Node) ([]nodeView, error) {
	views := make([]nodeView, len(nodes))
	for i, n := range nodes {
		local, remote := n.Balance()
		views[i] = nodeView{
			Alias: aliases[i], Address: n.Address(), Node: n.Key().String(), Local: local, Remote: remote,
			TLSCert: filepath.Join(dir, aliases[i], "tls.cert"), Macaroon: filepath.Join(dir, aliases[i], "paygate.macaroon"),
		}
		mac, err := n.Bake(lnclient.Permissions(true, true)...)
		if err != nil {
			return nil, fmt.Errorf("make a macaroon for %s: %w", aliases[i], err)
		}
		raw, err := hex.DecodeString(mac.Reveal())
		if err != nil {
			return nil, fmt.Errorf("make a macaroon for %s: %w", aliases[i], err)
		}
		if err := replaceFile(views[i].Macaroon, raw); err != nil {
			return nil, err
		}
	}
	return views, nil
}

// replaceFile writes a macaroon's file, which only its owner can read, in one step for whoever reads it meanwhile.
func replaceFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".macaroon")
	if err != nil {
		return fmt.Errorf("write macaroon: %w", err)
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write macaroon: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

func printSandbox(w io.Writer, p sandboxPlan, nodes []nodeView) error {
	if p.json || !isTerminal(w) {
		return json.NewEncoder(w).Encode(sandboxView{"regtest", p.latency.Milliseconds(), nodes})
	}
	printNodes(w, nodes)
	return nil
}

func printNodes(w io.Writer, nodes []nodeView) {
	fmt.Fprintf(w, "A Lightning network of %s, on this machine only. No real money.\n\n", count(len(nodes), "node"))
	g := newGrid("name", "address", ">can send", ">can receive", "node")
	for _, n := range nodes {
		g.row(n.Alias, n.Address, n.Local.String(), n.Remote.String(), n.Node)
	}
	g.print(w, "  ")
	fmt.Fprintln(w)
	g = newGrid("name", "file", "path")
	for _, n := range nodes {
		g.row(n.Alias, "tls cert", n.TLSCert)
		g.row("", "macaroon", n.Macaroon)
	}
	g.print(w, "  ")
	for _, n := range nodes {
		fmt.Fprintf(w, "\nFor the configuration of %s:\n\n%s", n.Alias, snippet(n))
	}
	fmt.Fprintln(w, "\nRunning until interrupted (Ctrl-C).")
}

// snippet is the lightning section that connects paygate to the node.
func snippet(n nodeView) string {
	return fmt.Sprintf("lightning:\n  address: %s\n  tls_cert: %s\n  macaroon: %s\n  network: regtest\n",
		n.Address, strconv.Quote(n.TLSCert), strconv.Quote(n.Macaroon))
}
