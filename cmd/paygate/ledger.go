package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"paygate/ledger"
)

const ledgerHelp = `Looks after the ledger, the file ledger.sqlite in data_dir that knows what was paid, by whom and for what. Use these
commands rather than cp: while paygate runs, the newest entries are in a second file beside it.`

func newLedgerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ledger", Short: "Back the books up, verify, export and restore them", Long: ledgerHelp,
		Example: "  paygate ledger verify",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBackupCommand(), newVerifyCommand(), newExportCommand(), newRestoreCommand())
	return cmd
}

const backupHelp = `Writes a verified copy of the ledger to FILE, which must not exist and only you can read. paygate may go on meanwhile.

Your identity is not in it: copy identity.key from data_dir too, once.`

func newBackupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Copy the ledger, also while paygate runs", Long: backupHelp, Args: cobra.ExactArgs(1),
		Example: "  paygate ledger backup /mnt/backup/ledger.sqlite\n" +
			"  paygate ledger backup --data-dir /var/lib/paygate /mnt/backup/ledger.sqlite",
	}
	at := placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		from, err := at.ledger()
		if err != nil {
			return err
		}
		if err := ledger.Backup(cmd.Context(), from, args[0]); err != nil {
			return err
		}
		return verify(cmd.Context(), cmd.OutOrStdout(), args[0])
	}
	return cmd
}

const verifyHelp = `Checks the ledger, or the copy of one in FILE, page by page, computes every sum again from the journal, and prints each
difference. It changes nothing. Exit status: 0 sound, 1 not.`

func newVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify [FILE]", Short: "Check the ledger against its journal", Long: verifyHelp, Args: cobra.MaximumNArgs(1),
		Example: "  paygate ledger verify -c paygate.yaml\n  paygate ledger verify /mnt/backup/ledger.sqlite",
	}
	at := placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return verify(cmd.Context(), cmd.OutOrStdout(), args[0])
		}
		path, err := at.ledger()
		if err != nil {
			return err
		}
		return verify(cmd.Context(), cmd.OutOrStdout(), path)
	}
	return cmd
}

func verify(ctx context.Context, w io.Writer, path string) error {
	r, err := ledger.Inspect(ctx, path)
	if err != nil {
		return err
	}
	if r.Sound() {
		_, err := fmt.Fprintf(w, "%s is sound: %d journal entries explain every sum\n", path, r.Entries)
		return err
	}
	printDifferences(w, r)
	return fmt.Errorf("%s is not sound: %s", path, count(len(r.Damage)+len(r.Mismatches), "difference"))
}

func printDifferences(w io.Writer, r ledger.Report) {
	for _, d := range r.Damage {
		fmt.Fprintf(w, "damaged: %s\n", printable(d))
	}
	for _, m := range r.Mismatches {
		fmt.Fprintf(w, "%s\n", m.Table)
		for _, row := range m.Journal {
			fmt.Fprintf(w, "  the journal says  %s\n", printable(row))
		}
		for _, row := range m.Holds {
			fmt.Fprintf(w, "  the table holds   %s\n", printable(row))
		}
	}
}

const restoreHelp = `Puts the copy of a ledger in FILE in the place of the one in data_dir, after verifying it. paygate must not run. The
ledger that is replaced is kept beside it.

What has happened since the copy was made is forgotten: payments made since then do not count against your caps, and
credit that buyers have paid for since then is lost to them. Restore only what you must.`

func newRestoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the ledger's place", Long: restoreHelp, Args: cobra.ExactArgs(1),
		Example: "  paygate ledger restore /mnt/backup/ledger.sqlite",
	}
	at := placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := at.directory()
		if err != nil {
			return err
		}
		return restore(cmd.Context(), cmd.OutOrStdout(), args[0], path)
	}
	return cmd
}

func restore(ctx context.Context, w io.Writer, from, path string) (err error) {
	dir, err := openDataDir(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	to := dir.file(ledgerFile)
	kept, err := ledger.Restore(ctx, from, to, ledger.Options{})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s is in the place of %s\n", from, to)
	if kept != "" {
		fmt.Fprintf(w, "the ledger that was there is kept as %s\n", filepath.Base(kept))
	}
	return nil
}
