package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"paygate/admin"
	"paygate/client"
	"paygate/config"
	"paygate/doctor"
	"paygate/lnclient"
)

const doctorHelp = `Looks at everything that paygate needs and says, a line each, what is well (pass), what will be trouble (warn), what
does not work (fail) and what could not be told (skip), with what to do about it: the configuration, data_dir, the
disk, the limit on open files, your Lightning node, its macaroon, its liquidity, the clock, the ports, and the client:
with client.api it also reads the client's settings and looks for every way around paygate.

It changes nothing and pays nothing. It can be asked before paygate runs, and while it does. Into a pipe it prints one
JSON object instead. Exit status: 0 if nothing fails, 1 otherwise.`

func newDoctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Find out what keeps paygate from working", Long: doctorHelp,
		Example: "  paygate doctor -c paygate.yaml\n  paygate doctor -c paygate.yaml | jq '.findings[] | select(.verdict != \"pass\")'",
	}
	path := configFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON on a terminal too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		w := cmd.OutOrStdout()
		var r doctorReport = &doctorText{w: w}
		if *asJSON || !isTerminal(w) {
			r = &doctorJSON{w: w, Findings: []doctor.Finding{}}
		}
		return examine(cmd.Context(), r, *path, doctor.ThisMachine())
	}
	return cmd
}

// doctorReport shows findings to somebody.
type doctorReport interface {
	tell(doctor.Finding)
	end(failed bool) error
}

// examine makes every check and reports it.
func examine(ctx context.Context, r doctorReport, path string, m doctor.Machine) error {
	failed := false
	tell := func(f doctor.Finding) {
		failed = failed || f.Verdict == doctor.Fail
		r.tell(f)
	}
	c, err := config.Load(path)
	for _, f := range doctor.Configuration(path, c, err) {
		tell(f)
	}
	if c != nil {
		node, closeNode := doctorNode(c.Lightning)
		defer closeNode()
		asked, closeClients := doctorClients(c)
		defer closeClients()
		doctor.Examine(ctx, c, doctor.Deps{Machine: m, Node: node, Clients: asked, Firewall: firewallState(c), Running: running(ctx, c)}, tell)
	}
	if err := r.end(failed); err != nil {
		return err
	}
	if failed {
		return &exitError{code: exitFailure}
	}
	return nil
}

// doctorNode is the node to ask, nil if none is configured.
func doctorNode(ln config.Lightning) (doctor.Node, func()) {
	if !ln.Enabled() {
		return nil, func() {}
	}
	node, err := newNode(ln)
	if err != nil {
		return unusableNode{err}, func() {}
	}
	return node, func() { node.Close() }
}

// doctorClients are the clients to ask, by name.
func doctorClients(c *config.Config) (map[string]doctor.Client, func()) {
	all := map[string]doctor.Client{}
	var open []*client.Watcher
	for _, one := range c.PerClient() {
		api := one.Client.API
		if !one.Client.Asked() {
			continue
		}
		w, err := client.New(client.Config{URL: api.URL, User: api.User, Password: api.Password}, client.Deps{})
		if err != nil {
			continue // no such error is known
		}
		all[one.Client.Name] = w
		open = append(open, w)
	}
	return all, func() {
		for _, w := range open {
			w.Close()
		}
	}
}

// unusableNode stands for one that cannot even be asked.
type unusableNode struct{ err error }

func (n unusableNode) Ready(context.Context) error {
	var p *lnclient.Problem
	if errors.As(n.err, &p) {
		return &lnclient.Problem{Remedy: p.Remedy, Err: n.err}
	}
	return n.err
}

func (n unusableNode) Info(context.Context) (lnclient.Info, error) { return lnclient.Info{}, n.err }

func (n unusableNode) Liquidity(context.Context) (lnclient.Liquidity, error) {
	return lnclient.Liquidity{}, n.err
}

// running asks the paygate that runs on the data directory, if any.
func running(ctx context.Context, c *config.Config) map[string]*doctor.Running {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	st, err := admin.Fetch(ctx, filepath.Join(c.DataDir, admin.SocketName))
	if err != nil {
		return nil
	}
	all := map[string]*doctor.Running{}
	for _, one := range st.Clients {
		all[one.Name] = &doctor.Running{Peers: one.Peers, SOCKS5: one.SOCKS5, HTTP: one.HTTP, Redirect: one.Redirect, TProxy: one.TProxy}
	}
	return all
}

// doctorText prints for a person, as the findings come.
type doctorText struct {
	w      io.Writer
	counts map[doctor.Verdict]int
}

// checkWidth is that of the longest name of a check.
const checkWidth = len(doctor.CheckConfiguration)

func (t *doctorText) tell(f doctor.Finding) {
	if t.counts == nil {
		t.counts = map[doctor.Verdict]int{}
	}
	t.counts[f.Verdict]++
	text := f.Text
	if f.Client != "" {
		text = f.Client + ": " + text
	}
	fmt.Fprintf(t.w, "%s  %-*s  %s\n", f.Verdict, checkWidth, f.Check, printable(text))
	if f.Remedy != "" {
		fmt.Fprintf(t.w, "%s→ %s\n", strings.Repeat(" ", len("pass  ")+checkWidth+2), printable(f.Remedy))
	}
}

func (t *doctorText) end(bool) error {
	_, err := fmt.Fprintf(t.w, "\n%d passed, %s, %s, %d skipped\n",
		t.counts[doctor.Pass], count(t.counts[doctor.Warn], "warning"), count(t.counts[doctor.Fail], "failure"), t.counts[doctor.Skip])
	return err
}

// doctorJSON prints one object at the end.
type doctorJSON struct {
	w        io.Writer
	OK       bool             `json:"ok"` // nothing fails
	Findings []doctor.Finding `json:"findings"`
}

func (j *doctorJSON) tell(f doctor.Finding) { j.Findings = append(j.Findings, f) }

func (j *doctorJSON) end(failed bool) error {
	j.OK = !failed
	return json.NewEncoder(j.w).Encode(j)
}
