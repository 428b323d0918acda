package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLightningPage checks what docs/lightning.md tells people to write and to type.
func TestLightningPage(t *testing.T) {
	data, err := os.ReadFile("../../docs/lightning.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".lnd"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, ".lnd", "tls.cert"), certificate(t))
	writeFile(t, filepath.Join(dir, ".lnd", "paygate.macaroon"), strings.Repeat("0a", 60))
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(page, -1)
	for i, b := range blocks {
		writeFile(t, filepath.Join(dir, "paygate.yaml"), b[1])
		if got := runIn(t, dir, "check"); got.code != 0 || !strings.HasPrefix(got.stdout, "paygate.yaml is valid") {
			t.Errorf("configuration %d: %+v", i, got)
		}
	}
	commands := regexp.MustCompile("(?m)^paygate .*$").FindAllString(page, -1)
	for _, line := range commands {
		checkExample(t, line)
	}
	if len(blocks) != 2 || len(commands) != 5 {
		t.Errorf("%d configurations and %d commands", len(blocks), len(commands))
	}
}
