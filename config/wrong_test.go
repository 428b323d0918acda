package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestWrongFiles holds what is printed about whole files against what was looked at and found good.
func TestWrongFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(filepath.Base(file), data, homeEnv(t))
			if err == nil {
				t.Fatal("nothing is wrong")
			}
			got, golden := err.Error()+"\n", strings.TrimSuffix(file, ".yaml")+".golden"
			if *update {
				write(t, golden, got, 0o644)
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if strings.Contains(got, "secret") {
				t.Error("a secret is shown")
			}
		})
	}
}

// TestNoSecretIsQuoted puts a secret where it may stand, and some that is wrong beside it.
func TestNoSecretIsQuoted(t *testing.T) {
	const hush = "5ec7e75ec7e75ec7e75ec7e7"
	for name, text := range map[string]string{
		"wrong itself":          "lightning:\n  macaroon: " + hush + "\n",
		"beside a mistake":      "lightning: {macaroon: " + hush + ", adress: 127.0.0.1:1}\n",
		"behind a mistake":      "lightning: {adress: 127.0.0.1:1, macaroon: " + hush + "}\n",
		"behind a bad value":    "lightning: {address: nowhere, macaroon: " + hush + "}\n",
		"misspelt":              "lightning:\n  macaron: " + hush + "\n",
		"misspelt on more":      "lightning:\n  macaron:\n    - x: {y: 1, y: 2}\n    - " + hush + "\n",
		"a block":               "lightning:\n  macaroon: |\n    " + hush + "\n    " + hush + "\n  adress: x\n",
		"a text that goes on":   "lightning:\n  macaroon: " + hush + "\n    " + hush + "\n  adress: x\n",
		"on the next line":      "lightning:\n  macaroon:\n    " + hush + "\n",
		"a list":                "lightning:\n  macaroon: [" + hush + "]\n",
		"twice":                 "lightning:\n  macaroon: a\n  macaroon: " + hush + "\n",
		"a password":            "listen: {socks5: 127.0.0.1:1, socks5_password: " + hush + ", socks5_usr: x}\n",
		"not YAML":              "lightning:\n  macaroon: \"" + hush + "\n",
		"not YAML, on the next": "lightning:\n  macaroon: |\n    " + hush + "\n \t" + hush + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("p.yaml", []byte(text), homeEnv(t))
			if err == nil {
				t.Fatal("nothing is wrong")
			}
			if strings.Contains(err.Error(), hush) {
				t.Errorf("the secret is shown:\n%v", err)
			}
		})
	}
}

func TestCaretPointsAtTheColumn(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Problem
		want string
	}{
		{"short", Problem{Line: 3, Column: 4, Source: "ab: cd"}, "     3 | ab: cd\n       |    ^"},
		{"behind a tab", Problem{Line: 3, Column: 3, Source: "a\tbc"}, "     3 | a\tbc\n       |  \t^"},
		{"beyond the end", Problem{Line: 3, Column: 40, Source: "abc"}, "     3 | abc\n       |    ^"},
		{
			"long",
			Problem{Line: 1, Column: 91, Source: strings.Repeat("a", 90) + "X" + strings.Repeat("b", 90)},
			"     1 | …" + strings.Repeat("a", 50) + "X" + strings.Repeat("b", 49) + "…\n       | " + strings.Repeat(" ", 51) + "^",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.p.excerpt(); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
