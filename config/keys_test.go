package config

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestKeysAreThoseOfTheSchema(t *testing.T) {
	keys := Keys()
	for path := range everyOption() {
		if key := regexp.MustCompile(`\[0\]`).ReplaceAllString(path, ""); !slices.Contains(keys, key) {
			t.Errorf("%s is missing", key)
		}
	}
}

// TestWordsOfKeysAreValid holds the words that Keys tells against what the schema takes.
func TestWordsOfKeysAreValid(t *testing.T) {
	var words int
	for _, key := range Keys() {
		path, word, ok := strings.Cut(key, ": ")
		if !ok {
			continue
		}
		words++
		text := word
		if word == BuySlower {
			text += " 1 KiB/s for 1 s"
		}
		if err := setAt(t, path, text); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		if err := setAt(t, path, text+"x"); err == nil {
			t.Errorf("%s: %sx is taken, too", path, word)
		}
	}
	if words < 20 {
		t.Errorf("only %d words", words)
	}
}

func setAt(t *testing.T, path, text string) error {
	t.Helper()
	options := schema(&parser{}, &Config{})
	for {
		key, rest, deeper := strings.Cut(path, ".")
		i := slices.IndexFunc(options, func(o option) bool { return o.key == key })
		if i < 0 {
			t.Fatalf("no key %s", path)
		}
		o := options[i]
		if !deeper {
			return o.set(text)
		}
		if options = o.options; o.item != nil {
			options, _ = o.item(0, 0)
		}
		path = rest
	}
}
