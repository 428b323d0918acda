package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFile bounds a configuration file: 4 MiB hold 80,000 info-hashes.
const maxFile = 4 << 20

// Load reads a configuration file, with secrets taken from the environment where it says so. When the file is not
// valid, the error is of type Problems and holds all of them; when it cannot be read, it is not.
func Load(path string) (*Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, fmt.Errorf("read configuration: %s is not a file of at most %d bytes", path, maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return parse(&parser{name: path, dir: dir, env: os.LookupEnv, mode: info.Mode().Perm()}, data)
}

// Parse reads a configuration from data. Name stands for the file in problems, and paths inside are relative to its
// directory; env looks up environment variables, for secrets and for HOME. The error is always of type Problems.
func Parse(name string, data []byte, env func(string) (string, bool)) (*Config, error) {
	return parse(&parser{name: name, dir: filepath.Dir(name), env: env}, data)
}

// parser carries one reading of one file.
type parser struct {
	name     string
	dir      string // what relative paths start from
	env      func(string) (string, bool)
	mode     os.FileMode     // permissions of the file itself; 0 = unknown
	places   map[string]spot // where each path stands that the file mentions
	unsound  map[string]bool // paths at or below which something is wrong
	broken   map[string]bool // groups of options that are something else in the file
	problems Problems
	source   source
	group    string // what the paths of a check are relative to: "", or one of several clients

	connection *connection // from lightning.lndconnect
}

// spot is a key and its value; both are the same node for an entry of a list.
type spot struct{ key, value *yaml.Node }

func parse(p *parser, data []byte) (*Config, error) {
	p.places, p.unsound, p.broken = map[string]spot{}, map[string]bool{}, map[string]bool{}
	p.source = newSource(data)
	c := &Config{}
	root, err := document(data)
	if err != nil {
		p.syntax(err)
		return nil, p.problems
	}
	p.mapping(schema(p, c), root, "")
	p.check(c)
	p.problems.sort()
	p.quote()
	if p.problems.Fatal() {
		return nil, p.problems
	}
	c.Notes = p.problems
	return c, nil
}

var errDocuments = errors.New("holds more than one document: remove the second `---` and what follows")

// document returns the top node of the only document in data; nil when there is none.
func document(data []byte) (*yaml.Node, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("is longer than %d bytes", maxFile)
	}
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	switch err := d.Decode(&more); {
	case err == nil:
		return nil, errDocuments
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return doc.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntax reports an error of the YAML parser, which tells its place in its text only.
func (p *parser) syntax(err error) {
	text := err.Error()
	pr := Problem{File: p.name, Remedy: "mend the YAML first: check the indentation, the colons and the quotes around here"}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			pr.Line, pr.Column = n, 1
		}
	}
	pr.Message = "not valid YAML: " + oneLine(text)
	if key, _, ok := strings.Cut(p.source.at(pr.Line, 1), ":"); ok { // what follows may be a secret
		pr.Source = key + ": …"
	}
	p.tell(pr)
}

// quote gives each problem the line of the file that it is about.
func (p *parser) quote() {
	for i := range p.problems {
		if pr := &p.problems[i]; pr.File == p.name {
			pr.Source = p.source.at(pr.Line, pr.Column)
		}
	}
}

// mapping reads a mapping by its options. A nil node stands for one that the file leaves out: every default applies.
func (p *parser) mapping(opts []option, n *yaml.Node, path string) {
	values := map[string]*yaml.Node{}
	switch {
	case n == nil || isNull(n):
	case n.Kind == yaml.MappingNode:
		values = p.keys(opts, n, path)
	default:
		p.broken[path] = true
		p.report(n, path, "is "+kindName(n)+" where `key: value` lines are wanted", "indent its options under it")
	}
	for _, o := range opts {
		p.option(o, values[o.key], join(path, o.key))
	}
}

// keys sorts a mapping's values by key and reports the unknown and the repeated ones.
func (p *parser) keys(opts []option, n *yaml.Node, path string) map[string]*yaml.Node {
	values := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		at := join(path, clip(k.Value))
		switch {
		case k.Kind != yaml.ScalarNode:
			p.report(k, path, "has "+kindName(k)+" for a key", "keys are plain words")
		case !known(opts, k.Value):
			p.source.hideAfter(k, v)
			p.report(k, at, "unknown option", suggest(opts, k.Value))
		case values[k.Value] != nil:
			p.source.hideAfter(k, v)
			p.report(k, at, fmt.Sprintf("set before, on line %d", p.places[at].key.Line), "remove one of the two")
		default:
			if secret(opts, k.Value) {
				p.source.hide(k, v)
			}
			values[k.Value] = v
			p.places[at] = spot{k, v}
		}
	}
	return values
}

