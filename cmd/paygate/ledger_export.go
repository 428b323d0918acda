package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"paygate/ledger"
)

const exportHelp = `Writes the whole journal as CSV (RFC 4180, with a heading), oldest entry first: to standard output, or to a new file
that only you can read. Usage that is older than ledger.days comes first, as sums of a day, whose id is 0; the last column
says of how many entries. New columns will only ever be added at the end. Amounts are in millisatoshi, sizes in bytes,
times in UTC; docs/ledger.md explains the kinds.

It reads the ledger, and may be used while "paygate run" runs.`

func newExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export csv", Short: "Write the journal out for a spreadsheet", Long: exportHelp,
		ValidArgs: []string{"csv"}, Args: cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		Example: "  paygate ledger export csv --out journal.csv\n  paygate ledger export csv | tail -n 20",
	}
	at := placeFlags(cmd)
	out := cmd.Flags().String("out", "", "write to this `file`, which must not exist")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := at.ledger()
		if err != nil {
			return err
		}
		return export(cmd.Context(), cmd.OutOrStdout(), path, *out)
	}
	return cmd
}

func export(ctx context.Context, w io.Writer, path, out string) (err error) {
	l, err := ledger.Open(ctx, path, ledger.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if out == "" {
		return writeCSV(ctx, w, l)
	}
	f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err = errors.Join(writeCSV(ctx, f, l), f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("export: %w", err), os.Remove(out))
	}
	return nil
}

// csvColumns are the columns, which never change their order.
var csvColumns = []string{
	"id", "time", "kind", "party", "info_hash", "payment_hash", "price_msat", "price_per_bytes",
	"msat", "fee_msat", "bytes", "free_bytes", "note", "entries",
}

func writeCSV(ctx context.Context, w io.Writer, l *ledger.Ledger) error {
	c := csv.NewWriter(w)
	c.UseCRLF = true
	if err := c.Write(csvColumns); err != nil {
		return err
	}
	if err := l.History(ctx, func(p ledger.Past) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return c.Write(csvRow(p))
	}); err != nil {
		return err
	}
	c.Flush()
	return c.Error()
}

func csvRow(e ledger.Past) []string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{
		number(e.ID), e.At.UTC().Format("2006-01-02T15:04:05.000Z"), e.Kind, e.Party, e.InfoHash, e.PaymentHash,
		number(int64(e.Price.Msat)), number(int64(e.Price.Per)),
		number(int64(e.Msat)), number(int64(e.Fee)), number(int64(e.Bytes)), number(int64(e.Free)), e.Note,
		number(int64(e.Entries)),
	}
}
