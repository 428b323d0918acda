package config

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a group of options"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias (*), which is not supported,"
	case yaml.ScalarNode:
		if isNull(n) {
			return "empty"
		}
		return "a single value"
	}
	return "something else"
}

const maxShown = 60

// clip shortens text from the file for a message.
func clip(s string) string {
	s = oneLine(s)
	if r := []rune(s); len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return s
}

// oneLine replaces what would break or garble a line on a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

func known(opts []option, key string) bool {
	return slices.ContainsFunc(opts, func(o option) bool { return o.key == key })
}

// secret reports whether the value of an option must not be shown.
func secret(opts []option, key string) bool {
	return slices.ContainsFunc(opts, func(o option) bool { return o.key == key && o.secret })
}

// suggest names the option that was probably meant, or the group in which there is one of that name, or all that there
// are.
func suggest(opts []option, key string) string {
	best, least := "", 3
	names := make([]string, len(opts))
	for i, o := range opts {
		names[i] = o.key
		if d := distance(strings.ToLower(clip(key)), o.key); d < least {
			best, least = o.key, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	for _, o := range opts {
		if known(o.options, key) {
			return "it stands under " + o.key
		}
	}
	return "known here: " + strings.Join(names, ", ")
}

// distance counts the single-letter changes between two words (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
