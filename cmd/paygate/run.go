package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"paygate/config"
)

const runHelp = `Runs paygate in front of your client until it is interrupted.

On a terminal it shows a live table of what is served, earned and spent, and writes its log to paygate.log in
data_dir. Without a terminal (systemd, a pipe) the log goes to standard error, one JSON object a line.

The first interrupt lets the peers finish (limits.drain_timeout); the second ends paygate at once. No money is lost
either way: what is under way is settled at the next start.`

func newRunCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run", Short: "Run paygate in front of your client", Long: runHelp,
		Example: "  paygate run -c paygate.yaml\n" +
			"  paygate run -c paygate.yaml --no-table    # the log instead of the table",
	}
	path := configFlag(cmd)
	plain := cmd.Flags().Bool("no-table", false, "print the log instead of the live table")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return run(cmd.Context(), cmd.OutOrStdout(), *path, *plain)
	}
	return cmd
}

func run(ctx context.Context, w io.Writer, path string, plain bool) error {
	cfg, err := loadConfig(path)
	if err != nil {
		return err
	}
	dir, err := openDataDir(cfg.DataDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	table := isTerminal(w) && !plain
	log, err := newLogger(cfg.Log, dir, table)
	if err != nil {
		return err
	}
	defer log.Sync() //nolint:errcheck // a terminal cannot be synced
	tellNotes(log, cfg)
	if err := checkRights(cfg.Lightning, log); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	s, err := newSidecar(ctx, cfg, path, dir, log)
	if err != nil {
		return err
	}
	log.Info("paygate runs", zap.String("version", buildVersion()))
	err = runShown(ctx, w, s, table)
	if closing := s.Close(); err == nil {
		err = closing
	}
	log.Info("paygate ends", zap.Error(err))
	return err
}

// gcPercent has the collector run twice as often as Go would by itself: bytes pass without making garbage, so that this
// costs next to nothing, and strangers who connect and leave cost less memory.
const gcPercent = 50

// runShown runs s and, on a terminal, shows what it does meanwhile.
func runShown(ctx context.Context, w io.Writer, s *sidecar, table bool) error {
	if !table {
		return s.Run(ctx)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { showLive(ctx, w, s) })
	defer stop()
	return s.Run(ctx)
}

// showLive redraws the status each second. A status that cannot be had is left out: the log has the reason.
func showLive(ctx context.Context, w io.Writer, s *sidecar) {
	show := showTables(w, true)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if st, err := s.Status(ctx); err == nil {
			_ = show(st) // nothing to do about a terminal that has gone
		}
	}
}

func tellNotes(log *zap.Logger, cfg *config.Config) {
	for _, n := range cfg.Notes {
		log.Warn("the configuration is valid, but", zap.String("note", n.String()))
	}
}

// address prints a listener that may not be there.
type address struct{ a fmt.Stringer }

func (a address) String() string {
	if a.a == nil {
		return "off"
	}
	return a.a.String()
}

// newLogger writes to standard error, or beside the ledger while a table has the terminal.
func newLogger(cfg config.Log, dir *dataDir, table bool) (*zap.Logger, error) {
	level, err := zap.ParseAtomicLevel(cfg.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	zc := zap.NewProductionConfig()
	zc.Level = level
	zc.Sampling = nil
	zc.DisableStacktrace = true
	zc.DisableCaller = true
	zc.EncoderConfig.EncodeTime = zapcore.ISO8601TimeEncoder
	if cfg.Format == "console" || cfg.Format == "auto" && !table && isTerminal(os.Stderr) {
		zc.Encoding = "console"
	}
	if table {
		zc.OutputPaths = []string{dir.file("paygate.log")}
	}
	return zc.Build()
}
