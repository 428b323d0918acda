package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"paygate/test/clients"
	"paygate/test/scenario"
	"paygate/units"
)

// bench is what all scenarios share.
type bench struct{ programs scenario.Programs }

// shared is set by TestMain, which builds the programs once.
var shared bench

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if testing.Short() {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if shared.programs, err = scenario.Build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// need skips the test, with the reason, unless the clients are installed.
func need(t *testing.T, kinds ...clients.Kind) {
	t.Helper()
	for _, k := range kinds {
		if k != "" && !k.Installed() {
			t.Skipf("%s is not installed (package %s)", k, k.Program())
		}
	}
}

// newSite makes a site in a directory that is kept, with every log, if the test fails.
func newSite(t *testing.T, size units.Bytes) *scenario.Site {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg") // not t.TempDir: sockets lie below it, and their paths are limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs and data are kept in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	site, err := scenario.NewSite(dir, shared.programs, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	return site
}

func newNetwork(t *testing.T, site *scenario.Site, latency time.Duration) *scenario.Network {
	t.Helper()
	n, err := scenario.NewNetwork(site.Dir+"/ln", latency)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// newPair starts a pair and, at the end of the test, stops it and fails the test for any error in a paygate's log.
func newPair(t *testing.T, site *scenario.Site, network *scenario.Network, name string, plan scenario.Plan) *scenario.Pair {
	t.Helper()
	p, err := scenario.NewPair(t.Context(), site, network, name, plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}
