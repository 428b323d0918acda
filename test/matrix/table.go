package matrix

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// outcome is how a cell ended: well, unless it failed or there is a reason why it was not run.
type outcome struct {
	failed  bool
	crashed bool // the client, once; then it went well
	reason  string
	never   bool // the reason is the client's nature, not this machine
}

// table collects outcomes. It is safe for concurrent use.
type table struct {
	mu    sync.Mutex
	cells map[cell]outcome
}

func newTable() *table { return &table{cells: make(map[cell]outcome)} }

func (t *table) add(c cell, o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cells[c] = o
}

// line is what cells that differ in encryption and family only have in common.
type line struct {
	client, role, way string
	results           []string // in the order of the columns
}

// columns are the headings behind client, role and way.
func columns() []string {
	var heads []string
	for _, e := range encryptions {
		heads = append(heads, string(e)+" v4", string(e)+" v6")
	}
	return heads
}

// lines are the rows that have a cell, and the reasons that their numbers stand for. Rows that no setting of the
// client makes possible are left out; why is among the reasons.
func (t *table) lines() (lines []line, reasons, never []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range cells() {
		o, done := t.cells[c]
		if o.never {
			if !slices.Contains(never, o.reason) {
				never = append(never, o.reason)
			}
			continue
		}
		if len(lines) == 0 || !lines[len(lines)-1].of(c) {
			if !t.any(c) {
				continue
			}
			lines = append(lines, line{client: label[c.client], role: string(c.role), way: string(c.way)})
		}
		word := ""
		switch {
		case !done:
		case o.failed:
			word = "FAIL"
		case o.reason != "":
			n := slices.Index(reasons, o.reason)
			if n < 0 {
				n, reasons = len(reasons), append(reasons, o.reason)
			}
			word = fmt.Sprintf("skip %d", n+1)
		case o.crashed:
			word = "pass ²"
		default:
			word = "pass"
		}
		last := &lines[len(lines)-1]
		last.results = append(last.results, word)
	}
	return lines, reasons, never
}

func (l line) of(c cell) bool {
	return l.client == label[c.client] && l.role == string(c.role) && l.way == string(c.way)
}

// any reports whether any cell of c's row was played or skipped.
func (t *table) any(c cell) bool {
	for other, o := range t.cells {
		if other.client == c.client && other.role == c.role && other.way == c.way && !o.never {
			return true
		}
	}
	return false
}

// rows are the table as words, the heading first.
func rows(lines []line) [][]string {
	all := [][]string{append([]string{"client", "", "way"}, columns()...)}
	for _, l := range lines {
		all = append(all, append([]string{l.client, l.role, l.way}, l.results...))
	}
	return all
}

// widths are those of the columns, in characters.
func widths(rows [][]string) []int {
	var w []int
	for _, row := range rows {
		for i, word := range row {
			if i == len(w) {
				w = append(w, 0)
			}
			w[i] = max(w[i], utf8.RuneCountInString(word))
		}
	}
	return w
}

// text is the table for a terminal or a log, and the reasons below it.
func (t *table) text(colours bool) string {
	lines, reasons, never := t.lines()
	var b strings.Builder
	all := rows(lines)
	w := widths(all)
	for _, row := range all {
		for i, word := range row {
			b.WriteString(coloured(word, colours))
			b.WriteString(strings.Repeat(" ", w[i]-utf8.RuneCountInString(word)+2))
		}
		b.WriteByte('\n')
	}
	if strings.Contains(b.String(), "²") {
		b.WriteString("²: " + crashNote + "\n")
	}
	for i, r := range reasons {
		fmt.Fprintf(&b, "skip %d: %s\n", i+1, r)
	}
	for _, r := range never {
		fmt.Fprintf(&b, "not there: %s\n", r)
	}
	return b.String()
}

func coloured(word string, colours bool) string {
	colour := map[string]string{"pass": "32", "FAIL": "31;1", "skip": "33"}[strings.SplitN(word, " ", 2)[0]]
	if !colours || colour == "" {
		return word
	}
	return "\x1b[" + colour + "m" + word + "\x1b[0m"
}

// The markers in the page between which the table stands.
const (
	beginMark = "<!-- matrix: written by `make matrix` -->\n"
	endMark   = "<!-- end of matrix -->\n"
)

const crashNote = "at the second attempt: in the first the client itself crashed (segmentation fault)."

// markdown is the table for a page.
func (t *table) markdown() string {
	lines, reasons, never := t.lines()
	var b strings.Builder
	all := rows(lines)
	w := widths(all)
	for i, row := range all {
		for j, word := range row {
			fmt.Fprintf(&b, "| %s%s ", word, strings.Repeat(" ", w[j]-utf8.RuneCountInString(word)))
		}
		b.WriteString("|\n")
		if i == 0 {
			for _, n := range w {
				b.WriteString("|" + strings.Repeat("-", n+2))
			}
			b.WriteString("|\n")
		}
	}
	if strings.Contains(b.String(), "²") {
		b.WriteString("\n² " + crashNote + "\n")
	}
	if len(reasons) > 0 {
		b.WriteString("\nNot run on the machine that wrote this:\n\n")
	}
	for i, r := range reasons {
		fmt.Fprintf(&b, "- skip %d: %s\n", i+1, r)
	}
	b.WriteString("\nRows that are not there, because the client cannot:\n\n")
	for _, r := range never {
		fmt.Fprintf(&b, "- %s\n", r)
	}
	return b.String()
}

// write puts the table into a page, in the place of the one that stands there.
func (t *table) write(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !found || !ended {
		return errors.New(path + " has no place for the table: its markers are missing")
	}
	return os.WriteFile(path, []byte(before+beginMark+t.markdown()+endMark+after), 0o644)
}
