package lnd_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paygate/test/lnd"
)

func TestFind(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv(lnd.BinVariable, "")
	if _, err := lnd.Find(); !errors.Is(err, lnd.ErrNotBuilt) {
		t.Errorf("with an empty cache: %v", err)
	}
	out, err := exec.Command("sh", "../lightning/build.sh", "where").Output()
	check(t, err)
	built := strings.TrimSpace(string(out))
	if filepath.Dir(filepath.Dir(built)) != cache {
		t.Fatalf("build.sh builds into %s, not below %s", built, cache)
	}
	pretend(t, built)
	if p, err := lnd.Find(); err != nil || p.LND != filepath.Join(built, "lnd") || p.BTCD != filepath.Join(built, "btcd") {
		t.Errorf("where build.sh builds: %+v, %v", p, err)
	}
	t.Setenv(lnd.BinVariable, cache)
	if _, err := lnd.Find(); err == nil || errors.Is(err, lnd.ErrNotBuilt) {
		t.Errorf("with a directory without programs: %v", err)
	}
	pretend(t, cache)
	if p, err := lnd.Find(); err != nil || p.LND != filepath.Join(cache, "lnd") {
		t.Errorf("with a directory of programs: %+v, %v", p, err)
	}
}

// pretend puts files where the programs belong.
func pretend(t *testing.T, dir string) {
	check(t, os.MkdirAll(dir, 0o700))
	for _, name := range []string{"lnd", "btcd"} {
		check(t, os.WriteFile(filepath.Join(dir, name), nil, 0o700))
	}
}
