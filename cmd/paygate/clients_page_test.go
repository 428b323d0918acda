package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestClientsPage checks what docs/clients.md tells people to write and to type.
func TestClientsPage(t *testing.T) {
	data, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".session"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	configurations := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(page, -1)
	for i, b := range configurations {
		writeFile(t, filepath.Join(dir, "paygate.yaml"), b[1])
		if got := runIn(t, dir, "check"); got.code != 0 || !strings.HasPrefix(got.stdout, "paygate.yaml is valid") {
			t.Errorf("configuration %d: %+v\n%s", i, got, b[1])
		}
	}
	settings := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(page, -1)
	for _, b := range settings {
		if !json.Valid([]byte(b[1])) {
			t.Errorf("this is not JSON:\n%s", b[1])
		}
	}
	if len(configurations) != 6 || len(settings) != 1 {
		t.Errorf("%d configurations and %d settings", len(configurations), len(settings))
	}
	headings := regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1)
	anchors := make(map[string]bool)
	for _, h := range headings {
		anchors[strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
	}
	for _, link := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(page, -1) {
		if !anchors[link[1]] {
			t.Errorf("no heading for #%s", link[1])
		}
	}
}
