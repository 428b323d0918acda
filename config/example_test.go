package config

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const examplePath = "../config.example.yaml"

func readExample(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// switchedOn removes the "#" from every option that the example leaves off.
func switchedOn(example string) string {
	return regexp.MustCompile(`(?m)^( *)#(\S)`).ReplaceAllString(example, "$1$2")
}

// everyOption maps the path of every option in the schema, with list positions as [0], to its default.
func everyOption() map[string]string { return optionsBut(func(option, string) bool { return false }) }

// allOptions leaves out what the example need not name: the conditions of buying rules, which are those of selling rules.
func allOptions(t *testing.T) map[string]string {
	t.Helper()
	return optionsBut(func(_ option, at string) bool { return strings.HasPrefix(at, "buy.rules[0].match.") })
}

func optionsBut(skip func(o option, at string) bool) map[string]string {
	found := map[string]string{}
	var walk func(opts []option, path string)
	walk = func(opts []option, path string) {
		for _, o := range opts {
			at := join(path, o.key)
			if skip(o, at) {
				continue
			}
			found[at] = o.def
			walk(o.options, at)
			if o.item != nil {
				of, _ := o.item(0, 0)
				walk(of, at+"[0]")
			}
		}
	}
	walk(schema(&parser{}, &Config{}), "")
	return found
}

// repeated reports whether an option of one of several clients is one that the example explains for a single client.
func repeated(path string) bool {
	return strings.HasPrefix(path, "clients[0].") && strings.Count(path, ".") > 1
}

func TestExampleIsValidAsItStands(t *testing.T) {
	c, err := Parse(examplePath, []byte(readExample(t)), homeEnv(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.Lightning.Enabled() || len(c.Sell.Rules)+len(c.Buy.Rules) != 0 || len(c.Notes) != 0 {
		t.Errorf("the untouched example moves money or has notes: %+v", c)
	}
}

// TestExampleIsValidWithEverythingOn tries both ways to name the node, which exclude each other.
func TestExampleIsValidWithEverythingOn(t *testing.T) {
	several := regexp.MustCompile(`(?ms)^clients:.*?\n\n`)
	for _, off := range []string{`lndconnect: .*`, `(address: 127.0.0.1:10009|tls_cert: .*|macaroon: .*)`} {
		text := several.ReplaceAllString(switchedOn(readExample(t)), "")
		text = regexp.MustCompile(`(?m)^  `+off+`$`).ReplaceAllString(text, "")
		c, err := Parse(examplePath, []byte(text), homeEnv(t))
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Sell.Rules) != 1 || len(c.Buy.Rules) != 1 || len(c.Client.Dial) != 1 || !c.Lightning.Enabled() || c.Lightning.TLSCert == nil {
			t.Errorf("switching everything on left something off: %+v", c)
		}
	}
}

func TestExampleNamesEveryOption(t *testing.T) {
	p := &parser{name: examplePath, env: homeEnv(t), source: newSource(nil), places: map[string]spot{}, unsound: map[string]bool{}, broken: map[string]bool{}}
	root, err := document([]byte(switchedOn(readExample(t))))
	if err != nil {
		t.Fatal(err)
	}
	p.mapping(schema(p, &Config{}), root, "")
	for path := range allOptions(t) {
		if !p.given(path) && !repeated(path) {
			t.Errorf("%s does not name %s", examplePath, path)
		}
	}
}

// TestExampleStatesTheDefaults reads the "Default:" that each option's comment ends with. The value beside it must be
// the default too.
func TestExampleStatesTheDefaults(t *testing.T) {
	p := &parser{name: examplePath, env: homeEnv(t), source: newSource(nil), places: map[string]spot{}, unsound: map[string]bool{}, broken: map[string]bool{}}
	text := switchedOn(readExample(t))
	root, err := document([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p.mapping(schema(p, &Config{}), root, "")
	lines := strings.Split(text, "\n")
	options := allOptions(t)
	for _, path := range slices.Sorted(maps.Keys(options)) {
		s, ok := p.places[path]
		if !ok || s.value.Kind == yaml.MappingNode || repeated(path) {
			continue
		}
		stated := strings.TrimSpace(lines[s.key.Line-2])
		want := "# No default."
		if def := options[path]; def != "" {
			want = "# Default: " + def
			if s.value.Value != def {
				t.Errorf("%s: the example sets %q, the default is %q", path, s.value.Value, def)
			}
		}
		if stated != want {
			t.Errorf("%s: the line above it is %q, want %q", path, stated, want)
		}
	}
}

// homeEnv is an environment with a home directory that holds what lnd would have made there.
func homeEnv(t testing.TB) func(string) (string, bool) {
	t.Helper()
	home := t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".lnd"), 0o700); err != nil {
		t.Fatal(err)
	}
	cert := testCertificate(t)
	write(t, filepath.Join(home, ".lnd", "tls.cert"), cert, 0o644)
	write(t, filepath.Join(home, ".lnd", "paygate.lndconnect"), connectURI("127.0.0.1:10009", cert, strings.Repeat("\x02\x01", 50))+"\n", 0o600)
	write(t, filepath.Join(home, ".lnd", "paygate.macaroon"), strings.Repeat("\x02\x01", 50), 0o600)
	if err := os.Mkdir(filepath.Join(home, ".paygate"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, ".paygate", "client.password"), "adminadmin\n", 0o600)
	return func(name string) (string, bool) {
		if name == "HOME" {
			return home, true
		}
		return "", false
	}
}

func write(t testing.TB, path, data string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
