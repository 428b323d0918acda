package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"paygate/admin"
)

const statusHelp = `Asks the paygate that runs with this configuration what it is doing. On a terminal it prints tables; into a pipe,
one JSON object a line, with amounts in millisatoshi and sizes in bytes.

It talks to the socket paygate.sock in data_dir, which only paygate's own user can open.`

type statusOptions struct {
	config, socket string
	watch, json    bool
	ready          bool
}

func newStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Show what a running paygate does", Long: statusHelp,
		Example: "  paygate status -c paygate.yaml\n" +
			"  paygate status -c paygate.yaml --watch\n" +
			"  paygate status --socket ~/.paygate/paygate.sock | jq .totals.earned_msat\n" +
			"  paygate status --ready    # for a health check: exit status 0 if it is",
	}
	var o statusOptions
	path := configFlag(cmd)
	cmd.Flags().StringVar(&o.socket, "socket", "", "ask at this `path` instead of the one that the configuration implies")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "refresh every second until interrupted")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON on a terminal too")
	cmd.Flags().BoolVar(&o.ready, "ready", false, "say in one line whether everything works, or what does not; exit status 1 if it does not")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.config = *path
		return status(cmd.Context(), cmd.OutOrStdout(), o)
	}
	return cmd
}

func status(ctx context.Context, w io.Writer, o statusOptions) error {
	socket, err := socketPath(o)
	if err != nil {
		return err
	}
	if o.ready {
		return showReady(ctx, w, socket)
	}
	show := showJSON(w)
	if isTerminal(w) && !o.json {
		show = showTables(w, o.watch)
	}
	if !o.watch {
		return showOnce(ctx, socket, show)
	}
	return watch(ctx, socket, show)
}

func socketPath(o statusOptions) (string, error) {
	if o.socket != "" {
		return o.socket, nil
	}
	c, err := loadConfig(o.config)
	if err != nil {
		return "", err
	}
	return filepath.Join(c.DataDir, admin.SocketName), nil
}

const askTimeout = 10 * time.Second

func showReady(ctx context.Context, w io.Writer, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	line, ready, err := admin.FetchReady(ctx, socket)
	if err != nil {
		return notRunning(err)
	}
	if _, err := fmt.Fprintln(w, printable(line)); err != nil {
		return err
	}
	if !ready {
		return &exitError{code: exitFailure}
	}
	return nil
}

func notRunning(err error) error {
	return fmt.Errorf("%w\nIs `paygate run` up, with the same data_dir and the same user?", err)
}

func showOnce(ctx context.Context, socket string, show func(admin.Status) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	st, err := admin.Fetch(ctx, socket)
	if err != nil {
		return notRunning(err)
	}
	return show(st)
}

// watch shows a status every second until ctx ends or paygate stops answering.
func watch(ctx context.Context, socket string, show func(admin.Status) error) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := showOnce(ctx, socket, show); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func showJSON(w io.Writer) func(admin.Status) error {
	enc := json.NewEncoder(w)
	return func(st admin.Status) error { return enc.Encode(st) }
}
