package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"paygate/admin"
	"paygate/config"
)

const reloadHelp = `Has the running paygate read its configuration again, as SIGHUP does, and prints what has changed.

The file is checked whole first: one that is not valid changes nothing, and every problem is told. Rules and caps
(sell, buy) hold at once, for transfers under way too; what a buyer has paid for keeps its price. A torrent that was free
and is for sale now loses its connections, since only a new one can be charged for; one that is bought now loses those on which
nothing comes, since only on a new one a seller can say so. Whatever else has changed counts after
a restart, and is named.`

func newReloadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "reload", Short: "Take over a changed configuration without a restart", Long: reloadHelp,
		Example: "  paygate reload -c paygate.yaml    # SIGHUP does the same; the answer goes to the log",
	}
	at := placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		dir, err := at.directory()
		if err != nil {
			return err
		}
		return reload(cmd.Context(), cmd.OutOrStdout(), filepath.Join(dir, admin.SocketName))
	}
	return cmd
}

func reload(ctx context.Context, w io.Writer, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := admin.Reload(ctx, socket)
	var refused *admin.Refused
	if errors.As(err, &refused) {
		return &exitError{exitConfiguration, fmt.Errorf("nothing has changed:\n%s", refused.Why)}
	}
	if err != nil {
		return notRunning(err)
	}
	_, err = io.WriteString(w, reloadText(r))
	return err
}

// reloadText is a report for a person.
func reloadText(r admin.ReloadReport) string {
	var b strings.Builder
	list := func(head string, items []string) {
		if len(items) == 0 {
			return
		}
		fmt.Fprintln(&b, head)
		for _, item := range items {
			fmt.Fprintln(&b, "  "+printable(item))
		}
	}
	list("changed now:", r.Changed)
	if r.Closed > 0 {
		fmt.Fprintf(&b, "%s closed, so that the rules can hold for it\n", count(r.Closed, "connection"))
	}
	list("changes with a restart of paygate:", r.Restart)
	if len(r.Changed)+len(r.Restart) == 0 {
		fmt.Fprintln(&b, "nothing has changed")
	}
	list("the configuration is valid, but:", r.Notes)
	return b.String()
}

// Reload takes the configuration's rules and caps over. See admin.Control.
func (s *sidecar) Reload(context.Context) (admin.ReloadReport, error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	next, err := config.Load(s.file)
	if err != nil {
		s.log.Warn("the configuration is not valid, so nothing has changed", zap.Error(err))
		return admin.ReloadReport{}, err
	}
	var r admin.ReloadReport
	r.Changed, r.Restart = config.Diff(s.current(), next)
	for _, n := range next.Notes {
		r.Notes = append(r.Notes, n.String())
	}
	if len(r.Changed) > 0 {
		live := *s.cfg
		live.Sell, live.Buy = next.Sell, next.Buy
		s.live.Store(&live)
		s.desk.SetRules(live.Sell, live.Buy)
		for _, f := range s.fronts {
			r.Closed += f.review()
		}
	}
	s.log.Info("the configuration was read again", zap.Strings("changed", r.Changed), zap.Strings("after_a_restart", r.Restart),
		zap.Int("connections_closed", r.Closed))
	tellNotes(s.log, next)
	return r, nil
}

// current is the configuration that holds: the one that paygate began with, and the rules and caps of the last reload.
func (s *sidecar) current() *config.Config { return s.live.Load() }

// obeyHangups reloads on each SIGHUP until ctx ends. What came of it is in the log.
func (s *sidecar) obeyHangups(ctx context.Context) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			_, _ = s.Reload(ctx) // it logs its own error
		}
	}
}
