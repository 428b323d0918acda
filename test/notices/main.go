// Command notices writes the licences of all modules that are linked into paygate, as Markdown, to standard output.
// It asks the go command which ones they are and reads their licence files from the module cache. A module without a
// licence file is an error.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is what `go list` tells of one.
type module struct {
	Path, Version, Dir string
	Main               bool
	Replace            *module
}

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	modules, err := linked("./cmd/paygate")
	if err != nil {
		return err
	}
	library, err := standardLibrary()
	if err != nil {
		return err
	}
	return write(w, append([]module{library}, modules...))
}

// standardLibrary is linked too; its version is that of the toolchain, so none is named.
func standardLibrary() (module, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return module{}, fmt.Errorf("find the standard library: %w", err)
	}
	return module{Path: "the Go standard library", Dir: strings.TrimSpace(string(root))}, nil
}

// linked lists the modules whose packages the program links, each once, by path.
func linked(program string) ([]module, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=Module", program)
	cmd.Stderr = os.Stderr
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list modules: %w", err)
	}
	found := make(map[string]module)
	for d := json.NewDecoder(bytes.NewReader(output)); ; {
		var p struct{ Module *module }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("list modules: %w", err)
		}
		if p.Module != nil && !p.Module.Main {
			found[p.Module.Path] = *p.Module
		}
	}
	var modules []module
	for _, m := range found {
		if m.Replace != nil {
			m.Version, m.Dir = m.Replace.Path+" "+m.Replace.Version, m.Replace.Dir
		}
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return modules, nil
}

var licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)([.-].*)?$`)

// licence returns the texts of a module's licence files.
func (m module) licence() (string, error) {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return "", err
	}
	var texts []string
	for _, e := range entries {
		if e.IsDir() || !licenceName.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.Dir, e.Name()))
		if err != nil {
			return "", err
		}
		texts = append(texts, clean(string(text)))
	}
	if len(texts) == 0 {
		return "", fmt.Errorf("%s %s: no licence file", m.Path, m.Version)
	}
	return strings.Join(texts, "\n\n"), nil
}

// clean takes out what differs between copies of one text without meaning anything.
func clean(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t\f")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

// write prints each text once, under all the modules that it belongs to.
func write(w io.Writer, modules []module) error {
	var order []string
	of := make(map[string][]string)
	for _, m := range modules {
		text, err := m.licence()
		if err != nil {
			return err
		}
		if of[text] == nil {
			order = append(order, text)
		}
		of[text] = append(of[text], strings.TrimSpace(m.Path+" "+m.Version))
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Third-party notices\n\npaygate links the Go standard library and the %d modules below. "+
		"Written by `make notices`; do not edit.\n", len(modules)-1)
	for _, text := range order {
		fmt.Fprintf(&out, "\n## %s\n\n```text\n%s\n```\n", strings.Join(of[text], ", "), text)
	}
	_, err := w.Write(out.Bytes())
	return err
}