func (p *parser) option(o option, n *yaml.Node, path string) {
	switch {
	case o.options != nil:
		p.mapping(o.options, n, path)
	case o.item != nil:
		p.items(o, n, path)
	case o.each != nil:
		p.list(o, n, path)
	default:
		p.scalar(o, n, path)
	}
}

// items reads a sequence of mappings.
func (p *parser) items(o option, n *yaml.Node, path string) {
	if n == nil || isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		p.report(n, path, "is "+kindName(n)+" where a list is wanted", "start each entry with `- `")
		return
	}
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		p.places[at] = spot{item, item}
		opts, done := o.item(i, item.Line)
		p.mapping(opts, item, at)
		done()
	}
}

// list reads a sequence of scalars; a single scalar stands for a list of one.
func (p *parser) list(o option, n *yaml.Node, path string) {
	switch {
	case n == nil:
		return
	case n.Kind == yaml.ScalarNode && !isNull(n):
		p.set(o.each, n, path)
	case n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			p.element(o, item, fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		p.report(n, path, "is "+kindName(n)+" where a list is wanted", "start each entry with `- `")
	}
}

func (p *parser) element(o option, n *yaml.Node, path string) {
	p.places[path] = spot{n, n}
	if p.plain(n, path) {
		p.set(o.each, n, path)
	}
}

// scalar reads one value: from the environment if it is a secret that is set there, else from the file, else the
// default.
func (p *parser) scalar(o option, n *yaml.Node, path string) {
	if n != nil && !p.plain(n, path) {
		return
	}
	if text, ok := p.variable(o, path); ok {
		if err := o.set(text); err != nil {
			p.fault(Problem{File: variableName(path), Path: path}, err)
		}
		return
	}
	switch {
	case n != nil:
		p.set(o.set, n, path)
	case o.def != "":
		if err := o.set(o.def); err != nil {
			p.fault(Problem{File: p.name, Path: path}, err)
		}
	}
}

func (p *parser) set(set func(string) error, n *yaml.Node, path string) {
	if err := set(n.Value); err != nil {
		p.fault(Problem{File: p.name, Line: n.Line, Column: n.Column, Path: path}, err)
	}
}

// plain reports whether the node is a scalar with a value, and says so if it is not.
func (p *parser) plain(n *yaml.Node, path string) bool {
	switch {
	case n.Kind != yaml.ScalarNode:
		p.report(n, path, "is "+kindName(n)+" where a single value is wanted", "")
	case isNull(n):
		p.report(n, path, "has no value", "give it one, or remove the line to get the default")
	default:
		return true
	}
	return false
}

// variable looks a secret up in the environment.
func (p *parser) variable(o option, path string) (string, bool) {
	if !o.secret {
		return "", false
	}
	text, ok := p.env(variableName(path))
	return text, ok && text != ""
}

// variableName is the environment variable that overrides a secret: lightning.macaroon is PAYGATE_LIGHTNING_MACAROON,
// clients[0].client.api.password is PAYGATE_CLIENTS_0_CLIENT_API_PASSWORD.
func variableName(path string) string {
	return "PAYGATE_" + strings.ToUpper(strings.NewReplacer(".", "_", "[", "_", "]", "").Replace(path))
}

// fault is an error with a remedy; note says that the value is taken all the same.
type fault struct {
	message, remedy string
	note            bool
}

func (f *fault) Error() string { return f.message }

func (p *parser) fault(pr Problem, err error) {
	pr.Message = oneLine(err.Error())
	var f *fault
	if errors.As(err, &f) {
		pr.Remedy, pr.Note = f.remedy, f.note
	}
	p.tell(pr)
}

func (p *parser) report(n *yaml.Node, path, message, remedy string) {
	p.tell(Problem{File: p.name, Line: n.Line, Column: n.Column, Path: path, Message: message, Remedy: remedy})
}

func (p *parser) tell(pr Problem) {
	p.problems = append(p.problems, pr)
	for at := pr.Path; at != "" && !pr.Note; at = parent(at) {
		p.unsound[at] = true
	}
}
