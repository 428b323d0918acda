package main

import (
	"io"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// grid is an aligned table without borders.
type grid struct {
	w table.Writer
}

// newGrid starts a table. A heading that begins with ">" is that of a right-aligned column.
func newGrid(headings ...string) grid {
	w := table.NewWriter()
	w.SetStyle(table.Style{
		Box:     table.BoxStyle{PaddingRight: "  "},
		Format:  table.FormatOptions{Header: text.FormatUpper},
		Options: table.Options{},
	})
	row := make(table.Row, len(headings))
	columns := make([]table.ColumnConfig, len(headings))
	for i, h := range headings {
		columns[i] = table.ColumnConfig{Number: i + 1}
		name, right := strings.CutPrefix(h, ">")
		if right {
			columns[i].Align, columns[i].AlignHeader = text.AlignRight, text.AlignRight
		}
		row[i] = name
	}
	w.SetColumnConfigs(columns)
	if strings.Join(headings, "") != "" {
		w.AppendHeader(row)
	}
	return grid{w}
}

func (g grid) row(cells ...any) {
	for i, c := range cells {
		if s, ok := c.(string); ok {
			cells[i] = printable(s)
		}
	}
	g.w.AppendRow(cells)
}

// print writes the table, each line after indent, without spaces at the ends of lines.
func (g grid) print(w io.Writer, indent string) {
	for line := range strings.SplitSeq(g.w.Render(), "\n") {
		_, _ = io.WriteString(w, strings.TrimRight(indent+line, " ")+"\n")
	}
}

// printable replaces what could move the cursor: names may come from other people's programs.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
