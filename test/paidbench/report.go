package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

func printTable(w io.Writer, results []result) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	var columns []table.ColumnConfig
	for i := 2; i <= 10; i++ {
		columns = append(columns, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	t.AppendHeader(table.Row{"clients' limit, payments", "size", "free\ns", "paid\ns", "paid /\nfree", "bound", "holds", "waited for\nthe first, s", "waited for\nothers, s", "payments\nper GiB"})
	for _, r := range results {
		t.AppendRow(table.Row{
			r.Name, r.Size, number(r.median(func(p pairing) float64 { return p.Free }), 2), number(r.median(func(p pairing) float64 { return p.Paid }), 2),
			number(r.ratio(), 3), number(r.Bound, 2), yes(r.holds()),
			number(r.median(func(p pairing) float64 { return p.First }), 2), number(r.median(func(p pairing) float64 { return p.Later }), 2), number(r.perGiB(), 1),
		})
	}
	t.Render()
	fmt.Fprintln(w, "1,000 sat per GiB, no free sample. Medians of interleaved pairs; the ratio is the median of the pairs' ratios.")
}

func number(x float64, digits int) string { return fmt.Sprintf("%.*f", digits, x) }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "NO"
}

// store writes results into a file, in place of those of the same cases that are in it.
func store(path string, results []result) error {
	if path == "" {
		return nil
	}
	var all []result
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(text, &all); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, r := range results {
		i := slices.IndexFunc(all, func(old result) bool { return old.Name == r.Name })
		if i < 0 {
			i, all = len(all), append(all, result{})
		}
		all[i] = r
	}
	if text, err = json.MarshalIndent(all, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
