package config

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong, or worth knowing, about a configuration.
type Problem struct {
	File    string // as given to Load or Parse; the variable's name for a value from the environment
	Line    int    // from 1; 0 when the problem has no place in the file
	Column  int    // from 1, in characters
	Path    string // such as "sell.rules[0].price"; empty for the whole file
	Message string // what is wrong
	Remedy  string // what to do about it; may be empty
	Note    bool   // true: the configuration is valid, but may not do what its author expects
	Source  string // what stands on the line, without a secret; empty where it could show one
}

// String prints the problem on one line, starting with file:line:column.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Note {
		b.WriteString("note: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Remedy != "" {
		b.WriteString(" (" + p.Remedy + ")")
	}
	return b.String()
}

// Problems are all the problems of a configuration, in the order of the file. As an error it prints each on one line,
// and below that the line of the file with a caret under the place.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, 0, len(ps))
	for i, p := range ps {
		lines = append(lines, p.String())
		if last := i+1 == len(ps) || ps[i+1].Line != p.Line || ps[i+1].Column != p.Column; last && p.Source != "" {
			lines = append(lines, p.excerpt())
		}
	}
	return strings.Join(lines, "\n")
}

// excerptWidth is how much of a long line is shown.
const excerptWidth = 100

// excerpt shows the line of the file, with a caret under the column.
func (p Problem) excerpt() string {
	line := []rune(p.Source)
	at := min(max(p.Column-1, 0), len(line))
	before, after := "", ""
	if from := at - excerptWidth/2; len(line) > excerptWidth && from > 0 {
		line, at, before = line[from:], at-from, "…"
	}
	if len(line) > excerptWidth {
		line, after = line[:excerptWidth], "…"
	}
	number := fmt.Sprintf("%6d", p.Line)
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, before+string(line[:at]))
	return fmt.Sprintf("%s | %s%s%s\n%s | %s^", number, before, string(line), after, strings.Repeat(" ", len(number)), pad)
}

// Fatal reports whether any of the problems is more than a note.
func (ps Problems) Fatal() bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return !p.Note })
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}
