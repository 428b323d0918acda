package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

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

// writeCredentials puts each node's certificate and macaroon into files that a configuration can name.
func writeCredentials(dir string, aliases []string, nodes []*sandbox.Node) ([]nodeView, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make credentials directory: %w", err)
	}
	views := make([]nodeView, len(nodes))
	for i, n := range nodes {
		mac, err := hex.DecodeString(n.Macaroon().Reveal())
		if err != nil {
			return nil, fmt.Errorf("read the macaroon of %s: %w", aliases[i], err)
		}
		local, remote := n.Balance()
		v := nodeView{
			Alias: aliases[i], Address: n.Address(), Node: n.Key().String(), Local: local, Remote: remote,
			TLSCert: filepath.Join(dir, aliases[i]+".cert"), Macaroon: filepath.Join(dir, aliases[i]+".macaroon"),
		}
		if err := replaceFile(v.TLSCert, n.TLSCert()); err != nil {
			return nil, err
		}
		if err := replaceFile(v.Macaroon, mac); err != nil {
			return nil, err
		}
		views[i] = v
	}
	return views, nil
}

// replaceFile writes a file that only its owner can read, in one step for whoever reads it meanwhile.
func replaceFile(path string, data []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write credentials: %w", err)
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
	g := newGrid("name", "address", "node", ">can send", ">can receive")
	for _, n := range nodes {
		g.row(n.Alias, n.Address, n.Node, n.Local.String(), n.Remote.String())
	}
	g.print(w, "  ")
	for _, n := range nodes {
		fmt.Fprintf(w, "\nFor the configuration of the %s:\n\n%s", n.Alias, snippet(n))
	}
	fmt.Fprintln(w, "\nRunning until interrupted (Ctrl-C).")
}

// snippet is the lightning section that connects paygate to the node.
func snippet(n nodeView) string {
	return fmt.Sprintf("lightning:\n  address: %s\n  tls_cert: %s\n  macaroon: %s\n  network: regtest\n",
		n.Address, strconv.Quote(n.TLSCert), strconv.Quote(n.Macaroon))
}
