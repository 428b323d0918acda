// Command tally reads the output of `go test -json` from standard input, passes on what a person wants to see of it,
// and ends with what failed and what was skipped, and why. It exits with status 1 if anything failed.
//
//	go test -json ./... | go run ./test/tally -name unit -notes FILE
//
// With -notes, what was skipped is appended to FILE, one line each, for a summary of several runs; with -failures, the
// last words of each test that failed. With -v, the output of tests that pass is shown, too.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of `go test -json`.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

// name is the test's, or the package's if the event is about it as a whole.
func (e event) name() string {
	if e.Test == "" {
		return e.Package
	}
	return e.Package + " " + e.Test
}

// tally is what has been seen.
type tally struct {
	verbose bool
	out     io.Writer
	output  map[string][]string // of tests that have not ended
	parents map[string]bool     // tests that have subtests
	counts  map[string]int
	failed  []string
	words   map[string][]string // of tests that failed
	skipped []string
}

func main() {
	name := flag.String("name", "tests", "what is run, for the last line")
	notes := flag.String("notes", "", "`file` to which what was skipped is appended")
	failures := flag.String("failures", "", "`file` to which the last words of failed tests are appended")
	verbose := flag.Bool("v", false, "show the output of tests that pass")
	flag.Parse()
	t := newTally(os.Stdout, *verbose)
	err := t.read(os.Stdin)
	if err == nil {
		err = t.end(*name, *notes, *failures)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
}

func newTally(out io.Writer, verbose bool) *tally {
	return &tally{
		verbose: verbose, out: out, output: make(map[string][]string), parents: make(map[string]bool),
		counts: make(map[string]int), words: make(map[string][]string),
	}
}

func (t *tally) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(t.out, lines.Text()) // the go command's own words
			continue
		}
		t.take(e)
	}
	return lines.Err()
}

func (t *tally) take(e event) {
	switch e.Action {
	case "run":
		if i := strings.LastIndex(e.Test, "/"); i >= 0 {
			t.parents[e.Package+" "+e.Test[:i]] = true
		}
	case "output", "build-output":
		if e.ImportPath != "" {
			fmt.Fprint(t.out, e.Output)
			return
		}
		t.output[e.name()] = append(t.output[e.name()], e.Output)
	case "pass", "fail", "skip":
		t.ended(e)
		delete(t.output, e.name())
	}
}

func (t *tally) ended(e event) {
	name := e.name()
	switch {
	case e.Action == "fail":
		t.failed = append(t.failed, name)
		t.words[name] = last(t.output[name], maxWords)
		t.show(name)
	case e.Action == "skip" && e.Test != "":
		t.skipped = append(t.skipped, name+": "+reason(t.output[name]))
	case e.Test == "" && e.Action == "pass":
		fmt.Fprintf(t.out, "ok    %s (%.1f s)\n", name, e.Elapsed)
	case t.verbose && e.Test != "" && !t.parents[name]:
		fmt.Fprintf(t.out, "pass  %s (%.1f s)\n", e.Test, e.Elapsed)
		t.show(name)
	}
	if e.Test != "" {
		t.counts[e.Action]++
	}
}

// show prints what a test said, without the go command's marks.
func (t *tally) show(name string) {
	for _, line := range t.output[name] {
		if !mark(line) {
			fmt.Fprint(t.out, "      ", strings.TrimPrefix(line, "    "))
		}
	}
}

func mark(line string) bool {
	s := strings.TrimSpace(line)
	return strings.HasPrefix(s, "=== ") || strings.HasPrefix(s, "--- ") || s == "PASS" || s == ""
}

// reason is what a skipped test said, on one line.
func reason(output []string) string {
	var words []string
	for _, line := range output {
		if !mark(line) {
			_, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
			words = append(words, text)
		}
	}
	return strings.Join(words, " ")
}

// maxWords is how many lines of a failed test are repeated.
const maxWords = 40

func last(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

// lastWords are the failed tests with what each said last.
func (t *tally) lastWords() []string {
	var lines []string
	for _, name := range t.failed {
		lines = append(lines, "FAIL  "+name)
		for _, line := range t.words[name] {
			if !mark(line) {
				lines = append(lines, "      "+strings.TrimSpace(line))
			}
		}
	}
	return lines
}

func (t *tally) end(name, notes, failures string) error {
	slices.Sort(t.skipped)
	for _, f := range t.failed {
		fmt.Fprintln(t.out, "FAIL ", f)
	}
	for _, s := range t.skipped {
		fmt.Fprintln(t.out, "skip ", s)
	}
	if err := errors.Join(note(notes, t.skipped), note(failures, t.lastWords())); err != nil {
		return err
	}
	fmt.Fprintf(t.out, "%s: %d passed, %d failed, %d skipped\n", name, t.counts["pass"], len(t.failed), len(t.skipped))
	if len(t.failed) > 0 {
		return fmt.Errorf("%s: something failed", name)
	}
	if t.counts["pass"] == 0 {
		return fmt.Errorf("%s: nothing was run", name)
	}
	return nil
}

// note appends lines to a file.
func note(path string, lines []string) (err error) {
	if path == "" || len(lines) == 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	_, err = f.WriteString(strings.Join(lines, "\n") + "\n")
	return err
}
